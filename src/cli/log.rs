//! Logs go to stderr: text for a person, JSON for a machine.
use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::app::DATABASE_LOG_TARGETS;
use crate::config::{LogFormat, Settings};

/// Libraries whose finer levels print addresses or statements, which may contain links.
const QUIET: &[&str] = &["h2", "hyper", "hyper_util", "reqwest", "rustls", "tower_http"];

/// Warns of each merge that is given up because all of a segment was replaced meanwhile, which is usual and costs nothing else.
const INDEX: &str = "tantivy=error";

pub(super) fn start(settings: &Settings) -> anyhow::Result<()> {
    let mut filter: EnvFilter = settings.log_level.parse()?;
    for library in QUIET.iter().chain(DATABASE_LOG_TARGETS) {
        filter = filter.add_directive(format!("{library}=warn").parse()?);
    }
    filter = filter.add_directive(INDEX.parse()?);
    let terminal = std::io::stderr().is_terminal();
    let format = settings.log_format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let started = match format {
        LogFormat::Text => builder.with_ansi(terminal).compact().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
    };
    started.map_err(|e| anyhow::anyhow!("logging cannot be started: {e}"))?;
    // The message of a panic may contain secrets; its position is enough to find the defect.
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(location, "a defect: the program panicked here");
    }));
    Ok(())
}
