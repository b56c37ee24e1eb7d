//! Progress of a long command: a bar on a terminal, a line now and then elsewhere.
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::language::say;
use super::output;

/// Without a terminal, the time between two lines.
const INTERVAL: Duration = Duration::from_secs(10);

/// The time that is left, in the template of a bar.
pub(super) fn eta() -> String {
    say!("cli-progress-eta", eta = "{eta}")
}

pub(super) struct Progress {
    bar: ProgressBar,
    what: String,
    is_terminal: bool,
    printed_at: Instant,
}

impl Progress {
    /// `what` is counted.
    pub fn new(what: &str) -> anyhow::Result<Self> {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = if is_terminal { ProgressBar::no_length() } else { ProgressBar::hidden() };
        bar.set_style(ProgressStyle::with_template(&format!(
            "{{wide_bar}} {{pos}}/{{len}} {{msg}}, {{per_sec}}, {}",
            eta()
        ))?);
        bar.set_message(what.to_owned());
        Ok(Self { bar, what: what.to_owned(), is_terminal, printed_at: Instant::now() })
    }

    pub fn set(&mut self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
        if !self.is_terminal && self.printed_at.elapsed() >= INTERVAL {
            self.printed_at = Instant::now();
            output::print_message(&say!("cli-progress-of", done = done, total = total, what = self.what.as_str()));
        }
    }

    /// The same for a command of several steps.
    pub fn step(&mut self, what: &str, done: u64, total: u64) {
        if self.what != what {
            self.what = what.to_owned();
            self.bar.set_message(self.what.clone());
            self.bar.reset_eta();
        }
        self.set(done, total);
    }

    pub fn message(&self, text: &str) {
        self.bar.suspend(|| output::print_message(text));
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
