//! Notification bodies: the stored body contains no link and no canary in any encoding, redaction takes linear time, and the
//! stored JSON is what the API returns.
#![no_main]
use acervo::domain::{ParsedNotification, Secrets};
use libfuzzer_sys::fuzz_target;

const CANARY: &str = "canario@example.com.br";

/// The maximum number of bytes examined per byte of input: five views, each with what its base64 decodes to, a few passes each.
const STEPS_MAX: usize = 250;

/// The canary, with each character encoded as a byte of the input selects.
fn encoded(how: &[u8]) -> String {
    let mut how = how.iter().cycle();
    let encode = |c: char| match how.next().map_or(0, |b| b % 5) {
        1 => format!("%{:02X}", c as u32),
        2 => format!("\\u{:04x}", c as u32),
        3 => format!("&#{};", c as u32),
        4 => format!("%25{:02x}", c as u32),
        _ => c.to_string(),
    };
    CANARY.chars().map(encode).collect()
}

fuzz_target!(|data: &[u8]| {
    let (how, data) = data.split_at(data.len().min(8));
    check(data);
    // The same with a canary, which must not be stored in any field.
    let text = String::from_utf8_lossy(data);
    let hidden = serde_json::Value::from(format!("{text} {} {text}", encoded(how))).to_string();
    let body = format!(r#"{{"nome":"x","dataProduto":"09/05/2025","url":"https://x/y?k=1","extra":[{hidden}]}}"#);
    check(body.as_bytes());
    let (_, steps) = Secrets::default().redact_counted(&body);
    assert!(steps <= STEPS_MAX * body.len(), "{steps} steps for {} bytes", body.len());
});

fn check(data: &[u8]) {
    let Some(notice) = ParsedNotification::from_json(data).or_else(|| ParsedNotification::from_form(data)) else { return };
    if let Some(link) = &notice.link
        && link.expose().len() > 5
    {
        let secret = link.expose().as_bytes();
        assert!(!notice.body.windows(secret.len()).any(|window| window == secret), "a link was stored");
    }
    assert!(!notice.body.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()), "an e-mail address was stored");
    if let Ok(announcement) = &notice.outcome {
        assert!(!announcement.name.is_empty());
        assert!(announcement.period.start <= announcement.period.end);
    }
    let shown = ParsedNotification::body_as_json(&notice.body);
    if ParsedNotification::from_json(data).is_some() {
        let shown = shown.expect("the stored body is JSON");
        assert!(!shown.contains(CANARY), "an e-mail address is returned");
        let value: serde_json::Value = serde_json::from_str(&shown).expect("every reader can read it");
        assert!(value.is_object());
        assert_eq!(ParsedNotification::body_as_json(shown.as_bytes()).as_deref(), Some(&*shown), "redacting twice changes nothing");
    }
}
