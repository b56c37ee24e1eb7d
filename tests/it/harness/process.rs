//! The binary, run as an operator runs it.
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use secrecy::ExposeSecret;

use super::polling::Polling;
pub use super::ports::free_port;
use super::{Api, KEY, TOKEN, TestApp};

/// `acervo serve` as a process of its own, and its client.
pub struct Served {
    child: Child,
    api: Api,
    pub log: PathBuf,
}

impl Deref for Served {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

/// The binary with the tests' settings.
pub fn acervo(folder: &Path) -> Command {
    acervo_from(env!("CARGO_BIN_EXE_acervo"), folder)
}

/// Another build of it with the tests' settings.
pub fn acervo_from(binary: &str, folder: &Path) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ACERVO_")) {
        command.env_remove(name);
    }
    command
        .current_dir(folder)
        // Messages in English, whatever the language of who runs the tests.
        .env("LC_ALL", "C")
        .env("ACERVO_DATA_DIR", folder.join("data"))
        .env("ACERVO_RECEIVER_TOKEN", TOKEN)
        .env("ACERVO_API_TOKEN", KEY)
        .env("ACERVO_FETCH_ALLOWED_HOSTS", "127.0.0.1")
        .env("ACERVO_FETCH_ALLOW_PRIVATE", "true")
        .env("ACERVO_FETCH_RETRY_FIRST", "50ms")
        .env("ACERVO_FETCH_RETRY_MAX", "1s")
        .env("ACERVO_LOG_FORMAT", "json");
    command
}

/// A shell that runs a line in the environment of a command that was prepared; `"$0" "$@"` in it is that command.
pub fn in_shell(line: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        shell.current_dir(folder);
    }
    shell
}

/// Runs a command to its end.
pub fn run(folder: &Path, args: &[&str]) -> Output {
    acervo(folder).args(args).output().expect("a binary that starts")
}

/// What a command printed; it must have ended well.
pub fn printed(folder: &Path, args: &[&str]) -> String {
    let output = run(folder, args);
    assert!(output.status.success(), "{args:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Runs `acervo import` on the data of a running service. Returns its exit code, its output and its errors.
pub fn imported(app: &TestApp, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = acervo(app.folder.path());
    command.envs(app.app.settings.database_url.iter().map(|url| ("ACERVO_DATABASE_URL", url.expose_secret())));
    let output = command.arg("import").args(args).output().expect("a binary that starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

impl Served {
    /// Starts it on a port and waits until it is ready.
    pub fn start(folder: &Path, port: u16, level: &str) -> Self {
        Self::spawn(acervo(folder), folder.join("log.txt"), port, level)
    }

    /// The same with a command that was prepared.
    pub fn spawn(mut command: Command, log: PathBuf, port: u16, level: &str) -> Self {
        // For the clients of this process; an error means that it is there already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sink = std::fs::OpenOptions::new().create(true).append(true).open(&log).expect("a log");
        let address = format!("127.0.0.1:{port}");
        command.arg("serve").env("ACERVO_LISTEN", &address).env("ACERVO_LOG", level);
        let child = command.stdout(Stdio::null()).stderr(sink).spawn().expect("a binary that starts");
        let mut served = Self { child, api: Api::of_process(format!("http://{address}"), &log), log };
        let polling = Polling::start();
        while !ready(&address) {
            let ended = served.child.try_wait().expect("a child");
            assert!(ended.is_none(), "it does not serve: {}", served.logged());
            polling.pause_thread(|| format!("it does not serve: {}", served.logged()));
        }
        served
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn logged(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Kills it, as a power cut would; the disk keeps what was written.
    pub fn kill(&mut self) {
        self.child.kill().expect("a process");
        self.child.wait().expect("its end");
    }

    /// Asks it to stop and gives its exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        self.ask_to_stop();
        self.ended()
    }

    pub fn ask_to_stop(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// Stops it in the middle of whatever it does, until [`Self::resume`].
    pub fn pause(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    pub fn resume(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("a process");
    }

    /// Waits for its end and gives its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        self.child.wait().expect("its end").code()
    }

    /// Bytes of memory that are its own.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a process");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a figure");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") << 10
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ready(address: &str) -> bool {
    use std::io::{Read, Write};
    let Ok(mut stream) = std::net::TcpStream::connect(address) else { return false };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let asked = stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let mut answer = String::new();
    asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200")
}
