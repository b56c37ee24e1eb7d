//! The process that runs the parsers.
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::process::{Resource, Rlimit, setrlimit};

use super::{COMMAND, Kind};

/// The result follows this byte, because parsers may print; no text has it.
pub(super) const MARK: u8 = 0;

/// Sets the limits and starts this program anew, since what it had reserved before would not count. `memory_max` is in bytes, `cpu_max` in
/// seconds.
pub fn limit_and_run(kind: &str, text_max: usize, memory_max: u64, cpu_max: u64) -> ExitCode {
    limit(memory_max, cpu_max);
    let Ok(program) = super::process::own_program() else { return ExitCode::FAILURE };
    // It returns only if it fails.
    let _ = Command::new(program).args([COMMAND, "--limited", kind]).args([text_max.to_string()]).exec();
    ExitCode::FAILURE
}

/// Reads a document from the standard input, and writes its lines to the standard output.
pub fn run(kind: &str, text_max: usize) -> ExitCode {
    crate::threads::lower_priority_to_lowest();
    let Some(kind) = Kind::parse(kind) else { return ExitCode::from(2) };
    let mut bytes = Vec::new();
    if std::io::stdin().lock().read_to_end(&mut bytes).is_err() {
        return ExitCode::FAILURE;
    }
    let answer = match super::read(kind, &bytes, text_max) {
        Ok(lines) => lines.encode(),
        Err(reason) => [b"-", reason.as_bytes()].concat(),
    };
    let mut output = std::io::stdout().lock();
    let written = output.write_all(&[MARK]).and_then(|()| output.write_all(&answer)).and_then(|()| output.flush());
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What the system refuses stays as it was: the deadline of the parent holds all the same.
fn limit(memory_max: u64, cpu_max: u64) {
    let limits = [
        (Resource::As, memory_max),
        (Resource::Cpu, cpu_max),
        // Parsers have no reason to write files, and a crash must not leave the memory of one.
        (Resource::Fsize, 0),
        (Resource::Core, 0),
    ];
    for (resource, value) in limits {
        let _ = setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) });
    }
}
