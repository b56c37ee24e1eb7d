//! The end of a listener: it stops accepting, and requests in progress finish.
use std::time::Duration;

use tokio::net::TcpListener;

/// How long requests may take to end once no connections are accepted any more; less than stopping may take in all.
pub(super) const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

/// How long after the last connection another may still be completing its handshake.
pub(super) const HANDSHAKE_PERIOD: Duration = Duration::from_millis(20);

/// How long a connection that was accepted last may take to send a request.
pub(super) const FIRST_REQUEST_PERIOD: Duration = Duration::from_millis(250);

/// Makes the system drop new connections without an answer: the client tries again after a second, when nothing listens any
/// more, and then connects elsewhere. Closing the listener during a handshake would reset that connection.
#[cfg(target_os = "linux")]
pub(super) fn stop_accepting(listener: &TcpListener) {
    use socket2::{SockFilter, SockRef};
    // A packet filter (classic BPF): load the byte of the flags from the head, and if SYN is among them drop the packet.
    const FLAGS_AT: u32 = 13;
    const SYN: u32 = 0x02;
    let filter = [
        SockFilter::new(0x30, 0, 0, FLAGS_AT),
        SockFilter::new(0x45, 0, 1, SYN),
        SockFilter::new(0x06, 0, 0, 0),
        SockFilter::new(0x06, 0, 0, u32::MAX),
    ];
    if let Err(e) = SockRef::from(listener).attach_filter(&filter) {
        tracing::debug!(error = %e, "new connections cannot be dropped while the listener closes");
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn stop_accepting(_: &TcpListener) {}
