//! A service in a process of its own, with the settings of the demo.
use std::path::Path;

use super::process::Process;

/// Starts `acervo serve` on a folder, on a free port.
pub async fn service(data: &Path) -> Process {
    let settings =
        [("ACERVO_FETCH_ALLOWED_HOSTS", "127.0.0.1"), ("ACERVO_FETCH_ALLOW_PRIVATE", "true"), ("ACERVO_LOG", "off")];
    Process::acervo(data, &settings).await
}
