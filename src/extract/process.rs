//! Runs a parser in a process of its own.
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::child::MARK;
use super::{COMMAND, Kind, Lines};

/// How much reading a document may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Memory of the process that reads a PDF or workbook.
    pub memory_max: u64,
    pub time_max: Duration,
}

/// What a parser may print in addition to the lines.
const NOISE_MAX: u64 = 1 << 20;

/// How often it is checked whether the work was cancelled.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// This program. On Linux this is the file of the running process even if an upgrade has replaced it.
pub(super) fn own_program() -> std::io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() }
}

/// Reads documents.
#[derive(Clone, Debug)]
pub struct Extractor {
    program: PathBuf,
    limits: Limits,
}

impl Extractor {
    /// `program` runs the command of the child process; `None`: this program.
    pub fn new(program: Option<PathBuf>, limits: Limits) -> Self {
        let program = program.unwrap_or_else(|| own_program().unwrap_or_else(|_| "acervo".into()));
        Self { program, limits }
    }

    /// The lines of a document, of which up to `text_max` bytes are kept; an error says why it cannot be read. Blocks for at most the time
    /// limit, or until `is_cancelled`.
    pub fn read(
        &self,
        kind: Kind,
        bytes: &[u8],
        text_max: usize,
        is_cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Lines, String> {
        match kind {
            Kind::Text => super::read(kind, bytes, text_max),
            Kind::Pdf | Kind::Workbook => self.read_in_process(kind, bytes, text_max, is_cancelled),
        }
    }

    fn read_in_process(
        &self,
        kind: Kind,
        bytes: &[u8],
        text_max: usize,
        is_cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Lines, String> {
        let Limits { memory_max, time_max } = self.limits;
        let mut child = Command::new(&self.program)
            .arg(COMMAND)
            .args([kind.as_str(), &text_max.to_string(), &memory_max.to_string()])
            .arg(time_max.as_secs().max(1).to_string())
            // Secrets of the service are in its environment.
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("the process that reads it does not start: {e}"))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let child = Mutex::new(child);
        let (done, waits) = mpsc::channel::<()>();
        let (answer, is_late) = std::thread::scope(|scope| {
            scope.spawn(move || input.map(|mut input| input.write_all(bytes)));
            let watched = &child;
            let watch = scope.spawn(move || kill_when_late(watched, &waits, time_max, is_cancelled));
            let mut answer = Vec::new();
            let bytes_max = text_max as u64 + NOISE_MAX;
            let read = output.map(|output| output.take(bytes_max).read_to_end(&mut answer));
            let is_complete = matches!(read, Some(Ok(n)) if (n as u64) < bytes_max);
            if !is_complete {
                kill(&child);
            }
            drop(done);
            (if is_complete { answer } else { Vec::new() }, watch.join().unwrap_or(true))
        });
        let ended = child.into_inner().unwrap_or_else(PoisonError::into_inner).wait();
        if is_late {
            return Err(format!("reading it took longer than {} s", time_max.as_secs()));
        }
        let has_failed = !ended.is_ok_and(|status| status.success());
        let start = answer.iter().rposition(|byte| *byte == MARK).filter(|_| !has_failed);
        let Some(answer) = start.and_then(|at| answer.get(at + 1..)) else {
            return Err("its parser failed, or needed more memory or time than it may take".to_owned());
        };
        if let Some((b'-', reason)) = answer.split_first() {
            return Err(String::from_utf8_lossy(reason).chars().filter(|c| !c.is_control()).take(200).collect());
        }
        Lines::decode(answer).ok_or_else(|| "its parser gave no text".to_owned())
    }
}

fn kill(child: &Mutex<Child>) {
    // It may have ended already.
    let _ = child.lock().unwrap_or_else(PoisonError::into_inner).kill();
}

/// Kills the process if it has not ended in time. Returns whether it had to.
fn kill_when_late(
    child: &Mutex<Child>,
    waits: &mpsc::Receiver<()>,
    time_max: Duration,
    is_cancelled: &(dyn Fn() -> bool + Sync),
) -> bool {
    let began = Instant::now();
    loop {
        match waits.recv_timeout(CHECK_EVERY) {
            Err(RecvTimeoutError::Timeout) if began.elapsed() < time_max && !is_cancelled() => {}
            Err(RecvTimeoutError::Timeout) => {
                kill(child);
                return true;
            }
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}
