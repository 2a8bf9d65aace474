//! A raw HTTP client, and short ways to a fleet and into its documents.

use lantime2mqtt::simulator::{ApiGeneration, Chassis, DeviceKind, Fleet, FleetOptions, SimulatedDevice};
use serde_json::Value;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// `bridge:simulated`, the default user.
pub(crate) const BASIC: &str = "Basic YnJpZGdlOnNpbXVsYXRlZA==";
pub(crate) const WRONG: &str = "Basic YnJpZGdlOmd1ZXNzZWQ=";

pub(crate) const M3000: Chassis = Chassis::M3000;
pub(crate) const M500: Chassis = Chassis::M500;

pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

/// A client that shows what is on the wire.
pub(crate) struct Client {
    pub(crate) stream: BufReader<Box<dyn Socket>>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Client {
    pub(crate) async fn connect(device: &SimulatedDevice) -> io::Result<Self> {
        let stream: Box<dyn Socket> = Box::new(TcpStream::connect(device.address()).await?);
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        authorization: Option<&str>,
    ) -> io::Result<()> {
        let authorization =
            authorization.map_or(String::new(), |value| format!("Authorization: {value}\r\n"));
        let request = format!("{method} {path} HTTP/1.1\r\nHost: sim\r\n{authorization}\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        self.stream.flush().await
    }

    /// A request with a body, from the user that the fleet knows.
    pub(crate) async fn put(&mut self, path: &str, body: &[u8]) -> io::Result<Answer> {
        self.send_body("PUT", path, BASIC, body).await?;
        self.receive().await
    }

    pub(crate) async fn send_body(
        &mut self,
        method: &str,
        path: &str,
        authorization: &str,
        body: &[u8],
    ) -> io::Result<()> {
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: sim\r\nAuthorization: {authorization}\r\nContent-Length: {length}\r\n\r\n"
        );
        self.stream.write_all(head.as_bytes()).await?;
        self.stream.write_all(body).await?;
        self.stream.flush().await
    }

    pub(crate) async fn head(&mut self) -> io::Result<(u16, String)> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok((status.unwrap(), head.to_ascii_lowercase()))
    }

    pub(crate) async fn receive(&mut self) -> io::Result<Answer> {
        let (status, head) = self.head().await?;
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map(str::parse);
        let body = match length {
            Some(length) => {
                let mut body = vec![0; length.unwrap()];
                self.stream.read_exact(&mut body).await?;
                body
            }
            None => self.chunks().await?,
        };
        Ok(Answer { status, head, body })
    }

    pub(crate) async fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let mut size = String::new();
            self.stream.read_line(&mut size).await?;
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            let start = body.len();
            body.resize(start + size + 2, 0);
            self.stream.read_exact(&mut body[start..]).await?;
            body.truncate(start + size);
            if size == 0 {
                return Ok(body);
            }
        }
    }

    pub(crate) async fn ask(
        &mut self,
        method: &str,
        path: &str,
        authorization: Option<&str>,
    ) -> io::Result<Answer> {
        self.send(method, path, authorization).await?;
        self.receive().await
    }

    pub(crate) async fn status(&mut self) -> io::Result<Answer> {
        self.ask("GET", "/api/status", Some(BASIC)).await
    }
}

/// Nothing here takes long; what does is broken.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what)
        .await
        .expect("this should not take 20 s")
}

pub(crate) async fn fleet(kinds: &[(Chassis, ApiGeneration)]) -> Fleet {
    let kinds: Vec<_> = kinds
        .iter()
        .map(|&(chassis, api)| DeviceKind::new(chassis, api))
        .collect();
    Fleet::start(FleetOptions {
        devices: kinds.len(),
        kinds,
        ..FleetOptions::default()
    })
    .await
    .unwrap()
}

pub(crate) async fn one(chassis: Chassis, api: ApiGeneration) -> (Fleet, Arc<SimulatedDevice>, Client) {
    let fleet = fleet(&[(chassis, api)]).await;
    let device = Arc::clone(&fleet.devices()[0]);
    let client = Client::connect(&device).await.unwrap();
    (fleet, device, client)
}

pub(crate) fn slot<'a>(document: &'a Value, id: &str) -> &'a Value {
    let slots = document["data"]["chassis0"]["slots"].as_array().unwrap();
    slots.iter().find(|slot| slot["slot-id"] == id).unwrap()
}

pub(crate) fn event<'a>(document: &'a Value, name: &str) -> &'a Value {
    let events = document["data"]["notification"]["events"].as_array().unwrap();
    events.iter().find(|event| event["object-id"] == name).unwrap()
}
