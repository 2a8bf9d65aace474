//! One socket to one agent, and the clients that share it: they differ in who asks and how patiently.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_snmp::client::ResponseShapePolicy;
use async_snmp::transport::{UdpHandle, UdpTransport};
use async_snmp::{Auth, Client, ClientBuilder, EngineCache, Retry};

use super::APPLY_TIMEOUT;

/// Most bytes of a UDP datagram: what the bridge says that it takes. With less, answers over SNMP v3 fail.
const MAX_DATAGRAM: usize = 65_507;
/// Objects in one request: as many as have their usual answers in one frame of an Ethernet. An agent that finds it
/// too many is asked for fewer.
const OBJECTS: usize = 16;

/// Opened once, used until a request fails.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) reader: Client<UdpHandle>,
    pub(super) writer: Client<UdpHandle>,
    /// For the command to apply: patient, and sent once.
    pub(super) applier: Client<UdpHandle>,
}

/// Without the credentials.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Session").field(&self.reader.peer_addr()).finish()
    }
}

impl Session {
    /// Opens a socket towards the host's address at place `first`, counted round and round; nothing is sent yet.
    ///
    /// # Errors
    /// Why it cannot be, in words.
    pub(super) async fn open(
        (host, port): (&str, u16),
        first: usize,
        [read, write]: [Auth; 2],
        patience: Duration,
        retries: u32,
    ) -> Result<Session, String> {
        let addresses = crate::net::addresses(host, port, first, patience).await;
        let address = addresses.map_err(|error| error.to_string())?[0];
        let any = if address.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
        let transport = UdpTransport::builder().bind(any).receive_capacity(MAX_DATAGRAM);
        let transport = transport.build().await.map_err(|error| error.to_string())?;
        let engines = Arc::new(EngineCache::new());
        let client = |auth, patience, retry: Retry| {
            // An answer from elsewhere is none: whoever can guess a number could send it.
            let handle = transport.handle(address)?.strict_source(true);
            ClientBuilder::new(auth)
                .request_timeout(patience)
                .retry(retry)
                .max_oids_per_request(OBJECTS)
                .response_shape_policy(ResponseShapePolicy::Strict)
                .engine_cache(Arc::clone(&engines))
                .build_with_transport(handle)
        };
        let retry = || Retry::fixed(retries, Duration::ZERO).unwrap_or_else(|_| Retry::none());
        let opened = client(read, patience, retry()).and_then(|reader| {
            Ok(Session {
                reader,
                writer: client(write.clone(), patience, retry())?,
                applier: client(write, APPLY_TIMEOUT, Retry::none())?,
            })
        });
        opened.map_err(|error| error.to_string())
    }
}
