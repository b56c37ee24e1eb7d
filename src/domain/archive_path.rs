//! Paths under which published files are handed out in bulk: product / period / published name. Safe on common file systems.
use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::{Digest, LocalDateTime, Period, file_name, fold};

/// Assigns each product a folder of its own: its name, made safe, with a number if another product has that folder. Products that
/// are assigned in the order of their ids get the same folders each time.
pub struct ProductFolders {
    folders: HashMap<Uuid, String>,
    /// Folded, because some file systems ignore case.
    taken: HashSet<String>,
}

impl ProductFolders {
    /// `reserved` are names that no product gets.
    pub fn new(reserved: &[&str]) -> Self {
        Self { folders: HashMap::new(), taken: reserved.iter().map(|name| fold(name)).collect() }
    }

    /// Keeps a folder that a product was given earlier.
    pub fn keep(&mut self, product: Uuid, folder: &str) {
        self.taken.insert(fold(folder));
        self.folders.entry(product).or_insert_with(|| folder.to_owned());
    }

    /// The folder of a product, assigned on the first call.
    pub fn assign(&mut self, product: Uuid, name: &str) -> &str {
        let taken = &mut self.taken;
        self.folders.entry(product).or_insert_with(|| {
            let name = file_name(&name.replace(['/', '\\'], "_")).unwrap_or_else(|| "product".to_owned());
            let mut folder = name.clone();
            let mut number = 1_u64;
            while !taken.insert(fold(&folder)) {
                number += 1;
                folder = format!("{name} ({number})");
            }
            folder
        })
    }

    /// The folder of a product that was assigned one.
    pub fn get(&self, product: Uuid) -> Option<&str> {
        self.folders.get(&product).map(String::as_str)
    }
}

/// The folder of a publication within its product's. Two publications of a product differ in the reference date or the period. Where
/// these are not what the portal usually sends, the folder has a digest of them.
pub fn period_folder(reference_date: &str, period: Period) -> String {
    let (first, last) = (period.start.0.date(), period.end.0.date());
    let is_month = first.first_of_month() == first && first.last_of_month() == last;
    let folder = match (first == last, is_month) {
        (true, _) => first.to_string(),
        (false, true) => first.strftime("%Y-%m").to_string(),
        (false, false) => format!("{first}_{last}"),
    };
    let is_usual = reference_date == period.reference_date()
        && period.start == LocalDateTime::start_of(first)
        && period.end == LocalDateTime::end_of(last);
    if is_usual {
        return folder;
    }
    // The texts of the times as they are stored, so that folders of earlier exports stay.
    let digest = Digest::of(format!("{reference_date}\n{}\n{}", period.start, period.end).as_bytes()).to_string();
    format!("{folder} ({})", &digest[..16])
}

/// The published name as the last part of a path.
pub fn published_name(name: &str) -> String {
    file_name(name).unwrap_or_else(|| "file".to_owned())
}
