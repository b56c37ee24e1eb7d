//! The language of problems: Portuguese where the client prefers it (`Accept-Language`), else English. `type`, `status` and the
//! members for programs are the same in both.
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::lang::Lang;

tokio::task_local! {
    static LANGUAGE: Lang;
}

/// The language of the request that is being answered; English outside of one.
pub(super) fn language() -> Lang {
    LANGUAGE.try_with(|lang| *lang).unwrap_or_default()
}

/// `say!("problem-busy")`: a message in the language of the request.
macro_rules! say {
    ($id:literal $(, $name:ident = $value:expr)* $(,)?) => {
        $crate::lang::text!($crate::http::language::language(), $id $(, $name = $value)*)
    };
}
pub(super) use say;

fn preferred(headers: &HeaderMap) -> Lang {
    let header = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    header.and_then(Lang::of_accept_language).unwrap_or_default()
}

/// Answers a request in the language that its client prefers.
pub(super) async fn prefer(request: Request, next: Next) -> Response {
    let lang = preferred(request.headers());
    within(lang, next.run(request)).await
}

/// Continues in a language, for work that another task does.
pub(super) async fn within<T>(lang: Lang, work: impl Future<Output = T>) -> T {
    LANGUAGE.scope(lang, work).await
}

/// The title of a status.
pub(super) fn title(status: StatusCode) -> String {
    match status.as_u16() {
        400 => say!("title-400"),
        401 => say!("title-401"),
        403 => say!("title-403"),
        404 => say!("title-404"),
        405 => say!("title-405"),
        406 => say!("title-406"),
        408 => say!("title-408"),
        410 => say!("title-410"),
        412 => say!("title-412"),
        413 => say!("title-413"),
        415 => say!("title-415"),
        416 => say!("title-416"),
        422 => say!("title-422"),
        429 => say!("title-429"),
        500 => say!("title-500"),
        501 => say!("title-501"),
        503 => say!("title-503"),
        _ => status.canonical_reason().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::{Lang, title, within};

    /// Programs may compare the titles.
    #[tokio::test]
    async fn titles_in_english_are_those_of_the_standard() {
        for status in (400..600).filter_map(|status| StatusCode::from_u16(status).ok()) {
            assert_eq!(title(status), status.canonical_reason().unwrap_or_default());
        }
        assert_eq!(within(Lang::Portuguese, async { title(StatusCode::NOT_FOUND) }).await, "Não encontrado");
    }
}
