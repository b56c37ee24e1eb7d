//! `[database]`: how many connections a service opens.
use super::layers::Layers;
use super::values;

/// See `default.toml`.
#[derive(Clone, Copy, Debug)]
pub struct Database {
    /// For queries and exports.
    pub readers: u32,
    /// For what jobs read.
    pub job_readers: u32,
    /// For what jobs write, on PostgreSQL. Only one of them writes at a time; the others wait for it.
    pub writers: u32,
}

impl Default for Database {
    fn default() -> Self {
        Self { readers: 8, job_readers: 2, writers: 4 }
    }
}

impl Database {
    pub(super) fn read(layers: &mut Layers) -> Option<Self> {
        let readers = layers.get("database.readers", connections);
        let job_readers = layers.get("database.job_readers", connections);
        let writers = layers.get("database.writers", connections);
        Some(Self { readers: readers?, job_readers: job_readers?, writers: writers? })
    }
}

fn connections(value: &str) -> Result<u32, String> {
    let connections = values::count(value)?;
    u32::try_from(connections).map_err(|_| format!("`{value}` is not valid; expected fewer connections"))
}
