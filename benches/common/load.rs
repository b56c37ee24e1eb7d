//! The load client: a process with one thread that sends notifications over keep-alive connections, the next one as soon as
//! the last one is answered. It costs a few microseconds per request, so that the service is what is measured.
use std::cell::{Cell, RefCell};
use std::io;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use super::common::{milliseconds, percentile};
use super::notices::{Kind, Template};
use super::usage::Usage;

/// What to send.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    pub address: String,
    pub links: String,
    pub kind: Kind,
    pub connections: usize,
    /// Seconds that are not measured.
    pub warm_up: f64,
    pub seconds: f64,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Load {
    /// Answered 202 per second.
    pub rate: f64,
    /// Milliseconds.
    pub p50: f64,
    pub p99: f64,
    /// All that were sent and all that were answered 202, also those that were not measured.
    pub sent: u64,
    pub accepted: u64,
    /// The first other response.
    pub refusal: Option<String>,
    pub per_second: Vec<u64>,
    /// Microseconds of the client's CPU time per request.
    pub client_cpu: f64,
}

/// Runs a client in another process.
pub fn load(order: &Order) -> Load {
    let mut client = Command::new(std::env::current_exe().expect("this binary"));
    client.arg("client").arg(serde_json::to_string(order).expect("JSON")).stderr(Stdio::inherit());
    let output = client.output().expect("a client");
    assert!(output.status.success(), "the client ended with {}", output.status);
    let load: Load = serde_json::from_slice(&output.stdout).expect("the client's result");
    assert!(load.accepted == load.sent, "{} of {} were accepted; {:?}", load.accepted, load.sent, load.refusal);
    load
}

/// The client's process.
pub fn client(order: &str) {
    let order: Order = serde_json::from_str(order).expect("an order");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let load = LocalSet::new().block_on(&runtime, run(&order));
    println!("{}", serde_json::to_string(&load).expect("JSON"));
}

async fn run(order: &Order) -> Load {
    let template = Template::new(order.kind, &order.links);
    let began = Usage::of(std::process::id());
    let tally = Rc::new(Tally::new(order));
    let connections: Vec<_> = (0..order.connections)
        .map(|_| tokio::task::spawn_local(drive(order.address.clone(), template.clone(), tally.clone())))
        .collect();
    for connection in connections {
        connection.await.expect("a connection's task");
    }
    let cpu = Usage::of(std::process::id()).cpu - began.cpu;
    let mut took = tally.took.take();
    took.sort_unstable();
    assert!(!took.is_empty(), "nothing was answered; {:?}", tally.refusal.take());
    let sent = tally.next.get();
    Load {
        rate: took.len() as f64 / order.seconds,
        p50: milliseconds(percentile(&took, 0.5)),
        p99: milliseconds(percentile(&took, 0.99)),
        sent,
        accepted: tally.accepted.get(),
        refusal: tally.refusal.take(),
        per_second: tally.per_second.take(),
        client_cpu: cpu * 1e6 / sent as f64,
    }
}

struct Tally {
    next: Cell<u64>,
    accepted: Cell<u64>,
    refusal: RefCell<Option<String>>,
    begins: Instant,
    ends: Instant,
    took: RefCell<Vec<Duration>>,
    per_second: RefCell<Vec<u64>>,
}

impl Tally {
    fn new(order: &Order) -> Self {
        let begins = Instant::now() + Duration::from_secs_f64(order.warm_up);
        let per_second = RefCell::new(vec![0; order.seconds.ceil() as usize]);
        let ends = begins + Duration::from_secs_f64(order.seconds);
        let (accepted, refusal, took) = (Cell::default(), RefCell::default(), RefCell::default());
        Self { next: Cell::default(), accepted, refusal, begins, ends, took, per_second }
    }

    fn take_number(&self) -> u64 {
        self.next.replace(self.next.get() + 1)
    }

    fn note(&self, sent: Instant, answered: Instant) {
        self.accepted.set(self.accepted.get() + 1);
        if answered >= self.begins && answered < self.ends {
            self.took.borrow_mut().push(answered - sent);
            self.per_second.borrow_mut()[(answered - self.begins).as_secs() as usize] += 1;
        }
    }
}

/// A connection, until the time is over or a request is not accepted.
async fn drive(address: String, mut template: Template, tally: Rc<Tally>) {
    let mut stream = TcpStream::connect(address).await.expect("a service");
    stream.set_nodelay(true).expect("a socket");
    let mut buffer = vec![0; 16 << 10];
    let mut sent = Instant::now();
    while sent < tally.ends {
        let request = template.render(tally.take_number());
        let response = exchange(&mut stream, request, &mut buffer).await;
        if let Err(refusal) = response {
            tally.refusal.borrow_mut().get_or_insert(refusal.to_string());
            return;
        }
        let answered = Instant::now();
        tally.note(sent, answered);
        sent = answered;
    }
}

/// Sends a request and reads the response. An error if it is not a 202.
async fn exchange(stream: &mut TcpStream, request: &[u8], buffer: &mut [u8]) -> io::Result<()> {
    stream.write_all(request).await?;
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        filled += read;
        let response = &buffer[..filled];
        if length(response).is_some_and(|length| length <= filled) {
            if response.starts_with(b"HTTP/1.1 202") {
                return Ok(());
            }
            return Err(io::Error::other(String::from_utf8_lossy(response)));
        }
    }
}

/// The length of a response whose head has been read.
fn length(response: &[u8]) -> Option<usize> {
    let end = memchr::memmem::find(response, b"\r\n\r\n")? + 4;
    // `content-length` in the two spellings that servers use.
    let at = memchr::memmem::find(&response[..end], b"ength: ")? + 7;
    let body = response[at..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(end + body.fold(0, |n, digit| n * 10 + usize::from(digit - b'0')))
}
