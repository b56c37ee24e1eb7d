use proptest::prelude::*;

use super::{Secrets, redacted};

const CANARY: &str = "canario+ons@example.com.br";
const TOKEN: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJ1c2VybmFtZSI6ImNhbmFyaW8ifQ.c2lnbmF0dXJl";
const LINK: &str = "https://apps08.ons.org.br/ONS.Sintegre.Proxy/webhook?token=segredo.bem.guardado&x=%20y";

fn secrets() -> Secrets {
    Secrets::new([LINK.to_owned(), "CORP\\joao".to_owned(), "segredo.bem.guardado".to_owned()])
}

#[test]
fn secrets_are_found_in_every_form() {
    for text in [
        "de canario%40example.com.br para",
        "de canario\\u0040example.com.br para",
        "de canario&#64;example&period;com.br para",
        "de canario%2540example%252Ecom.br para",
        "de canario\\x40example.com.br para",
        "de canario&#64example.com.br para",
        // More layers than any writer has.
        "de canario%25252525252540example.com.br para",
        "de canario\\\\\\\\\\\\u0040example.com.br para",
        "de canario&amp;amp;amp;amp;amp;amp;#64;example.com.br para",
        "de canario%26%2364%3bexample.com.br para",
        // Each format's own.
        "de canario\\U00000040example.com.br para",
        "de canario\\uuu0040example.com.br para",
        "de canario\\u{000040}example.com.br para",
        "de canario\\100example.com.br para",
        "de canario\\0100example\\056com.br para",
        "de canario=40example=2Ecom.br para",
        "de canario\\40 example\\2e com.br para",
        "de canario\\000040example.com.br para",
        "de canario\\@example\\.com.br para",
        "de cana&dash;rio&commat;example&period;com&period;br para",
        "de ca&ntilde;ario&commat;example.com.br para",
        "de canario&#x000000000000000000000000000000000000000000000000000000000000000000000000000040;example.com para",
        // What looks the same.
        "de canario＠example.com.br para",
        "de canario﹫example．com。br para",
        "de canario%EF%BC%A0example.com.br para",
        "de ｃａｎａｒｉｏ@example.com.br para",
        "de cana\u{200b}rio\u{1}@exam\u{ad}ple.com.br para",
        "de can%E1rio%40example.com.br para",
        // Forms of the parts.
        "de \"ca na\\\"rio\"@example.com.br para",
        "de canario(Fulano)@example.com.br para",
        "de canario@[10.1.2.3] para",
        "de canario@[IPv6:2001:db8::1] para",
        "de canario@10.1.2.3 para",
        "de canario @ example.com.br para",
        "de canario @ example . com . br para",
        "de canario@servidor para",
        "de canario(at)example.com.br para",
        "de canario [arroba] example [ponto] com.br para",
        "de canário@exemplo.中国 para",
        // Encoded as a whole, in the middle of other letters, twice, and with escapes inside.
        "de Y2FuYXJpb0BleGFtcGxlLmNvbS5icg== para",
        "de Y2FuYXJpb0BleGFtcGxlLmNvbS5icg para",
        "de eHh4Y2FuYXJpb0BleGFtcGxlLmNvbS5icg para",
        "de id-xY2FuYXJpb0BleGFtcGxlLmNvbS5icg para",
        "de WTJGdVlYSnBiMEJsZUdGdGNHeGxMbU52YlM1aWNnPT0= para",
        "de Y2FuYXJpbyU0MGV4YW1wbGUuY29tLmJy para",
        "de 63616e6172696f406578616d706c652e636f6d2e6272 para",
        "de Y2FuYXJp\r\nb0BleGFtcGxlLmNvbS5icg== para",
    ] {
        let kept = redacted(text);
        assert!(kept.starts_with("de *") && kept.ends_with(" para") && kept.len() == text.len(), "{text}: {kept}");
        let inside = &kept[3..kept.len() - 5];
        assert!(inside.bytes().all(|b| b == b'*' || b == b'='), "{text}: {kept}");
    }
    for text in
        [TOKEN.replace('.', "%2E"), TOKEN.replace('.', "\\u002e"), TOKEN.replace('.', "&#46;"), TOKEN.to_owned()]
    {
        assert!(redacted(&text).bytes().all(|b| b == b'*'), "{}", redacted(&text));
    }
    for text in [
        LINK.replace('/', "\\/"),
        LINK.replace('&', "&amp;"),
        percent_encoding::utf8_percent_encode(LINK, percent_encoding::NON_ALPHANUMERIC).to_string(),
        LINK.to_uppercase(),
    ] {
        let kept = secrets().redact(&text).expect("a secret");
        assert!(kept.bytes().all(|b| b == b'*'), "{kept}");
    }
    assert_eq!(secrets().redact("x token=abcdef y").as_deref(), Some("x token=****** y"));
    assert_eq!(secrets().redact("user CORP\\joao!").as_deref(), Some("user *********!"));
    assert_eq!(secrets().redact("Previsão de carga 100%, R$ 5 @ 10.5, eyJ e token"), None);
}

fn of_user(name: &str) -> Secrets {
    Secrets::of_user(name)
}

