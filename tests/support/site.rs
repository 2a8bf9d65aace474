//! Where a bridge runs: its configuration and its state directory, which outlive its processes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use lantime2mqtt::simulator::SimulatedDevice;
use tempfile::TempDir;
use toml::{Table, Value};

use super::http::{free_address, get_at};
use super::program::Program;
use super::wait;

/// A configuration file and a state directory of its own; removed on drop.
pub struct Site {
    directory: TempDir,
    keys: Table,
}

/// One of `[[devices]]`.
#[derive(Debug, Clone)]
pub struct Entry(Table);

impl Site {
    /// A bridge `test` at that broker, with these devices, without an HTTP server.
    pub fn new(broker: SocketAddr, devices: &[Entry]) -> Site {
        let directory = TempDir::new().expect("a temporary directory");
        let state = directory.path().join("state").display().to_string();
        let site = Site {
            directory,
            keys: Table::new(),
        };
        site.with("bridge.id", "test")
            .with("mqtt.url", format!("mqtt://{broker}"))
            .with("mqtt.keep_alive", "5s")
            .with("http.listen", "off")
            .with("state.directory", state)
            .devices(devices)
    }

    /// Sets a key such as `mqtt.username`.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Site {
        set(&mut self.keys, key, value.into());
        self.write();
        self
    }

    /// Leaves out a key such as `http.token`.
    pub fn without(mut self, key: &str) -> Site {
        if let Some((section, key)) = key.split_once('.')
            && let Some(section) = self.keys.get_mut(section).and_then(Value::as_table_mut)
        {
            section.remove(key);
        }
        self.write();
        self
    }

    /// Sets the devices.
    pub fn devices(mut self, devices: &[Entry]) -> Site {
        self.set_devices(devices);
        self
    }

    /// Sets the devices.
    pub fn set_devices(&mut self, devices: &[Entry]) {
        let list = devices.iter().map(|entry| Value::Table(entry.0.clone()));
        set(&mut self.keys, "devices", Value::Array(list.collect()));
        self.write();
    }

    /// A site without broker, devices and a port.
    pub fn bare() -> Site {
        Site::new(([127, 0, 0, 1], 1).into(), &[])
    }

    /// With an HTTP server at a port of its own.
    pub fn with_http(self) -> Site {
        self.with("http.listen", free_address().to_string())
    }

    /// Where the HTTP server is.
    pub fn http(&self) -> SocketAddr {
        self.address("http.listen")
    }

    /// The address that a key says.
    pub fn address(&self, key: &str) -> SocketAddr {
        let mut keys = key.split('.');
        let section = &self.keys[keys.next().expect("a section")];
        let value = keys.fold(section, |table, key| &table[key]);
        value
            .as_str()
            .and_then(|text| text.parse().ok())
            .expect("an address")
    }

    /// Replaces the configuration's file by any text.
    pub fn overwrite(&self, text: &str) {
        std::fs::write(self.config(), text).expect("the directory is ours");
    }

    /// Writes a file beside the configuration.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).expect("the directory is ours");
        path.display().to_string()
    }

    /// The directory of all of it.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The configuration's file.
    pub fn config(&self) -> PathBuf {
        self.directory.path().join("lantime2mqtt.toml")
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        let state = self.keys["state"]["directory"].as_str();
        state.expect("it is set").into()
    }

    /// Where the API is for the owner of the bridge.
    pub fn socket(&self) -> PathBuf {
        self.state().join("control.sock")
    }

    /// Waits until every device has been polled, by `/readyz`.
    pub async fn ready(&self) {
        let ready = async || {
            get_at(&self.socket(), "/readyz")
                .await
                .is_some_and(|answer| answer.status == 200)
        };
        wait::until("every device has been polled", ready).await;
    }

    /// Waits until the broker has what the bridge wants to be sent, by `/healthz`.
    pub async fn takes_commands(&self) {
        let taken = async || {
            let answer = get_at(&self.socket(), "/healthz").await;
            answer.is_some_and(|answer| answer.json()["commands"] == "taken")
        };
        wait::until("commands are taken", taken).await;
    }

    /// Waits until the bridge has failed to connect to its broker; what it says of that.
    pub async fn broker_error(&self) -> String {
        wait::for_value("the broker's refusal", async || {
            let answer = get_at(&self.socket(), "/api/bridge").await.ok_or("no answer")?;
            let error = answer.json()["broker"]["last_error"].as_str().map(str::to_owned);
            error.ok_or("no error")
        })
        .await
    }

    /// Starts a bridge here.
    pub fn start(&self) -> Program {
        self.start_with(&[], &[])
    }

    /// Starts a bridge here, with more arguments and with variables in its environment.
    pub fn start_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Program {
        let config = self.config().display().to_string();
        let run = [&["run", "--config", &config], arguments].concat();
        Program::start_with(&run, variables)
    }

    /// Starts a bridge here, with limits of its own.
    pub fn start_limited(&self, limit: &str) -> Program {
        Program::start_limited(limit, &["run", "--config", &self.config().display().to_string()])
    }

    fn write(&self) {
        self.overwrite(&toml::to_string(&self.keys).expect("tables can be written"));
    }
}

impl Entry {
    /// A device of that id and URL; it is polled ten times a second.
    pub fn new(id: &str, url: &str) -> Entry {
        Entry(Table::new())
            .with("id", id)
            .with("url", url)
            .with("username", "bridge")
            .with("password", "simulated")
            .with("poll", "100ms")
    }

    /// A simulated device, its slots found by the bridge.
    pub fn of(device: &SimulatedDevice) -> Entry {
        Entry::new(device.id(), device.url())
    }

    /// A device that is wired as its modules are, and to which assumed entries may be written.
    pub fn writable(device: &SimulatedDevice) -> Entry {
        Entry::of(device)
            .listed(device)
            .with("allow_unverified_writes", true)
    }

    /// Sets a key such as `tls.fingerprint`.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Entry {
        set(&mut self.0, key, value.into());
        self
    }

    /// Leaves a key out.
    pub fn without(mut self, key: &str) -> Entry {
        self.0.remove(key);
        self
    }

    /// Lists a slot with the wiring of its relays.
    pub fn slot(mut self, slot: &str, [a, b, c]: [&str; 3]) -> Entry {
        let mut entry = Table::new();
        set(&mut entry, "id", slot.into());
        for (relay, signal) in [("relays.a", a), ("relays.b", b), ("relays.c", c)] {
            set(&mut entry, relay, signal.into());
        }
        let slots = self.0.entry("slots").or_insert_with(|| Value::Array(Vec::new()));
        if let Some(slots) = slots.as_array_mut() {
            slots.push(Value::Table(entry));
        }
        self
    }

    /// Lists the slots of a simulated device as its modules are wired.
    pub fn listed(self, device: &SimulatedDevice) -> Entry {
        let modules = device.kind().chassis.relay_modules().iter();
        modules.fold(self, |entry, module| {
            let wiring = [module.a, module.b, module.c].map(|driver| driver.as_str());
            entry.slot(module.slot, wiring)
        })
    }
}

/// Sets `a.b.c`, making the tables on the way.
fn set(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => drop(table.insert(key.to_owned(), value)),
        Some((first, rest)) => {
            let inner = table
                .entry(first)
                .or_insert_with(|| Value::Table(Table::new()))
                .as_table_mut()
                .expect("a key is either a table or a value");
            set(inner, rest, value);
        }
    }
}
