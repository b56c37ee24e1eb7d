//! Peers that run on Node.js, installed with npm.
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::process::Process;

/// Installs packages and copies a file of `benches/peers` beside them. Returns the folder, which later runs use again; `None`
/// where the packages cannot be installed.
pub fn install(name: &str, file: &str, packages: &[&str]) -> Option<PathBuf> {
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&home).expect("a folder");
    let source = PathBuf::from("benches/peers").join(file);
    std::fs::copy(&source, home.join(source.file_name()?)).expect("the peer's source");
    let installed = home.join("installed");
    let wanted = packages.join(" ");
    if std::fs::read_to_string(&installed).is_ok_and(|packages| packages == wanted) {
        return Some(home);
    }
    let mut npm = Command::new("npm");
    npm.args(["install", "--silent", "--no-audit", "--no-fund"])
        .args(packages)
        .current_dir(&home)
        .stdout(Stdio::null());
    npm.status().is_ok_and(|status| status.success()).then_some(())?;
    std::fs::write(installed, wanted).expect("a file");
    Some(home)
}

/// Starts a script that prints its port; `None` if it does not.
pub fn start(home: &std::path::Path, script: &str, argument: impl AsRef<std::ffi::OsStr>) -> Option<Process> {
    let mut command = Command::new("node");
    command.arg(script).arg(argument).current_dir(home).env("NODE_ENV", "production").stdout(Stdio::piped());
    let mut child = command.spawn().ok()?;
    let output = child.stdout.take()?;
    // Ends the child if it does not print a port.
    let mut process = Process { address: String::new(), child };
    let mut port = String::new();
    BufReader::new(output).read_line(&mut port).ok()?;
    process.address = format!("127.0.0.1:{}", port.trim().parse::<u16>().ok()?);
    Some(process)
}
