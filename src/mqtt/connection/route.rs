//! To which of the broker's addresses a connection goes, where its name has several.
//!
//! The client library connects to a name by itself, and takes the next address only where one refuses: one that does not
//! answer takes all the time that there is, with each attempt again. So an attempt that follows a failed one is led to the
//! next address. And a name that was known once leads on to its addresses where it cannot be looked up, for want of a name
//! server or of descriptors.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use rumqttc::{TlsConfiguration, Transport as Wire};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpStream, UnixListener};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::{CONNECT_TIMEOUT, Cause, options};
use crate::config::{Broker, Mqtt};
use crate::net;
use crate::open_files;
use crate::tls::Server;

/// The addresses that names of brokers had when they were last looked up.
static KNOWN: Mutex<BTreeMap<String, Vec<SocketAddr>>> = Mutex::new(BTreeMap::new());

/// A connection that is led to one address.
pub(super) struct Route {
    /// The settings, with what the client library connects to in place of the broker's name.
    pub(super) settings: Mqtt,
    /// What it speaks there.
    pub(super) wire: Wire,
    /// Carries a connection of TLS, as long as this lives.
    _relay: Option<AbortOnDropHandle<()>>,
}

/// The address whose turn it is in that attempt; none where the library connects to the name by itself: with the first of
/// its addresses, or where there is one only.
pub(super) async fn address_of(broker: &Broker, attempt: usize) -> Option<SocketAddr> {
    let Broker::Remote { host, port, .. } = broker else {
        return None;
    };
    if host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return None;
    }
    let found = net::addresses(host, *port, 0, CONNECT_TIMEOUT).await;
    // Nothing that panics is done under the lock.
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let Ok(found) = found else {
        // What is wrong with a name that was never known is the library's to say.
        let known = known.get(host)?;
        return known.get(attempt % known.len()).copied();
    };
    let place = attempt % found.len();
    let address = found.get(place).copied().filter(|_| place > 0);
    known.insert(host.clone(), found);
    address
}

impl Route {
    /// Leads there what would go to the broker's name.
    pub(super) async fn to(
        address: SocketAddr,
        settings: &Mqtt,
        wire: Wire,
        server: Server,
    ) -> Result<Route, Cause> {
        let Wire::Tls(TlsConfiguration::Rustls(config)) = wire else {
            return Ok(Route {
                settings: led(settings, address.ip().to_string()),
                wire,
                _relay: None,
            });
        };
        let opened = timeout(CONNECT_TIMEOUT, open(address, &settings.broker, config)).await;
        let opened = opened.map_err(|_| Cause::Connect(format!("{address}: no answer")))?;
        let tls = opened.map_err(|error| Cause::of_io(&error, server))?;
        // The library takes the name that a certificate must have from where it connects to. So TLS is spoken here, and the
        // library connects to a socket of this process: an abstract one, which no file stands for.
        let place = format!("\0lantime2mqtt-{}", Uuid::now_v7());
        let listener = UnixListener::bind(&place).map_err(|error| Cause::Connect(error.to_string()))?;
        Ok(Route {
            settings: led(settings, place),
            wire: Wire::Unix,
            _relay: Some(AbortOnDropHandle::new(tokio::spawn(relay(listener, tls)))),
        })
    }
}

/// The settings with another place in the broker's.
fn led(settings: &Mqtt, place: String) -> Mqtt {
    let mut settings = settings.clone();
    if let Broker::Remote { host, .. } = &mut settings.broker {
        *host = place;
    }
    settings
}

async fn open(
    address: SocketAddr,
    broker: &Broker,
    config: Arc<ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let (name, _) = options::host_and_port(broker);
    let name = ServerName::try_from(name).map_err(io::Error::other)?;
    let tcp = net::connect(&[address], CONNECT_TIMEOUT).await?;
    // Small packets that are waited for.
    tcp.set_nodelay(true)?;
    TlsConnector::from(config).connect(name, tcp).await
}

/// Carries what goes between the first connection of this very process and the broker.
async fn relay(listener: UnixListener, mut tls: TlsStream<TcpStream>) {
    let own = i32::try_from(std::process::id()).ok();
    while let Ok((mut local, _)) = open_files::with_reserve(listener.accept()).await {
        if local.peer_cred().is_ok_and(|peer| peer.pid() == own) {
            // Whatever ends it, both sides learn that it has ended.
            let _ = copy_bidirectional(&mut local, &mut tls).await;
            return;
        }
    }
}
