//! The published name, out of a Content-Disposition header in all the forms seen: plain, quoted, `filename*`, RFC 2047.
use std::borrow::Cow;

/// The name that the header gives, as it gives it; `None` where it gives none.
pub fn from_disposition(header: &[u8]) -> Option<String> {
    // Raw UTF-8 and raw Latin-1 are both sent, against the standard.
    let header = match std::str::from_utf8(header) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(header).0,
    };
    let params = mailparse::parse_content_disposition(&header).params;
    // Where both are sent, the extended one is meant (RFC 6266, 4.3); the parser leaves it as it came then.
    let extended = params.get("filename*").and_then(|raw| {
        mailparse::parse_content_disposition(&format!("attachment; filename*={raw}")).params.remove("filename")
    });
    let name = extended.or_else(|| params.get("filename").map(|name| decode_words(name)))?;
    (!name.trim().is_empty()).then_some(name)
}

/// Encoded words of RFC 2047, `=?utf-8?B?…?=`, wherever they stand in the text.
fn decode_words(text: &str) -> String {
    if !text.contains("=?") {
        return percent_decoded(text);
    }
    let line = format!("N: {}", text.replace(['\r', '\n'], " "));
    mailparse::parse_header(line.as_bytes()).map(|(header, _)| header.get_value()).unwrap_or_else(|_| text.to_owned())
}

/// Some servers percent-encode the plain form; a name in which every `%` begins a UTF-8 escape was meant so.
fn percent_decoded(text: &str) -> String {
    let escapes = text.matches('%').count();
    let valid =
        text.split('%').skip(1).all(|rest| rest.len() >= 2 && rest.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit));
    if escapes == 0 || !valid {
        return text.to_owned();
    }
    percent_encoding::percent_decode_str(text).decode_utf8().map(Cow::into_owned).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::from_disposition;

    #[test]
    fn every_form_gives_the_published_name() {
        let long = "Relatório Mensal de Limites de Intercâmbio para o Modelo DECOMP - Agosto de 2025.pdf";
        let one_long_word = format!(
            "attachment; filename=\"=?utf-8?B?{}?=\"",
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, long)
        );
        let cases: &[(&[u8], &str)] = &[
            (b"attachment; filename=IPDO-20-02-2025.pdf", "IPDO-20-02-2025.pdf"),
            (b"attachment; filename=\"RT-ONS DPL 0298-2025.pdf\"", "RT-ONS DPL 0298-2025.pdf"),
            (b"attachment; filename=\"=?utf-8?B?UHJlY2lwaXRhw6fDo28udHh0?=\"", "Precipitação.txt"),
            (b"attachment; filename=\"=?utf-8?Q?Precipita=C3=A7=C3=A3o_di=C3=A1ria.txt?=\"", "Precipitação diária.txt"),
            (b"attachment; filename=\"=?utf-8?B?UHJlY2lwaQ==?= =?utf-8?B?dGHDp8Ojby50eHQ=?=\"", "Precipitação.txt"),
            (b"attachment; filename=\"x.txt\"; filename*=UTF-8''Previs%C3%A3o%20semanal.zip", "Previsão semanal.zip"),
            (b"attachment; filename*=UTF-8''Previs%C3%A3o.zip", "Previsão.zip"),
            (b"attachment; filename*=iso-8859-1'pt'Previs%E3o.zip", "Previsão.zip"),
            ("attachment; filename=\"Previsão.zip\"".as_bytes(), "Previsão.zip"),
            (b"attachment; filename=\"Previs\xe3o.zip\"", "Previsão.zip"),
            (b"attachment; filename=\"a;b.zip\"", "a;b.zip"),
            (b"inline; filename=Previs%C3%A3o.zip", "Previsão.zip"),
            (b"attachment; filename=\"100%.txt\"", "100%.txt"),
            (one_long_word.as_bytes(), long),
        ];
        for (header, name) in cases {
            assert_eq!(from_disposition(header).as_deref(), Some(*name), "{}", String::from_utf8_lossy(header));
        }
        assert_eq!(from_disposition(b"attachment"), None);
        assert_eq!(from_disposition(b"attachment; filename=\"\""), None);
    }
}
