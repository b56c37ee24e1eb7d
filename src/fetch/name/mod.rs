//! The published name, from a Content-Disposition header in every form that servers send: plain, quoted, extended
//! (RFC 5987, RFC 2231), encoded words (RFC 2047), percent-encoded, raw UTF-8 and raw Latin-1.
//!
//! Written here rather than taken from a mail parser: mail parsers read `C:\temp\x.pdf` as escapes, decode each encoded
//! word separately, and drop the text next to it.
mod params;
mod words;

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};

use params::Params;

/// More of a header is ignored.
const HEADER_BYTES_MAX: usize = 16 << 10;

/// The name in the header, as it was sent; `None` if there is none.
pub fn from_disposition(header: &[u8]) -> Option<String> {
    let header = decode_as(&header[..header.len().min(HEADER_BYTES_MAX)], None);
    let params = Params::parse(&header);
    // The extended form has precedence (RFC 6266, 4.3), unless it cannot be decoded.
    let extended = params.get("filename*").and_then(extended).or_else(|| continued(&params));
    let unextended = || params.get("filename").map(plain);
    let name = extended.filter(|name| !name.trim().is_empty()).or_else(unextended)?;
    (!name.trim().is_empty()).then_some(name)
}

/// Percent-decodes a text, as UTF-8 or else as Windows-1252. `None` if it has no escape, or a `%` that does not begin
/// one.
pub fn percent_decoded(text: &str) -> Option<String> {
    let mut after_signs = text.split('%').skip(1).peekable();
    after_signs.peek()?;
    let is_valid = after_signs.all(|after| after.len() >= 2 && after.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit));
    is_valid.then(|| decode_as(&percent_bytes(text), None).into_owned())
}

fn plain(value: &str) -> String {
    if value.contains("=?") {
        return words::decode(value);
    }
    // .NET and Java write a blank as `+` when they percent-encode a name.
    let is_form = !value.contains([' ', '\t']) && !value.contains("%20");
    let spaced = if is_form { Cow::Owned(value.replace('+', " ")) } else { Cow::Borrowed(value) };
    percent_decoded(&spaced).unwrap_or_else(|| value.to_owned())
}

/// `charset'language'percent-encoded`.
fn extended(value: &str) -> Option<String> {
    let mut parts = value.splitn(3, '\'');
    let (charset, _, text) = (parts.next()?, parts.next()?, parts.next()?);
    let encoding = Encoding::for_label(charset.trim().as_bytes())?;
    Some(decode_as(&percent_bytes(text), Some(encoding)).into_owned())
}

/// A value in several parameters: `filename*0*=UTF-8''a%C3`, `filename*1*=%A3o`, or `filename*0="a"`, `filename*1="b"`.
fn continued(params: &Params) -> Option<String> {
    let mut bytes = Vec::new();
    let mut encoding = None;
    for index in 0.. {
        let name = format!("filename*{index}");
        if let Some(value) = params.get(&format!("{name}*")) {
            let parts: Vec<&str> = value.splitn(3, '\'').collect();
            let text = match parts.as_slice() {
                [charset, _, text] if index == 0 => {
                    encoding = Encoding::for_label(charset.trim().as_bytes());
                    text
                }
                _ => value,
            };
            bytes.extend(percent_bytes(text));
        } else if let Some(value) = params.get(&name) {
            bytes.extend_from_slice(value.as_bytes());
        } else {
            break;
        }
    }
    (!bytes.is_empty()).then(|| decode_as(&bytes, encoding).into_owned())
}

fn percent_bytes(text: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(text).collect()
}

