//! Ports for servers that cannot be given one by the system, or that must keep theirs across a restart.
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;

use socket2::{Domain, Socket, Type};

/// A port that is reserved until this process ends, so that a server can bind it, stop, and bind it again.
pub fn free_port() -> u16 {
    static RESERVED: Mutex<Vec<Socket>> = Mutex::new(Vec::new());
    // While a socket is bound and does not listen, the system gives its port to no one who requests any port. A server can
    // still bind it by number, because servers set SO_REUSEADDR.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("a socket");
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a port");
    let address = socket.local_addr().expect("an address").as_socket_ipv4().expect("an address of IPv4");
    RESERVED.lock().expect("a lock").push(socket);
    address.port()
}
