//! Stems of Portuguese words, so that one form of a word finds the others.
//!
//! It works on folded words, without accents, as people search. The available stemmers need the accents of the endings
//! (`-ção`, `-ões`). Like Savoy's light stemmer for Portuguese (Light Stemming Approaches for the French, Portuguese, German
//! and Hungarian Languages, 2006), this one removes plurals, adverb endings, gender and the final vowel, and no derivations:
//! `operador` does not find `operação`.

/// Words that a search need not find.
const STOP_WORDS: &[&str] = &[
    "a", "ao", "aos", "as", "com", "da", "das", "de", "do", "dos", "e", "em", "na", "nas", "no", "nos", "o", "os",
    "ou", "para", "pela", "pelas", "pelo", "pelos", "por", "um", "uma",
];

/// Plural endings and their singulars, the longest first, each with the number of letters it needs before it.
const PLURALS: &[(&str, &str, usize)] = &[
    ("oes", "ao", 2),
    ("aes", "ao", 2),
    ("ais", "al", 2),
    ("eis", "el", 2),
    ("ois", "ol", 2),
    ("res", "r", 3),
    ("zes", "z", 2),
    ("ns", "m", 2),
    ("is", "il", 3),
    ("s", "", 3),
];

/// Whether a folded word is a stop word.
pub fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.contains(&word)
}

/// The stem of a folded word. Short words and words with digits stay as they are.
pub fn stem(word: &str) -> String {
    if word.len() < 4 || !word.bytes().all(|b| b.is_ascii_lowercase()) {
        return word.to_owned();
    }
    let singular = singular(word);
    let plain = singular.strip_suffix("mente").filter(|rest| rest.len() >= 4).unwrap_or(&singular);
    let without_vowel = plain.strip_suffix(['a', 'e', 'o']).filter(|rest| rest.len() >= 3);
    without_vowel.unwrap_or(plain).to_owned()
}

fn singular(word: &str) -> String {
    for (ending, instead, before) in PLURALS {
        if let Some(rest) = word.strip_suffix(ending).filter(|rest| rest.len() >= *before) {
            // `lapis`, `onus` and `gas` are not plurals.
            let is_plural = *ending != "s" || !rest.ends_with(['i', 'u', 's']);
            return if is_plural { format!("{rest}{instead}") } else { word.to_owned() };
        }
    }
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::stem;

    #[test]
    fn forms_of_a_word_have_one_stem() {
        let groups: &[&[&str]] = &[
            &["previsao", "previsoes"],
            &["vazao", "vazoes"],
            &["semanal", "semanais"],
            &["mensal", "mensais"],
            &["diario", "diaria", "diarios", "diarias", "diariamente"],
            &["horario", "horaria", "horarios", "horarias"],
            &["hidrologico", "hidrologica", "hidrologicos", "hidrologicas"],
            &["limite", "limites"],
            &["preliminar", "preliminares"],
            &["nivel", "niveis"],
            &["boletim", "boletins"],
            &["consistido", "consistidos", "consistida", "consistidas"],
            &["carga", "cargas"],
            &["relatorio", "relatorios"],
            &["deck", "decks"],
            &["mes", "mes"],
        ];
        for group in groups {
            for word in *group {
                assert_eq!(stem(word), stem(group[0]), "{word} and {}", group[0]);
            }
        }
        let different = ["carga", "cargo2", "vazao", "vaz", "operador", "operacao", "deck", "dec", "2025", "2024"];
        for (i, a) in different.iter().enumerate() {
            for b in &different[..i] {
                assert_ne!(stem(a), stem(b), "{a} and {b}");
            }
        }
    }
}
