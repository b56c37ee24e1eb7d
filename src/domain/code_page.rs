//! The code pages of DOS, which `encoding_rs` does not have: packers and programs of the sector still write them.

/// The upper halves of the DOS code pages that packers without Unicode use: those of the United States, and of western
/// Europe and Brazil.
pub const CP437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";
pub const CP850: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}";

/// The letters and signs of Portuguese texts outside ASCII. The dashes and quotes exist only in Windows-1252.
pub const PORTUGUESE: &str = "áâãàçéêíóôõúüÁÂÃÀÇÉÊÍÓÔÕÚÜñÑªº°§–—‘’";

/// Bytes as text in a code page, of which `page` is the upper half.
pub fn with_code_page(raw: &[u8], page: &str) -> String {
    let upper: Vec<char> = page.chars().collect();
    let one = |b: &u8| match b.checked_sub(0x80) {
        Some(at) => upper.get(usize::from(at)).copied().unwrap_or(char::REPLACEMENT_CHARACTER),
        None => char::from(*b),
    };
    raw.iter().map(one).collect()
}

/// How many capitals follow a small letter: many in a text that was read with the wrong code page.
pub fn capitals_inside_words(text: &str) -> usize {
    text.chars().zip(text.chars().skip(1)).filter(|(before, c)| before.is_lowercase() && c.is_uppercase()).count()
}
