//! The claims of a token: the stored claims never contain a secret.
#![no_main]
use acervo::domain::Link;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    use base64::Engine as _;
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(data);
    for text in [format!("https://x.ons.org.br/w?token=a.{payload}.c"), String::from_utf8_lossy(data).into_owned()] {
        let Ok(link) = Link::parse(&text) else { continue };
        let claims = link.claims();
        let _ = (link.host(), link.file_key(&claims));
        if let Some(path) = &claims.path {
            assert!(!path.contains("eyJhbGciOiJIUzI1NiJ9."), "a token was stored");
        }
        assert_eq!(format!("{link:?}"), "Link([redacted])");
    }
});