#[test]
fn a_person_is_found_by_every_part_of_the_name() {
    for (user, texts) in [
        (
            "joao.canario@example.com.br",
            &["joao.canario", "JOAO.CANARIO", "jo\u{1}ao.can\u{0}ario", "joao%2ecanario", "joao&period;canario"][..],
        ),
        ("canario@example.com.br", &["canario", "Canario", "ca\u{200b}nario", "can\nario", "\\u0063anario"]),
        ("PORTAL\\canario", &["PORTAL\\canario", "canario", "portal\\\\canario"]),
        ("ca\u{1}nario@example.com.br", &["canario", "ca\u{1}nario", "ca\nnario"]),
        ("jo\u{e3}o.canario", &["joão.canario", "joa\u{303}o.canario", "jo%C3%A3o.canario", "jo&atilde;o.canario"]),
    ] {
        for text in texts {
            for (before, after) in [("por ", " hoje"), ("x_", "."), ("\u{1}", "\u{1}"), ("(", ")")] {
                let kept = of_user(user).redact(&format!("{before}{text}{after}")).unwrap_or_default();
                let inside = kept.strip_prefix(before).and_then(|kept| kept.strip_suffix(after)).unwrap_or("?");
                assert!(inside.bytes().all(|b| b == b'*'), "{user} as {text:?}: {kept:?}");
            }
        }
    }
}

#[test]
fn ordinary_words_stay() {
    for (user, text) in [
        ("carga@example.com.br", "Carga por patamar - DECOMP, carga_semanal.zip"),
        ("usuario@example.com.br", "Manual do Usuário"),
        ("joao@example.com.br", "Joaozinho, joaos"),
        ("2025@example.com.br", "RV0_PMO_Agosto_2025_carga_mensal.zip"),
        (
            "a@example.com.br",
            "R$5@10, 5 @ 10.5 MW, 300@MWh, carga=40MW, C:\\dados\\100MW, a = 40, @ons, x&y, 100%, \\n",
        ),
        ("ana", "banana, ana"),
    ] {
        assert_eq!(of_user(user).redact(text), None, "{user}");
    }
}

#[test]
fn a_piece_of_a_token_is_found_wherever_it_begins() {
    let secrets = Secrets::of_token(TOKEN);
    for (start, end) in
        [(1, TOKEN.len()), (5, 60), (40, 80), (47, 62), (60, TOKEN.len()), (TOKEN.len() - 15, TOKEN.len())]
    {
        let piece = &TOKEN[start..end];
        for form in [
            piece.to_owned(),
            piece.to_lowercase(),
            piece.replace('.', "%2e"),
            format!("{}\n{}", &piece[..7], &piece[7..]),
        ] {
            let kept = secrets.redact(&format!("de {form}, para")).unwrap_or_default();
            assert!(kept.starts_with("de *") && kept.ends_with("*, para"), "{form}: {kept}");
            assert!(kept[3..kept.len() - 6].bytes().all(|b| b == b'*'), "{form}: {kept}");
        }
    }
    // An unknown payload: the address in it is enough.
    let payload = "J1c2VybmFtZSI6ImNhbmFyaW9AZXhhbXBsZS5jb20uYnIiLCJJc0ZpbGUiOiJUcnVlIn0";
    assert!(redacted(&format!("x {payload}")).ends_with("**"));
    assert_eq!(secrets.redact("Previsão de Carga para o PMO"), None);
    let login = of_user("joao.canario@example.com.br").redact("de am9hby5jYW5hcmlv, hoje");
    assert_eq!(login.as_deref(), Some("de ****************, hoje"));
}

fn escaped(text: &str, how: &[u8]) -> String {
    let escape = |(i, c): (usize, char)| match how[i % how.len()] % 12 {
        1 => format!("%{:02X}", c as u32),
        2 => format!("\\u{:04x}", c as u32),
        3 => format!("&#{};", c as u32),
        4 => format!("&#x{:x};", c as u32),
        5 => format!("\\x{:02x}", c as u32),
        6 => format!("%25{:02x}", c as u32),
        7 if c == '/' => "\\/".to_owned(),
        8 => format!("\\U{:08x}", c as u32),
        9 => format!("\\{:03o}", c as u32),
        10 => format!("%25252525252525{:02x}", c as u32),
        11 if c.is_ascii_graphic() => char::from_u32(c as u32 + 0xfee0).unwrap_or(c).to_string(),
        // Who writes escapes with backslashes escapes these too.
        _ if c == '\\' => "\\\\".to_owned(),
        _ => c.to_string(),
    };
    text.chars().enumerate().map(escape).collect()
}

proptest! {
    #[test]
    fn no_way_of_writing_a_secret_leaves_any_of_it(how in prop::collection::vec(any::<u8>(), 1..40), before in "[ ,;:()]{0,9}", after in "[ ,]{0,9}") {
        for secret in [CANARY, TOKEN, LINK, "CORP\\joao"] {
            let text = format!("{before}{}{after}", escaped(secret, &how));
            let kept = secrets().redact(&text).unwrap_or_default();
            prop_assert!(kept.starts_with(&before) && kept.ends_with(&after), "{}", kept);
            prop_assert!(kept[before.len()..kept.len() - after.len()].bytes().all(|b| b == b'*'), "{} of {}", kept, text);
        }
    }

    #[test]
    fn any_text_takes_linear_work(seed in "[eyJ@.%\\\\&#u0-9a;=/+tokn\"() \n＠-]{1,12}", times in 1_usize..4_000, tail in "\\PC{0,40}") {
        let text = seed.repeat(times) + &tail;
        let (kept, steps) = secrets().redact_counted(&text);
        prop_assert!(steps <= 600 * (text.len() + 1), "{} steps for {} bytes", steps, text.len());
        prop_assert!(kept.is_none_or(|kept| kept.len() == text.len()));
    }
}
