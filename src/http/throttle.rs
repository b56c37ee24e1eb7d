//! Wrong keys are answered late, by address and in total; a right key is never delayed by others' wrong ones.
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use ipnet::IpNet;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::server::{Exchange, network};

/// The least delay of the response to a wrong key.
const DENIED_DELAY: Duration = Duration::from_millis(300);

/// The longest delay; a wrong key that would wait longer is answered 429 then.
pub(super) const DENIED_DELAY_MAX: Duration = Duration::from_secs(10);

/// Wrong keys a second from one address, and how many of them may come at once.
const PER_ADDRESS: Rate = Rate { interval: Duration::from_millis(100), burst: 20 };

/// The same for all addresses together.
const TOTAL: Rate = Rate { interval: Duration::from_millis(10), burst: 100 };

/// Addresses that are remembered; those beyond share one.
const ADDRESSES_MAX: usize = 4096;

struct Rate {
    interval: Duration,
    burst: u32,
}

impl Rate {
    /// The delay of the next one, and when the one after it is due. `due` is when the next one is due.
    fn next(&self, due: Option<Instant>, now: Instant) -> (Duration, Instant) {
        let due = due.map_or(now, |due| due.max(now)) + self.interval;
        ((due - now).saturating_sub(self.interval * self.burst), due)
    }
}

/// Wrong keys that wait for their 429; connections of those beyond are closed without a response.
const THROTTLED_MAX: usize = 256;

pub(super) struct Throttle {
    dues: Mutex<NextReplies>,
    pub waiting: Semaphore,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { dues: Mutex::default(), waiting: Semaphore::new(THROTTLED_MAX) }
    }
}

/// When the next wrong key of each address is due (the generic cell rate algorithm).
///
/// Not `governor`: a wrong key counts against both limits or against none, and is given its turn in advance.
#[derive(Default)]
struct NextReplies {
    by_address: HashMap<IpAddr, Instant>,
    in_all: Option<Instant>,
}

impl Throttle {
    /// The delay of the response to this wrong key; `None` if too many wait already.
    pub fn delay(&self, address: Option<IpAddr>, now: Instant) -> Option<Duration> {
        let mut dues = self.dues.lock().unwrap_or_else(PoisonError::into_inner);
        let address = dues.remembered(address.unwrap_or(IpAddr::from([0; 4])), now);
        let (for_address, address_due) = PER_ADDRESS.next(dues.by_address.get(&address).copied(), now);
        let (for_all, all_due) = TOTAL.next(dues.in_all, now);
        let delay = for_address.max(for_all).max(DENIED_DELAY);
        if delay > DENIED_DELAY_MAX {
            return None;
        }
        dues.by_address.insert(address, address_due);
        dues.in_all = Some(all_due);
        Some(delay)
    }
}

impl NextReplies {
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

/// The address of the client: the peer, or behind a trusted proxy the last address that is not a trusted proxy.
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
        // An entry before one that cannot be parsed was not written by a trusted proxy.
        let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
        nearest = address;
        if !is_trusted(&address) {
            break;
        }
    }
    Some(nearest)
}
