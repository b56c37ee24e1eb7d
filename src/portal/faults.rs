//! What can go wrong with a download, on demand.
use serde::{Deserialize, Serialize};

/// Faults; none by default. Several at once act together where that makes sense.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Only for this product.
    pub product: Option<u32>,
    /// Only for so many downloads, then none.
    pub times: Option<u32>,
    /// Wait before the answer.
    pub latency_ms: u64,
    /// Answer this status instead.
    pub status: Option<u16>,
    /// With it, in seconds.
    pub retry_after: Option<u64>,
    /// Send so many bytes and end the connection.
    pub cut_after: Option<usize>,
    /// Announce so many bytes more than there are.
    pub longer_by: usize,
    /// Send an HTML page with 200.
    pub html: bool,
    /// Take every link for dead.
    pub expired: bool,
    /// Send one byte in so many milliseconds.
    pub drip_ms: u64,
    /// Go on sending for ever, without a length.
    pub endless: bool,
    /// Send so many bytes of nothing, packed with gzip, and say so.
    pub bomb: u64,
    /// Redirect so many times first.
    pub redirects: u32,
}

impl Faults {
    /// The faults that this download meets; counts it.
    pub(super) fn meet(&mut self, product: u32) -> Self {
        if self.product.is_some_and(|only| only != product) || self.times == Some(0) {
            return Self::default();
        }
        let met = self.clone();
        if let Some(times) = &mut self.times {
            *times -= 1;
        }
        met
    }
}
