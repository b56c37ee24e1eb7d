//! Error texts for notifications whose file can no longer be fetched, with the button of the portal that helps.

/// The portal counts a notification that was answered 202 as delivered, so only sending the product again gives a new link.
const ENVIAR: &str = "press \"Enviar\" for this product on the portal (\"Reenviar Pendentes\" leaves it out: the notification itself was delivered)";

/// For a link that expired before its file was fetched; `last` is the last attempt's error.
pub fn link_expired(last: Option<&str>) -> String {
    match last {
        Some(last) => format!("the link expired before the file could be fetched (last: {last}); {ENVIAR}"),
        None => format!("the link had expired before the first attempt; {ENVIAR}"),
    }
}

/// For a notification that was imported with an expired link.
pub fn link_had_expired_at_import() -> String {
    format!("the link had expired when it was imported; {ENVIAR}")
}

/// For a notification that waited for its file when the archive was exported without links.
pub fn link_not_restored() -> String {
    format!("the archive was restored from an export, which had no links; {ENVIAR}")
}

#[cfg(test)]
mod tests {
    use super::{link_expired, link_had_expired_at_import, link_not_restored};

    #[test]
    fn every_message_names_the_button_that_helps_and_the_one_that_does_not() {
        let all =
            [link_expired(None), link_expired(Some("status 500")), link_had_expired_at_import(), link_not_restored()];
        for message in all {
            assert!(
                message.contains("\"Enviar\"") && message.contains("\"Reenviar Pendentes\" leaves it out"),
                "{message}"
            );
        }
        assert!(link_expired(Some("status 500")).contains("(last: status 500)"));
    }
}