/// Decodes bytes from the declared charset. Bytes that are declared as UTF-8, or not at all, and are not UTF-8, are read as
/// Windows-1252, the superset of Latin-1 that Brazilian systems write. A character that is cut off at the end is dropped.
fn decode_as<'a>(bytes: &'a [u8], declared: Option<&'static Encoding>) -> Cow<'a, str> {
    if let Some(encoding) = declared.filter(|encoding| *encoding != UTF_8) {
        return encoding.decode_without_bom_handling(bytes).0;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(e) if e.error_len().is_none() && e.valid_up_to() > 0 && declared.is_some() => {
            String::from_utf8_lossy(&bytes[..e.valid_up_to()])
        }
        Err(_) => crate::domain::decode(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::{from_disposition, percent_decoded};

    #[test]
    fn every_form_gives_the_published_name() {
        let long = "Relatório Mensal de Limites de Intercâmbio para o Modelo DECOMP - Agosto de 2025.pdf";
        let one_long_word = format!(
            "attachment; filename=\"=?utf-8?B?{}?=\"",
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, long)
        );
        let cases: &[(&[u8], &str)] = &[
            (b"attachment; filename=IPDO-20-02-2025.pdf", "IPDO-20-02-2025.pdf"),
            (b"filename=IPDO.pdf", "IPDO.pdf"),
            (b"attachment; filename=RT-ONS DPL 0298-2025.pdf", "RT-ONS DPL 0298-2025.pdf"),
            (b"attachment; filename=\"RT-ONS DPL 0298-2025.pdf\"", "RT-ONS DPL 0298-2025.pdf"),
            (b"ATTACHMENT ; size=3 ; FileName = \"a.pdf\" ; x=y", "a.pdf"),
            (b"attachment; filename=\"a;b.zip\"", "a;b.zip"),
            (b"attachment; filename='a b.zip'", "a b.zip"),
            (b"attachment; filename=\"100%.txt\"", "100%.txt"),
            (b"attachment; filename=\"a.txt\"; filename=\"b.txt\"", "a.txt"),
            // Backslashes and quotes.
            (b"attachment; filename=\"C:\\temp\\x.pdf\"", "C:\\temp\\x.pdf"),
            (b"attachment; filename=\"C:\\\\temp\\\\x.pdf\"", "C:\\temp\\x.pdf"),
            (b"attachment; filename=\"o \\\"novo\\\" deck.zip\"", "o \"novo\" deck.zip"),
            (b"attachment; filename=\"o \"novo\" deck.zip\"; size=1", "o \"novo\" deck.zip"),
            (b"attachment; filename=\"aberto.zip", "aberto.zip"),
            // Encoded words.
            (b"attachment; filename=\"=?utf-8?B?UHJlY2lwaXRhw6fDo28udHh0?=\"", "Precipitação.txt"),
            (b"attachment; filename==?utf-8?B?UHJlY2lwaXRhw6fDo28udHh0?=", "Precipitação.txt"),
            (b"attachment; filename=\"=?utf-8?Q?Precipita=C3=A7=C3=A3o_di=C3=A1ria.txt?=\"", "Precipitação diária.txt"),
            (b"attachment; filename=\"=?utf-8?B?UHJlY2lwaQ==?= =?utf-8?B?dGHDp8Ojby50eHQ=?=\"", "Precipitação.txt"),
            (b"attachment; filename=\"=?utf-8?B?UHJldmlzww==?= =?utf-8?B?o28uemlw?=\"", "Previsão.zip"),
            (b"attachment; filename=\"=?utf-8?B?UHJldmlzww?=\t=?UTF-8?b?o28uemlw?=\"", "Previsão.zip"),
            (b"attachment; filename=\"=?utf-8?Q?Previs=C3?= =?utf-8?Q?=A3o.zip?=\"", "Previsão.zip"),
            (b"attachment; filename=\"=?utf-8?Q?Previs=c3?==?utf-8?B?o28uemlw?=\"", "Previsão.zip"),
            (b"attachment; filename=\"=?utf-8?B?UHJldmlzw6Nv?=.zip\"", "Previsão.zip"),
            (b"attachment; filename=\"ONS =?iso-8859-1?Q?Previs=E3o?= final.zip\"", "ONS Previsão final.zip"),
            (b"attachment; filename=\"=?windows-1252?B?UHJldmlz428gliBONQ?=.zip\"", "Previsão – N5.zip"),
            (b"attachment; filename=\"=?utf-8*pt?Q?Previs=C3=A3o?=.zip\"", "Previsão.zip"),
            (b"attachment; filename=\"=?utf-8?Q?Previs=E3o?=.zip\"", "Previsão.zip"),
            (b"attachment; filename=\"=?x-none?Q?Previs=C3=A3o?=.zip\"", "Previsão.zip"),
            // A base64 text cut between its groups.
            (b"attachment; filename=\"=?utf-8?B?UHJld?= =?utf-8?B?mlzw6NvLnppcA==?=\"", "Previsão.zip"),
            (b"attachment; filename=\"a=?b.zip\"", "a=?b.zip"),
            // Extended parameters.
            (b"attachment; filename=\"x.txt\"; filename*=UTF-8''Previs%C3%A3o%20semanal.zip", "Previsão semanal.zip"),
            (b"attachment; filename*=UTF-8''Previs%C3%A3o.zip", "Previsão.zip"),
            (b"attachment; filename*=\"UTF-8''Previs%C3%A3o.zip\"", "Previsão.zip"),
            (b"attachment; filename*=iso-8859-1'pt'Previs%E3o.zip", "Previsão.zip"),
            (b"attachment; filename*=UTF-8''Previs%E3o.zip", "Previsão.zip"),
            (b"attachment; filename*=x-none''y.zip; filename=x.zip", "x.zip"),
            (b"attachment; filename*=UTF-8''; filename=x.zip", "x.zip"),
            (b"attachment; filename*0*=UTF-8''Previs%C3; filename*1*=%A3o; filename*2=\".zip\"", "Previsão.zip"),
            // Raw and percent-encoded.
            ("attachment; filename=\"Previsão.zip\"".as_bytes(), "Previsão.zip"),
            (b"attachment; filename=\"Previs\xe3o.zip\"", "Previsão.zip"),
            (b"inline; filename=Previs%C3%A3o.zip", "Previsão.zip"),
            (b"inline; filename=Notas%20T%E9cnicas.pdf", "Notas Técnicas.pdf"),
            (b"inline; filename=Previs%c3%a3o+semanal.zip", "Previsão semanal.zip"),
            (b"inline; filename=A+B.zip", "A+B.zip"),
            (one_long_word.as_bytes(), long),
        ];
        for (header, name) in cases {
            assert_eq!(from_disposition(header).as_deref(), Some(*name), "{}", String::from_utf8_lossy(header));
        }
        for none in [&b"attachment"[..], b"attachment; filename=\"\"", b"attachment; filename=", b"", b";;=;\""] {
            assert_eq!(from_disposition(none), None, "{}", String::from_utf8_lossy(none));
        }
    }

    #[test]
    fn escapes_of_an_address_are_decoded() {
        assert_eq!(percent_decoded("Notas%20T%E9cnicas.pdf").as_deref(), Some("Notas Técnicas.pdf"));
        assert_eq!(percent_decoded("Notas%20T%C3%A9cnicas.pdf").as_deref(), Some("Notas Técnicas.pdf"));
        for none in ["Notas Técnicas.pdf", "100%.pdf", "50% de 20%20.pdf", "é%", "%é"] {
            assert_eq!(percent_decoded(none), None, "{none}");
        }
    }
}
