//! The places for connections: how many there are, and whose is taken when they run out.
//!
//! A place that only waits for its client is given to a newcomer, the one that waited longest first. Requests for the
//! API hold far fewer permits than there are places, so what is left is the webhook's alone.
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::connection::Connection;
use super::timeouts::Socket;

/// Between two looks for connections whose time-out has passed.
const SWEEP_INTERVAL: Duration = Duration::from_millis(500);

/// How long to wait at most before looking again for a place that may be taken.
const ROOM_INTERVAL: Duration = Duration::from_millis(10);

/// How long a connection waits for its client before it may be closed for another: in a burst of connections, one that
/// is about to send its request must have the time to do so.
const AGE_MIN: Duration = Duration::from_millis(50);

/// Connections younger than this are not closed before older idle ones that served requests.
const GRACE: Duration = Duration::from_secs(1);

/// WebSockets at once that have shown no key yet.
const ANONYMOUS_SOCKETS_MAX: usize = 64;

/// Places of one listener; clones share them.
#[derive(Clone)]
pub(super) struct Places(Arc<Inner>);

struct Inner {
    name: &'static str,
    capacity: usize,
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Default)]
struct Taken {
    connections: HashMap<u64, Arc<Connection>>,
    by_network: HashMap<IpAddr, usize>,
    next_id: u64,
}

/// A place; dropping it gives it back.
pub(super) struct Place(pub Arc<Connection>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.places.leave(self.0.id);
    }
}

impl Places {
    /// `name` tells listeners apart in the metrics.
    pub fn new(name: &'static str, capacity: usize) -> Self {
        Self(Arc::new(Inner { name, capacity, taken: Mutex::default(), freed: Notify::new() }))
    }

    /// Waits until a connection may be accepted, closing one that waits for its client where no place is free.
    pub async fn make_room(&self) {
        while !self.has_room() {
            let _ = tokio::time::timeout(ROOM_INTERVAL, self.0.freed.notified()).await;
        }
    }

    fn has_room(&self) -> bool {
        let mut taken = self.lock();
        taken.connections.len() < self.0.capacity || taken.evict(|_| true)
    }

    /// Takes a place. One network holds at most half of them: beyond that it loses its own oldest.
    pub fn enter(&self, peer: IpAddr, bound: SocketAddr) -> Place {
        let mut taken = self.lock();
        let network = network(peer);
        if taken.by_network.get(&network).is_some_and(|count| *count >= self.0.capacity / 2) {
            taken.evict(|connection| connection.network == network);
        }
        taken.next_id += 1;
        let id = taken.next_id;
        let connection = Arc::new(Connection::new(id, peer, network, bound, self.clone()));
        taken.connections.insert(id, connection.clone());
        *taken.by_network.entry(network).or_default() += 1;
        Place(connection)
    }

    /// Closes the connection that has waited longest for its client, so that a file can be opened.
    pub fn evict_one(&self) {
        self.lock().evict(|_| true);
    }

    /// Closes a connection that holds part of a body and does not send the rest.
    pub fn evict_withheld_body(&self) {
        let now = Instant::now();
        self.lock().evict(|connection| connection.activity().withholds_body(now));
    }

    /// Closes the oldest of the WebSockets that have shown no key when there are too many of them.
    pub fn bound_anonymous_sockets(&self) {
        let is_anonymous = |connection: &Connection| connection.activity().socket == Some(Socket::Anonymous);
        let mut taken = self.lock();
        let sockets = taken.connections.values().filter(|connection| is_anonymous(connection)).count();
        for _ in ANONYMOUS_SOCKETS_MAX..sockets {
            taken.evict(is_anonymous);
        }
    }

    fn leave(&self, id: u64) {
        self.lock().remove(id);
        self.freed();
    }

    /// Tells that a place may be free now.
    pub fn freed(&self) {
        self.0.freed.notify_one();
    }

    /// Closes connections whose time-out has passed, for ever.
    pub async fn sweep(self) {
        let mut tick = tokio::time::interval(SWEEP_INTERVAL);
        loop {
            let now = tick.tick().await;
            let mut taken = self.lock();
            metrics::gauge!("acervo_connections", "listener" => self.0.name).set(taken.connections.len() as f64);
            let overdue: Vec<(u64, &'static str)> = taken
                .connections
                .iter()
                .filter_map(|(id, connection)| Some((*id, connection.activity().overdue(now)?)))
                .collect();
            for (id, reason) in overdue {
                taken.close(id, reason);
            }
            drop(taken);
            self.freed();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Closes the connection that has waited longest for its client, among those that `may` be closed. One that never
    /// sent a request goes before one that did, and one that had an answer to a request with the right credentials stays,
    /// unless there are many of those.
    fn evict(&mut self, may: impl Fn(&Connection) -> bool) -> bool {
        let now = Instant::now();
        let candidates: Vec<_> = self.connections.iter().filter(|(_, connection)| may(connection)).collect();
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
        let connection = self.connections.remove(&id)?;
        if let Some(count) = self.by_network.get_mut(&connection.network) {
            *count -= 1;
            if *count == 0 {
                self.by_network.remove(&connection.network);
            }
        }
        Some(connection)
    }
}

/// What counts as one client: an IPv4 address, or the /64 that one IPv6 host usually has to itself.
pub(in crate::http) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entered(places: &Places) -> Place {
        places.enter(IpAddr::from([127, 0, 0, 1]), SocketAddr::from(([127, 0, 0, 1], 80)))
    }

    /// A connection that was read, and has waited for its client since.
    fn waiting(places: &Places, waited: Duration) -> Place {
        let place = entered(places);
        place.0.note_awaits_read();
        place.0.activity().since -= waited;
        place
    }

    fn is_closed(place: &Place) -> bool {
        !place.0.places.lock().connections.contains_key(&place.0.id)
    }

    #[test]
    fn a_connection_is_read_and_has_time_to_send_before_it_is_closed_for_another() {
        let places = Places::new("test", 100);
        let unread = entered(&places);
        unread.0.activity().since -= 2 * GRACE;
        let young = waiting(&places, Duration::ZERO);
        places.evict_one();
        assert!(!is_closed(&unread) && !is_closed(&young));
        let silent = waiting(&places, AGE_MIN);
        places.evict_one();
        assert!(is_closed(&silent) && !is_closed(&unread) && !is_closed(&young));
    }

    #[test]
    fn one_that_brought_a_notification_stays_unless_many_did() {
        let places = Places::new("test", 100);
        let trusted: Vec<_> = (0..2).map(|_| waiting(&places, 4 * GRACE)).collect();
        let trust = |place: &Place| {
            let mut activity = place.0.activity();
            (activity.is_known, activity.has_served) = (true, true);
        };
        trust(&trusted[0]);
        // It showed the credentials, and withholds its body.
        trusted[1].0.activity().is_known = true;
        let others: Vec<_> = (0..2).map(|_| waiting(&places, GRACE / 2)).collect();
        places.evict_one();
        assert!(is_closed(&trusted[1]), "a head alone earned trust");
        let more = waiting(&places, GRACE / 2);
        places.evict_one();
        assert!(!is_closed(&trusted[0]) && others.iter().chain([&more]).filter(|place| is_closed(place)).count() == 1);
        others.iter().for_each(trust);
        trust(&more);
        places.evict_one();
        assert!(is_closed(&trusted[0]), "where all are trusted, the oldest goes");
    }
}
