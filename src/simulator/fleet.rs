//! A fleet of simulated devices: started together, stopped together, and described for the bridge. What a
//! single one does is its own.

use super::auth::User;
use super::device::SimulatedDevice;
use super::kind::{ApiGeneration, Chassis, DeviceKind};
use super::server::Server;
use super::tls::{self, Certificate};
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What fleet to start.
#[derive(Clone)]
pub struct FleetOptions {
    /// How many devices.
    pub devices: usize,
    /// The address they all listen on, each on a port of its own.
    pub listen: IpAddr,
    /// Port of the first device, the others follow; 0 takes free ports.
    pub first_port: u16,
    /// With TLS, all of them with one certificate.
    pub https: bool,
    /// Their kinds, taken in turn.
    pub kinds: Vec<DeviceKind>,
    /// The one user.
    pub username: String,
    /// The user's password.
    pub password: String,
    /// Whether the user may change the configuration, and not only read.
    pub may_write: bool,
}

impl Default for FleetOptions {
    fn default() -> Self {
        use {ApiGeneration as Api, Chassis as C};
        let kinds = [
            (C::M3000, Api::V10),
            (C::M500, Api::V16),
            (C::M3000, Api::V20),
            (C::M500, Api::V10),
            (C::M3000, Api::V16),
            (C::M500, Api::V20),
        ];
        Self {
            devices: 2,
            listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            first_port: 0,
            https: false,
            kinds: kinds.map(|(chassis, api)| DeviceKind::new(chassis, api)).to_vec(),
            username: "bridge".to_owned(),
            password: "simulated".to_owned(),
            may_write: true,
        }
    }
}

/// Why a fleet cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulatorError {
    /// No kinds were given.
    #[error("the fleet has no kinds: name at least one kind of device")]
    NoKinds,
    /// The ports would go beyond 65535.
    #[error("{devices} devices from port {first_port} on need ports above 65535: start lower or take fewer")]
    Ports {
        /// How many devices were asked for.
        devices: usize,
        /// The first port asked for.
        first_port: u16,
    },
    /// An address cannot be listened on.
    #[error(
        "cannot listen on {address} for device {number}: {source}; take another first port, or 0 for free ones"
    )]
    Bind {
        /// The device's place in the fleet, from 1.
        number: usize,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The certificate could not be made.
    #[error("cannot make the fleet's certificate: {0}")]
    Certificate(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Devices that are being served. Dropping it ends them without waiting.
pub struct Fleet {
    devices: Vec<Arc<SimulatedDevice>>,
    certificate: Option<Certificate>,
    username: String,
    password: String,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Fleet {
    /// Starts all devices; when it returns they listen.
    ///
    /// # Errors
    /// When an address cannot be listened on, or the options make no sense. Nothing is left running then.
    pub async fn start(options: FleetOptions) -> Result<Self, SimulatorError> {
        let last = (options.devices as u64).saturating_sub(1) + u64::from(options.first_port);
        if options.kinds.is_empty() {
            return Err(SimulatorError::NoKinds);
        } else if options.first_port > 0 && last > u64::from(u16::MAX) {
            return Err(SimulatorError::Ports {
                devices: options.devices,
                first_port: options.first_port,
            });
        }
        let tls = options
            .https
            .then(|| tls::self_signed(options.listen))
            .transpose();
        let (certificate, acceptor) = tls.map_err(SimulatorError::Certificate)?.unzip();
        let user = Arc::new(User::new(&options.username, &options.password, options.may_write));
        let mut fleet = Self {
            devices: Vec::with_capacity(options.devices),
            certificate,
            username: options.username,
            password: options.password,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        for (index, kind) in (0..options.devices).zip(options.kinds.iter().cycle()) {
            let port = if options.first_port == 0 {
                0
            } else {
                options.first_port + index as u16
            };
            let (listener, address) = listen(index + 1, SocketAddr::new(options.listen, port)).await?;
            let device = SimulatedDevice::new(index + 1, *kind, address, options.https, Arc::clone(&user));
            fleet.serve(Arc::new(device), listener, acceptor.clone());
        }
        Ok(fleet)
    }

    fn serve(
        &mut self,
        device: Arc<SimulatedDevice>,
        listener: TcpListener,
        tls: Option<tokio_rustls::TlsAcceptor>,
    ) {
        device.set_listening(true);
        self.devices.push(Arc::clone(&device));
        let server = Server {
            device,
            tls,
            tasks: self.tasks.clone(),
            stop: self.stop.clone(),
        };
        self.tasks.spawn(server.run(listener));
    }

    /// The devices, in order: `sim-1` first.
    pub fn devices(&self) -> &[Arc<SimulatedDevice>] {
        &self.devices
    }

    /// The certificate that all devices show, when they are served with https.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }

    /// The `[[devices]]` sections of a bridge's configuration that polls this fleet every `poll`.
    pub fn bridge_config(&self, poll: Duration) -> String {
        let mut text = String::new();
        for device in &self.devices {
            self.device_config(device, poll, &mut text)
                .expect("writing to a string");
        }
        text
    }

    fn device_config(&self, device: &SimulatedDevice, poll: Duration, out: &mut String) -> std::fmt::Result {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        writeln!(
            out,
            "[[devices]]\nid = {}\nurl = {}",
            quoted(device.id()),
            quoted(device.url())
        )?;
        writeln!(
            out,
            "username = {}\npassword = {}",
            quoted(&self.username),
            quoted(&self.password)
        )?;
        writeln!(out, "poll = \"{}ms\"", poll.as_millis())?;
        // What nobody has seen on a device is what these were made by.
        writeln!(out, "allow_unverified_writes = true")?;
        if let Some(certificate) = &self.certificate {
            writeln!(out, "tls.fingerprint = {}", quoted(&certificate.fingerprint()))?;
        }
        writeln!(out, "slots = [")?;
        for module in device.kind().chassis.relay_modules() {
            let [a, b, c] = [module.a, module.b, module.c].map(|driver| driver.as_str());
            writeln!(
                out,
                "  {{ id = \"{}\", relays = {{ a = \"{a}\", b = \"{b}\", c = \"{c}\" }} }},",
                module.slot
            )?;
        }
        writeln!(out, "]\n")
    }

    /// Cuts all connections and waits until nothing listens any more.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn listen(number: usize, address: SocketAddr) -> Result<(TcpListener, SocketAddr), SimulatorError> {
    let refused = |source| SimulatorError::Bind {
        number,
        address,
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    Ok((listener, bound))
}
