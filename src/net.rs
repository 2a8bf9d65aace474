//! Connecting to a host that has several addresses, of which some may be dead.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::wording::system_error;

/// The host's addresses, one at least, beginning with that at place `first`, counted round and round: who tries again begins with the
/// next one.
///
/// # Errors
/// When the host has none, or no name server answers in time.
pub(crate) async fn addresses(
    host: &str,
    port: u16,
    first: usize,
    patience: Duration,
) -> io::Result<Vec<SocketAddr>> {
    let found = timeout(patience, lookup_host((host, port))).await;
    let found = found.map_err(|_| io::Error::other(format!("no name server answers for {host}")))?;
    let found =
        found.map_err(|error| io::Error::other(format!("cannot find {host}: {}", system_error(&error))))?;
    let mut addresses: Vec<SocketAddr> = found.collect();
    if addresses.is_empty() {
        return Err(io::Error::other(format!("{host} has no address")));
    }
    let first = first % addresses.len();
    addresses.rotate_left(first);
    Ok(addresses)
}

/// A connection to the first of these addresses that answers. Each has the same share of the time.
///
/// # Errors
/// When none answers: the last one's error.
pub(crate) async fn connect(addresses: &[SocketAddr], patience: Duration) -> io::Result<TcpStream> {
    let share = patience / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    let mut last = io::Error::other("no address");
    for address in addresses {
        last = match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => io::Error::new(error.kind(), format!("{address}: {}", system_error(&error))),
            Err(_) => io::Error::new(io::ErrorKind::TimedOut, format!("{address}: no answer")),
        };
    }
    Err(last)
}
