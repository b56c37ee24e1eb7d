//! Wrong keys are answered late, by address and in all; a right key is never held up by others' wrong ones.
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use ipnet::IpNet;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::server::{Exchange, network};

/// The least time that the answer to a wrong key takes.
const DENIED_DELAY: Duration = Duration::from_millis(300);

/// The most; whoever would have to wait longer is answered 429 then.
pub(super) const DENIED_DELAY_MAX: Duration = Duration::from_secs(10);

/// Wrong keys a second from one address, and how many of them may come at once.
const PER_ADDRESS: Rate = Rate { interval: Duration::from_millis(100), burst: 20 };

/// The same from all addresses together.
const IN_ALL: Rate = Rate { interval: Duration::from_millis(10), burst: 100 };

/// Addresses that are remembered; all others beyond that share one.
const ADDRESSES_MAX: usize = 4096;

struct Rate {
    interval: Duration,
    burst: u32,
}

impl Rate {
    /// How long the next one must wait, and when the one after that is due. `due` is when the next one is due.
    fn next(&self, due: Option<Instant>, now: Instant) -> (Duration, Instant) {
        let due = due.map_or(now, |due| due.max(now)) + self.interval;
        ((due - now).saturating_sub(self.interval * self.burst), due)
    }
}

/// Wrong keys that wait although too many wait; connections of those beyond are closed without an answer.
const THROTTLED_MAX: usize = 256;

pub(super) struct Throttle {
    dues: Mutex<Dues>,
    pub waiting: Semaphore,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { dues: Mutex::default(), waiting: Semaphore::new(THROTTLED_MAX) }
    }
}

/// When the next wrong key of each is due (the generic cell rate algorithm).
#[derive(Default)]
struct Dues {
    by_address: HashMap<IpAddr, Instant>,
    in_all: Option<Instant>,
}

impl Throttle {
    /// How long the answer to this wrong key takes; `None` where too many wait already.
    pub fn delay(&self, address: Option<IpAddr>, now: Instant) -> Option<Duration> {
        let mut dues = self.dues.lock().unwrap_or_else(PoisonError::into_inner);
        let address = dues.remembered(address.unwrap_or(IpAddr::from([0; 4])), now);
        let (for_address, address_due) = PER_ADDRESS.next(dues.by_address.get(&address).copied(), now);
        let (for_all, all_due) = IN_ALL.next(dues.in_all, now);
        let delay = for_address.max(for_all).max(DENIED_DELAY);
        if delay > DENIED_DELAY_MAX {
            return None;
        }
        dues.by_address.insert(address, address_due);
        dues.in_all = Some(all_due);
        Some(delay)
    }
}

impl Dues {
    fn remembered(&mut self, address: IpAddr, now: Instant) -> IpAddr {
        let address = network(address);
        if self.by_address.len() >= ADDRESSES_MAX && !self.by_address.contains_key(&address) {
            self.by_address.retain(|_, due| *due > now);
            if self.by_address.len() >= ADDRESSES_MAX {
                return IpAddr::from([0; 4]);
            }
        }
        address
    }
}

/// Whose request it is: the peer, or behind a trusted proxy the last address before it that is no trusted one.
pub(super) fn client_address(trusted: &[IpNet], exchange: Option<&Exchange>, headers: &HeaderMap) -> Option<IpAddr> {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(&address.to_canonical()));
    let peer = exchange?.connection.peer;
    if !is_trusted(&peer) {
        return Some(peer);
    }
    let forwarded = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let mut hops: Vec<&str> = forwarded.flat_map(|value| value.split(',')).collect();
    hops.reverse();
    let mut nearest = peer;
    for hop in hops {
        // What stands before an entry that cannot be read was not written by a trusted proxy.
        let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
        nearest = address;
        if !is_trusted(&address) {
            break;
        }
    }
    Some(nearest)
}
