//! The slots for connections: how many there are, and which connection is evicted when they run out.
//!
//! A connection that only waits for its client is evicted for a new one, the one that waited longest first. Requests for the
//! API have far fewer permits than there are slots, so the others are left to the webhook.
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::connection::Connection;
use super::timeouts::Socket;

/// Between two checks for connections whose time-out has passed.
const TIMEOUT_CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// How long to wait at most before checking again for a connection that can be evicted.
const FREE_SLOT_INTERVAL: Duration = Duration::from_millis(10);

/// How long a connection waits for its client before it may be closed for another: in a burst of connections, one that
/// is about to send its request must have the time to do so.
const AGE_MIN: Duration = Duration::from_millis(50);

/// Connections younger than this are not closed before older idle ones that served requests.
const GRACE: Duration = Duration::from_secs(1);

/// WebSockets at once that have not presented a key yet.
const ANONYMOUS_SOCKETS_MAX: usize = 64;

/// Slots of one listener; clones share them.
#[derive(Clone)]
pub(super) struct Slots(Arc<Inner>);

struct Inner {
    name: &'static str,
    capacity: usize,
    open: Mutex<Connections>,
    freed: Notify,
}

#[derive(Default)]
struct Connections {
    by_id: HashMap<u64, Arc<Connection>>,
    by_network: HashMap<IpAddr, usize>,
    next_id: u64,
}

/// A slot; dropping it frees it.
pub(super) struct Slot(pub Arc<Connection>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.slots.leave(self.0.id);
    }
}

impl Slots {
    /// `name` distinguishes listeners in the metrics.
    pub fn new(name: &'static str, capacity: usize) -> Self {
        Self(Arc::new(Inner { name, capacity, open: Mutex::default(), freed: Notify::new() }))
    }

    /// Waits until a connection may be accepted. If no slot is free, evicts one that waits for its client.
    pub async fn wait_for_slot(&self) {
        while !self.has_slot() {
            let _ = tokio::time::timeout(FREE_SLOT_INTERVAL, self.0.freed.notified()).await;
        }
    }

    fn has_slot(&self) -> bool {
        let mut open = self.lock();
        open.by_id.len() < self.0.capacity || open.evict(|_| true)
    }

    /// Takes a slot. One network holds at most half of them: beyond that it loses its own oldest.
    pub fn enter(&self, peer: IpAddr, bound: SocketAddr) -> Slot {
        let mut open = self.lock();
        let network = network(peer);
        if open.by_network.get(&network).is_some_and(|count| *count >= self.0.capacity / 2) {
            open.evict(|connection| connection.network == network);
        }
        open.next_id += 1;
        let id = open.next_id;
        let connection = Arc::new(Connection::new(id, peer, network, bound, self.clone()));
        open.by_id.insert(id, connection.clone());
        *open.by_network.entry(network).or_default() += 1;
        Slot(connection)
    }

    /// Closes the connection that has waited longest for its client, so that a file can be opened.
    pub fn evict_one(&self) {
        self.lock().evict(|_| true);
    }

    /// Closes a connection that withholds the rest of a body.
    pub fn evict_withheld_body(&self) {
        let now = Instant::now();
        self.lock().evict(|connection| connection.activity().withholds_body(now));
    }

    /// Closes the oldest of the WebSockets without a key when there are too many of them.
    pub fn bound_anonymous_sockets(&self) {
        let is_anonymous = |connection: &Connection| connection.activity().socket == Some(Socket::Anonymous);
        let mut open = self.lock();
        let sockets = open.by_id.values().filter(|connection| is_anonymous(connection)).count();
        for _ in ANONYMOUS_SOCKETS_MAX..sockets {
            open.evict(is_anonymous);
        }
    }

    fn leave(&self, id: u64) {
        self.lock().remove(id);
        self.freed();
    }

    /// Notifies that a slot may be free now.
    pub fn freed(&self) {
        self.0.freed.notify_one();
    }

