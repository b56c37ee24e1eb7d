//! What is said of a notification whose file will not come, and which button of the portal helps.

/// The portal takes what was answered 202 for delivered, so only sending the product again makes a new link.
const ENVIAR: &str = "press \"Enviar\" for this product on the portal (\"Reenviar Pendentes\" leaves it out: the notification itself was delivered)";

/// Of a link that died before its file was fetched; `last` is the last attempt's error.
pub fn link_died(last: Option<&str>) -> String {
    match last {
        Some(last) => format!("the link died before the file could be fetched (last: {last}); {ENVIAR}"),
        None => format!("the link was dead before the first attempt; {ENVIAR}"),
    }
}

/// Of a notification that was imported with a dead link.
pub fn link_was_dead_at_import() -> String {
    format!("the link was dead when it was imported; {ENVIAR}")
}

#[cfg(test)]
mod tests {
    use super::{link_died, link_was_dead_at_import};

    #[test]
    fn every_message_names_the_button_that_helps_and_the_one_that_does_not() {
        for message in [link_died(None), link_died(Some("status 500")), link_was_dead_at_import()] {
            assert!(
                message.contains("\"Enviar\"") && message.contains("\"Reenviar Pendentes\" leaves it out"),
                "{message}"
            );
        }
        assert!(link_died(Some("status 500")).contains("(last: status 500)"));
    }
}
