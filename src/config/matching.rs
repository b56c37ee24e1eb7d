//! `match`: which products and files a policy or a hook is about.
use super::layers::Layers;
use crate::domain::{Glob, ProductMatch, fold};

pub(super) fn read(layers: &mut Layers, key: &str) -> ProductMatch {
    let glob = |value: &str| Ok(Glob::new(value));
    ProductMatch {
        names: layers.patterns(&format!("{key}.name"), glob),
        processes: layers.patterns(&format!("{key}.process"), glob),
        macro_processes: layers.patterns(&format!("{key}.macro_process"), glob),
        extensions: layers.patterns(&format!("{key}.extension"), |value| Ok(fold(value.trim_start_matches('.')))),
    }
}