    /// Closes connections whose time-out has passed, in a loop without end.
    pub async fn close_overdue(self) {
        let mut tick = tokio::time::interval(TIMEOUT_CHECK_INTERVAL);
        loop {
            let now = tick.tick().await;
            let mut open = self.lock();
            metrics::gauge!("acervo_connections", "listener" => self.0.name).set(open.by_id.len() as f64);
            let overdue: Vec<(u64, &'static str)> = open
                .by_id
                .iter()
                .filter_map(|(id, connection)| Some((*id, connection.activity().overdue(now)?)))
                .collect();
            for (id, reason) in overdue {
                open.close(id, reason);
            }
            drop(open);
            self.freed();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    /// Closes the connection that has waited longest for its client, among those that `may` be closed. One that never
    /// sent a request goes before one that did, and one with a response to a request with valid credentials stays,
    /// unless there are many of those.
    fn evict(&mut self, may: impl Fn(&Connection) -> bool) -> bool {
        let now = Instant::now();
        let candidates: Vec<_> = self.by_id.iter().filter(|(_, connection)| may(connection)).collect();
        let trusted = candidates.iter().filter(|(_, connection)| connection.activity().is_trusted()).count();
        let protects_trusted = trusted <= candidates.len() / 4;
        let rank = |connection: &Connection| {
            let activity = connection.activity();
            let since = activity.waiting_since(now)?;
            let waited = now.saturating_duration_since(since);
            let goes_first = !activity.has_served && waited >= GRACE;
            let stays = waited < AGE_MIN || (protects_trusted && activity.is_trusted());
            (!stays).then_some((!goes_first, since))
        };
        let chosen = candidates.iter().filter_map(|(id, connection)| Some((rank(connection)?, **id))).min();
        match chosen {
            Some((_, id)) => {
                self.close(id, "evicted");
                true
            }
            None => false,
        }
    }

    fn close(&mut self, id: u64, reason: &'static str) {
        if let Some(connection) = self.remove(id) {
            metrics::counter!("acervo_connections_closed_total", "reason" => reason).increment(1);
            connection.close();
        }
    }

    fn remove(&mut self, id: u64) -> Option<Arc<Connection>> {
        let connection = self.by_id.remove(&id)?;
        if let Some(count) = self.by_network.get_mut(&connection.network) {
            *count -= 1;
            if *count == 0 {
                self.by_network.remove(&connection.network);
            }
        }
        Some(connection)
    }
}

/// What counts as one client: an IPv4 address, or the /64 that one IPv6 host usually has.
pub(in crate::http) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entered(slots: &Slots) -> Slot {
        slots.enter(IpAddr::from([127, 0, 0, 1]), SocketAddr::from(([127, 0, 0, 1], 80)))
    }

    /// A connection that was read, and has waited for its client since.
    fn waiting(slots: &Slots, waited: Duration) -> Slot {
        let slot = entered(slots);
        slot.0.note_awaits_read();
        slot.0.activity().since -= waited;
        slot
    }

    fn is_closed(slot: &Slot) -> bool {
        !slot.0.slots.lock().by_id.contains_key(&slot.0.id)
    }

    #[test]
    fn a_connection_is_read_and_has_time_to_send_before_it_is_closed_for_another() {
        let slots = Slots::new("test", 100);
        let unread = entered(&slots);
        unread.0.activity().since -= 2 * GRACE;
        let young = waiting(&slots, Duration::ZERO);
        slots.evict_one();
        assert!(!is_closed(&unread) && !is_closed(&young));
        let silent = waiting(&slots, AGE_MIN);
        slots.evict_one();
        assert!(is_closed(&silent) && !is_closed(&unread) && !is_closed(&young));
    }

    #[test]
    fn one_that_brought_a_notification_stays_unless_many_did() {
        let slots = Slots::new("test", 100);
        let trusted: Vec<_> = (0..2).map(|_| waiting(&slots, 4 * GRACE)).collect();
        let trust = |slot: &Slot| {
            let mut activity = slot.0.activity();
            (activity.is_known, activity.has_served) = (true, true);
        };
        trust(&trusted[0]);
        // It sent the credentials, and withholds its body.
        trusted[1].0.activity().is_known = true;
        let others: Vec<_> = (0..2).map(|_| waiting(&slots, GRACE / 2)).collect();
        slots.evict_one();
        assert!(is_closed(&trusted[1]), "a head alone earned trust");
        let more = waiting(&slots, GRACE / 2);
        slots.evict_one();
        assert!(!is_closed(&trusted[0]) && others.iter().chain([&more]).filter(|slot| is_closed(slot)).count() == 1);
        others.iter().for_each(trust);
        trust(&more);
        slots.evict_one();
        assert!(is_closed(&trusted[0]), "where all are trusted, the oldest goes");
    }
}
