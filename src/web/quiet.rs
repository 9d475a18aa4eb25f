//! Lets go of connections to which nothing was sent for long: clients that never finish what they ask.
//!
//! actix-web limits the head of a connection's first request only. Half a second head, or a chunked body without an
//! end, would hold a place for ever; a thousand of them would keep every viewer out.

use std::{
    mem,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// How often connections are looked at: one system call for each.
const ROUND: Duration = Duration::from_secs(5);

/// All open connections of a server, by handles of our own: a number of actix's could be another file by now.
#[derive(Default)]
pub struct Connections {
    next: AtomicU64,
    open: Mutex<Vec<Connection>>,
}

struct Connection {
    number: u64,
    handle: OwnedFd,
}

/// Lies with the connection in actix; dropping it lets our handle go, so that the socket closes.
pub struct Place {
    number: u64,
    connections: Arc<Connections>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|connection| connection.number != self.number);
    }
}

impl Connections {
    /// None without a descriptor to spare: such a connection is not watched.
    pub fn add(self: &Arc<Self>, stream: &impl AsFd) -> Option<Place> {
        let handle = stream.as_fd().try_clone_to_owned().ok()?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let connection = Connection { number, handle };
        self.open.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Some(Place { number, connections: Arc::clone(self) })
    }

    /// Ends those to which nothing was sent for `limit`. Their owner sees the end of the stream, and cleans up.
    fn sweep(&self, limit: Duration) {
        for connection in &*self.open.lock().unwrap_or_else(PoisonError::into_inner) {
            if since_last_sent(&connection.handle).is_some_and(|quiet| quiet >= limit) {
                let _ = rustix::net::shutdown(&connection.handle, rustix::net::Shutdown::Both);
            }
        }
    }
}

/// Sweeps on the current runtime until the server is gone.
pub async fn watch(connections: Weak<Connections>, limit: Duration) {
    let mut rounds = tokio::time::interval(ROUND);
    loop {
        rounds.tick().await;
        let Some(connections) = connections.upgrade() else { return };
        connections.sweep(limit);
    }
}

/// By the kernel's book, which knows of every byte; since the connection began when nothing was sent yet.
fn since_last_sent(socket: &OwnedFd) -> Option<Duration> {
    // SAFETY: tcp_info is plain numbers, for which all zeroes are a value.
    let mut told: libc::tcp_info = unsafe { mem::zeroed() };
    let mut size = libc::socklen_t::try_from(mem::size_of_val(&told)).ok()?;
    // SAFETY: the pointers are to a live structure and to its size, and the kernel writes no more than that.
    let done = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, (&raw mut told).cast(), &raw mut size)
    };
    (done == 0).then(|| Duration::from_millis(told.tcpi_last_data_sent.into()))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    #[test]
    fn only_connections_that_were_quiet_for_long_end() {
        let connections = Arc::new(Connections::default());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let pair = || {
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            client.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            (client, listener.accept().unwrap().0)
        };
        let ((mut silent, server_of_silent), (mut served, mut server_of_served)) = (pair(), pair());
        let places = [connections.add(&server_of_silent).unwrap(), connections.add(&server_of_served).unwrap()];
        let ended = |client: &mut TcpStream| client.read(&mut [0; 64]).is_ok_and(|count| count == 0);

        connections.sweep(Duration::from_secs(3600));
        assert!(!ended(&mut silent) && !ended(&mut served), "they are young");
        while !ended(&mut silent) {
            server_of_served.write_all(b"x").unwrap();
            connections.sweep(Duration::from_secs(1));
        }
        assert!(!ended(&mut served), "a byte was sent just now");

        drop((places, server_of_served));
        while !ended(&mut served) {}
        assert!(connections.open.lock().unwrap().is_empty());
    }
}
