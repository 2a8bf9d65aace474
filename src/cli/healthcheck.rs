//! `healthcheck`: asks the bridge that runs with the same configuration whether it answers. For containers, in which
//! there is no other program to ask with.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Failure, block_on, check_config, output};

/// How long the bridge may take to answer.
const PATIENCE: Duration = Duration::from_secs(4);
/// More than any answer has.
const MAX_ANSWER: u64 = 64 * 1024;

pub(super) fn run(file: &Path) -> Result<(), Failure> {
    let config = check_config(file)?.config;
    block_on(async {
        let listen = config.http.listen.map(reached).context(
            "http.listen is off, so there is nobody to ask; let it listen at an address of this machine",
        )?;
        let answer = tokio::time::timeout(PATIENCE, ask(listen)).await;
        let answer = answer.map_err(|_| anyhow!("no answer from {listen} within 4 s"))?;
        let answer = answer.with_context(|| format!("no answer from {listen}"))?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        if head.split(' ').nth(1) != Some("200") {
            bail!("{listen} answers {:?}", head.lines().next().unwrap_or_default());
        }
        output::print(&format!("{body}\n"))?;
        Ok(())
    })
}

/// Where a server that listens everywhere is reached from here.
fn reached(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// The whole answer of `/healthz`. Without the client of the devices: that one wants to know whom to trust.
async fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER).read_to_string(&mut answer).await?;
    Ok(answer)
}
