//! `[verify]`: when and how fast the archive is verified.
use jiff::Span;

use super::Schedule;
use super::layers::Layers;
use super::values;

#[derive(Clone, Debug)]
pub struct Verify {
    /// `None`: only by hand.
    pub schedule: Option<Schedule>,
    /// How long scheduled runs take for the whole archive.
    pub cycle: Span,
    /// Bytes per second, as published.
    pub max_rate: u64,
}

impl Verify {
    pub(super) fn read(layers: &mut Layers) -> Option<Self> {
        let schedule = layers.get("verify.schedule", |value| match value {
            "off" => Ok(None),
            cron => Schedule::parse(cron).map(Some),
        });
        let cycle = layers.get("verify.cycle", |value| {
            let cycle = values::span(value)?;
            if cycle.is_zero() {
                Err(format!("`{value}` is zero; give a longer span, such as \"30d\""))
            } else {
                Ok(cycle)
            }
        });
        let max_rate = layers.get("verify.max_rate", values::positive_size);
        Some(Self { schedule: schedule.flatten(), cycle: cycle?, max_rate: max_rate? })
    }
}
