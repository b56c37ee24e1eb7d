//! Faults of downloads, on demand.
use serde::{Deserialize, Serialize};

/// None by default. Several can be combined where that makes sense.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Only for this product.
    pub product: Option<u32>,
    /// Only for this many downloads.
    pub times: Option<u32>,
    /// Wait before the response.
    pub latency_ms: u64,
    /// Respond with this status.
    pub status: Option<u16>,
    /// A Retry-After with the status, in seconds.
    pub retry_after: Option<u64>,
    /// Send this many bytes and close the connection.
    pub cut_after: Option<usize>,
    /// Declare this many bytes more than there are.
    pub longer_by: usize,
    /// Send an HTML page with 200.
    pub html: bool,
    /// Treat every link as expired.
    pub expired: bool,
    /// Send one byte every this many milliseconds.
    pub drip_ms: u64,
    /// Send without end, and without a length.
    pub endless: bool,
    /// Send this many zero bytes, compressed with gzip.
    pub bomb: u64,
    /// Redirect this many times first.
    pub redirects: u32,
}

impl Faults {
    /// Whether they can be simulated; the error names the field.
    pub(super) fn check(&self) -> Result<(), String> {
        match self.status {
            Some(status) if !(200..=599).contains(&status) => {
                Err(format!("`status` is {status}; expected an HTTP status between 200 and 599"))
            }
            _ => Ok(()),
        }
    }

    /// The faults that apply to this download, which is counted.
    pub(super) fn take(&mut self, product: u32) -> Self {
        if self.product.is_some_and(|only| only != product) || self.times == Some(0) {
            return Self::default();
        }
        let faults = self.clone();
        if let Some(times) = &mut self.times {
            *times -= 1;
        }
        faults
    }
}
