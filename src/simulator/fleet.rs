//! A fleet of simulated devices: started together, stopped together, and described for the bridge. What a
//! single one does is its own.

use super::auth::User;
use super::device::SimulatedDevice;
use super::device_kind::{ApiGeneration, Chassis, DeviceKind};
use super::server::Server;
use super::snmp::{Endpoint, Life, Service, SnmpOptions};
use super::tls::{self, Certificate};
use crate::wording::system_error;
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
    /// With an SNMP agent each.
    pub snmp: Option<SnmpOptions>,
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
            snmp: None,
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
        "cannot listen on {address} for device {number}: {}; take another first port, or 0 for free ones",
        system_error(cause)
    )]
    Bind {
        /// The device's place in the fleet, from 1.
        number: usize,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The SNMP agent of a device cannot be served.
    #[error(
        "cannot serve SNMP at {address} for device {number}: {cause}; take another first SNMP port, or 0 for free ones, and receivers of traps that can be reached"
    )]
    Snmp {
        /// The device's place in the fleet, from 1.
        number: usize,
        /// The address.
        address: SocketAddr,
        /// What the library said.
        cause: Box<async_snmp::Error>,
    },
    /// The certificate could not be made.
    #[error("cannot make the fleet's certificate: {0}")]
    Certificate(Box<dyn std::error::Error + Send + Sync>),
}

/// Devices that are being served. Dropping it ends them without waiting.
pub struct Fleet {
    devices: Vec<Arc<SimulatedDevice>>,
    certificate: Option<Certificate>,
    username: String,
    password: String,
    snmp: Option<Arc<SnmpOptions>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Fleet {
    /// Starts all devices; when it returns they listen.
    ///
    /// # Errors
    /// When an address cannot be listened on, or the options make no sense. Nothing is left running then.
    pub async fn start(options: FleetOptions) -> Result<Self, SimulatorError> {
        if options.kinds.is_empty() {
            return Err(SimulatorError::NoKinds);
        }
        check_ports(options.devices, options.first_port)?;
        check_ports(
            options.devices,
            options.snmp.as_ref().map_or(0, |snmp| snmp.first_port),
        )?;
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
            snmp: options.snmp.map(Arc::new),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        for (index, kind) in (0..options.devices).zip(options.kinds.iter().cycle()) {
            let number = index + 1;
            let address = SocketAddr::new(options.listen, port(options.first_port, index));
            let (listener, address) = listen(number, address).await?;
            let side = fleet
                .snmp
                .as_ref()
                .map(|snmp| Endpoint::new(number, Arc::clone(snmp)));
            let user = Arc::clone(&user);
            let device = SimulatedDevice::new(number, *kind, address, options.https, user, side);
            let device = Arc::new(device);
            let snmp = fleet.begin_snmp(number, &device).await?;
            fleet.serve(device, listener, acceptor.clone(), snmp);
        }
        Ok(fleet)
    }

    async fn begin_snmp(
        &self,
        number: usize,
        device: &Arc<SimulatedDevice>,
    ) -> Result<Option<(Service, Life)>, SimulatorError> {
        let Some(options) = &self.snmp else {
            return Ok(None);
        };
        let address = SocketAddr::new(device.address().ip(), port(options.first_port, number - 1));
        let service = Service::new(Arc::clone(device), address);
        let life = service.begin().await.map_err(|cause| SimulatorError::Snmp {
            number,
            address,
            cause,
        })?;
        Ok(Some((service, life)))
    }

    fn serve(
        &mut self,
        device: Arc<SimulatedDevice>,
        listener: TcpListener,
        tls: Option<tokio_rustls::TlsAcceptor>,
        snmp: Option<(Service, Life)>,
    ) {
        device.set_listening(true);
        self.devices.push(Arc::clone(&device));
        let (snmp, life) = snmp.unzip();
        let server = Server {
            device,
            tls,
            snmp,
            tasks: self.tasks.clone(),
            stop: self.stop.clone(),
        };
        self.tasks.spawn(server.run(listener, life));
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
        if let (Some(options), Some(address)) = (&self.snmp, device.snmp_address()) {
            let engine_id = device.snmp_engine_id().unwrap_or_default();
            let engine_id: String = engine_id.iter().map(|octet| format!("{octet:02x}")).collect();
            writeln!(
                out,
                "snmp = {{ address = \"{address}\", community = {}, write_community = {}, engine_id = \"{engine_id}\", sys_name = {} }}",
                quoted(&options.read_community),
                quoted(&options.write_community),
                quoted(device.hostname())
            )?;
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

fn check_ports(devices: usize, first_port: u16) -> Result<(), SimulatorError> {
    let last = (devices as u64).saturating_sub(1) + u64::from(first_port);
    if first_port > 0 && last > u64::from(u16::MAX) {
        return Err(SimulatorError::Ports { devices, first_port });
    }
    Ok(())
}

/// The port of a device by its place from 0; `first` = 0 takes free ones.
fn port(first: u16, index: usize) -> u16 {
    if first == 0 { 0 } else { first + index as u16 }
}

async fn listen(number: usize, address: SocketAddr) -> Result<(TcpListener, SocketAddr), SimulatorError> {
    let refused = |cause| SimulatorError::Bind {
        number,
        address,
        cause,
    };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    Ok((listener, bound))
}
