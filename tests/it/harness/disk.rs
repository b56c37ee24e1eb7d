//! A small separate disk that can be filled to the last byte.
use std::io::Write;
use std::path::Path;
use std::process::Command;

pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Mounts it; a test that does so is marked as one that needs the right to.
    pub fn mount(size: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(folder.path())
            .output();
        let mounted = mounted.expect("`mount` is installed");
        assert!(mounted.status.success(), "no disk can be mounted: {}", String::from_utf8_lossy(&mounted.stderr));
        Self(folder)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves no byte free.
    pub fn fill(&self) {
        let mut ballast =
            std::fs::OpenOptions::new().create(true).append(true).open(self.path().join("ballast")).expect("a file");
        for piece in [1 << 20, 4096, 1] {
            while ballast.write_all(&vec![1; piece]).is_ok() {}
        }
    }

    /// Leaves about `free` bytes free.
    pub fn leave(&self, free: u64) {
        let stat = rustix::fs::statvfs(self.path()).expect("a disk");
        let taken = (stat.f_bavail * stat.f_frsize).saturating_sub(free);
        let mut ballast =
            std::fs::OpenOptions::new().create(true).append(true).open(self.path().join("ballast")).expect("a file");
        for _ in 0..taken >> 16 {
            ballast.write_all(&vec![1; 1 << 16]).expect("space");
        }
    }

    /// Deletes what filled it.
    pub fn empty(&self) {
        std::fs::remove_file(self.path().join("ballast")).expect("the ballast");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
