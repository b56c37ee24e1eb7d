//! What a POST may hold: whatever is kept of it has no link, and its JSON is what the API shows.
#![no_main]
use acervo::domain::Notice;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(notice) = Notice::from_json(data).or_else(|| Notice::from_form(data)) else { return };
    if let Some(link) = &notice.link
        && link.expose().len() > 5
    {
        let secret = link.expose().as_bytes();
        assert!(!notice.body.windows(secret.len()).any(|window| window == secret), "a link is kept");
    }
    if let Ok(announcement) = &notice.outcome {
        assert!(!announcement.name.is_empty());
        assert!(announcement.period.start <= announcement.period.end);
    }
    let _ = Notice::body_as_json(&notice.body);
});
