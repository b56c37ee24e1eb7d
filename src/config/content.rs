//! `[content]`: whether the text inside files is searched, and how much of it is read.
use std::path::PathBuf;
use std::time::Duration;

use super::layers::Layers;
use super::values;

#[derive(Clone, Debug)]
pub struct Content {
    /// Read the text of files and index it.
    pub index: bool,
    /// Bytes read of one file, as unpacked.
    pub read_max: u64,
    /// Bytes of text kept of one file.
    pub text_max: u64,
    /// How long reading one file may take.
    pub time_max: Duration,
    /// The program that reads PDFs and workbooks; `None`: this one. Tests, which are another program, set it.
    pub program: Option<PathBuf>,
}

impl Content {
    pub(super) fn read(layers: &mut Layers) -> Option<Self> {
        let index = layers.get("content.index", values::flag);
        let read_max = layers.get("content.read_max", values::positive_size);
        let text_max = layers.get("content.text_max", values::positive_size);
        let time_max = layers.get("content.time_max", |value| {
            let time = values::duration(value)?;
            if time < Duration::from_secs(1) {
                Err(format!("`{value}` is too short; give at least 1s"))
            } else {
                Ok(time)
            }
        });
        Some(Self { index: index?, read_max: read_max?, text_max: text_max?, time_max: time_max?, program: None })
    }
}
