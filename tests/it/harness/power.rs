//! A disk that loses what was not synced: see `power.c`.
use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

pub struct Disk {
    /// The service's data folder.
    pub folder: PathBuf,
    platter: PathBuf,
    /// Syncs of paths with this part are acknowledged and not carried out.
    pub lie: String,
}

impl Disk {
    /// An empty disk in a folder.
    pub fn new(below: &Path) -> Self {
        let folder = below.join("data");
        std::fs::create_dir(&folder).expect("a folder");
        let disk = Self { folder, platter: below.join("platter"), lie: String::new() };
        disk.take_image();
        disk
    }

    /// Puts a command on this disk.
    pub fn attach(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", library())
            .env("ACERVO_DISK", &self.folder)
            .env("ACERVO_PLATTER", &self.platter)
            .env("ACERVO_LIE", &self.lie);
    }

    /// Cuts the power: only what was synced remains. Returns how many files lost bytes or were lost.
    pub fn cut_power(&self) -> usize {
        let aside = self.folder.with_extension("before");
        std::fs::rename(&self.folder, &aside).expect("a folder put aside");
        let inode = aside.metadata().expect("a folder").ino();
        std::fs::create_dir(&self.folder).expect("a folder");
        let mut seen = HashSet::new();
        self.rebuild(inode, &self.folder, &mut seen);
        let differing = differing(&aside, &self.folder);
        std::fs::remove_dir_all(&aside).expect("a folder that goes");
        self.take_image();
        differing
    }

    fn rebuild(&self, inode: u64, to: &Path, seen: &mut HashSet<u64>) {
        assert!(seen.insert(inode), "a folder inside itself");
        // A folder that was never synced has no entries.
        let Ok(names) = std::fs::read_to_string(self.platter.join(format!("d.{inode}"))) else { return };
        for line in names.lines() {
            let mut fields = line.splitn(3, ' ');
            let mut field = || fields.next().expect("three fields");
            let (inode, kind, name) = (field(), field(), field());
            let path = to.join(name);
            if kind == "4" {
                std::fs::create_dir(&path).expect("a folder");
                self.rebuild(inode.parse().expect("a number"), &path, seen);
            } else {
                let synced = std::fs::read(self.platter.join(format!("f.{inode}"))).unwrap_or_default();
                std::fs::write(&path, synced).expect("a file");
            }
        }
    }

    /// Copies the folder's present content as the state of the disk.
    fn take_image(&self) {
        let _ = std::fs::remove_dir_all(&self.platter);
        std::fs::create_dir(&self.platter).expect("a folder");
        self.image_of(&self.folder);
    }

    fn image_of(&self, folder: &Path) {
        let mut names = String::new();
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let entry = entry.expect("an entry");
            let what = entry.metadata().expect("metadata");
            let kind = if what.is_dir() { 4 } else { 8 };
            names += &format!("{} {kind} {}\n", what.ino(), entry.file_name().to_string_lossy());
            if what.is_dir() {
                self.image_of(&entry.path());
            } else {
                std::fs::copy(entry.path(), self.platter.join(format!("f.{}", what.ino()))).expect("a copy");
            }
        }
        let inode = folder.metadata().expect("a folder").ino();
        std::fs::write(self.platter.join(format!("d.{inode}")), names).expect("a file");
    }
}

fn differing(before: &Path, after: &Path) -> usize {
    let files = super::files_in(before);
    let lost = |path: &&PathBuf| {
        let now = after.join(path.strip_prefix(before).expect("a path below"));
        std::fs::read(path).ok() != std::fs::read(now).ok()
    };
    files.iter().filter(lost).count()
}

/// The shim, compiled at its first use.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = LIBRARY.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("power.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/harness/power.c");
        let compiled =
            Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&path).args([source, "-ldl"]).status();
        assert!(compiled.is_ok_and(|status| status.success()), "the C compiler does not compile {source}");
        (folder, path)
    });
    path
}
