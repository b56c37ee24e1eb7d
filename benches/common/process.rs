//! Servers in processes of their own.
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::common::Connection;

/// A server process, which is killed when dropped.
pub struct Process {
    pub address: String,
    pub child: Child,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts a command that listens on an address, and waits until it does.
    pub fn start(command: &mut Command, address: String) -> Self {
        let child = command.stdout(Stdio::null()).spawn().expect("a command that starts");
        let mut process = Self { address, child };
        let began = Instant::now();
        while std::net::TcpStream::connect(&process.address).is_err() {
            let ended = process.child.try_wait().expect("a process");
            assert!(ended.is_none(), "{command:?} ended: {ended:?}");
            assert!(began.elapsed() < Duration::from_secs(60), "{command:?} does not listen on {}", process.address);
            std::thread::sleep(Duration::from_millis(20));
        }
        process
    }

    /// Starts `acervo serve` on a data folder, with further settings, and waits until it is ready.
    pub async fn acervo(data: &std::path::Path, settings: &[(&str, &str)]) -> Self {
        let address = free_address();
        let mut command = Command::new(env!("CARGO_BIN_EXE_acervo"));
        command.arg("serve").env("ACERVO_DATA_DIR", data).env("ACERVO_LISTEN", &address).envs(settings.iter().copied());
        let process = Self::start(&mut command, address);
        let mut connection = Connection::open(&process.address).await;
        while connection.send(b"GET /readyz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        process
    }
}

pub fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}
