//! `[compact]`: when files move into the dense tier.
use jiff::Span;

use super::Schedule;
use super::layers::Layers;
use super::values;

#[derive(Clone, Debug)]
pub struct Compact {
    /// `None`: only by hand.
    pub schedule: Option<Schedule>,
    /// How long a file stays as it was stored before a scheduled run encodes it densely.
    pub after: Span,
}

impl Compact {
    pub(super) fn read(layers: &mut Layers) -> Option<Self> {
        let schedule = layers.get("compact.schedule", |value| match value {
            "off" => Ok(None),
            cron => Schedule::parse(cron).map(Some),
        });
        let after = layers.get("compact.after", values::span);
        Some(Self { schedule: schedule.flatten(), after: after? })
    }
}
