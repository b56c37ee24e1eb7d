//! The limit of the disk: appends to a file that has its space already, each synced.
use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// The file's size. At its end the next append is at its beginning again.
const SIZE: usize = 64 << 20;

pub struct Disk {
    file: File,
}

impl Disk {
    /// Writes a file in a folder.
    pub fn new(folder: &Path) -> Self {
        let mut file = File::create(folder.join("appends")).expect("a file");
        file.write_all(&vec![1; SIZE]).expect("space on the disk");
        file.sync_all().expect("a synced file");
        Self { file }
    }

    /// Synced appends per second.
    pub fn measure(&mut self, bytes: usize, time: Duration) -> f64 {
        let batch = vec![2; bytes];
        let began = Instant::now();
        let (mut appends, mut at) = (0, SIZE);
        while began.elapsed() < time {
            if at + bytes > SIZE {
                self.file.rewind().expect("a file");
                at = 0;
            }
            self.file.write_all(&batch).expect("a write");
            self.file.sync_data().expect("a sync");
            at += bytes;
            appends += 1;
        }
        f64::from(appends) / began.elapsed().as_secs_f64()
    }
}
