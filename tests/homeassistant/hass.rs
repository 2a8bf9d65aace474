//! A real Home Assistant without a display or a login: its directory, its process.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// How long it may take to start or to stop; usually a few seconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The releases that are tried.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Release {
    /// The oldest one that the bridge is for.
    Oldest,
    Newest,
}

impl Release {
    fn program(self) -> PathBuf {
        let (environment, pythons) = match self {
            Release::Oldest => ("homeassistant", "Python 3.11 or 3.12"),
            Release::Newest => ("homeassistant-newest", "Python 3.14"),
        };
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
        let installed = target.join(environment).join("bin/hass");
        assert!(
            installed.exists(),
            "this test needs Home Assistant in {}: tests/run installs it ({pythons})",
            installed.display()
        );
        installed
    }
}

/// A Home Assistant; killed on drop.
pub(crate) struct Hass {
    release: Release,
    directory: TempDir,
    child: Option<Child>,
}

impl Hass {
    /// A new one of that release that uses that broker; it does not run yet.
    pub(crate) fn new(release: Release, broker: SocketAddr) -> Hass {
        let directory = TempDir::new().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port().to_string();
        let configuration = include_str!("configuration.yaml").replace("{http_port}", &port);
        fs::write(directory.path().join("configuration.yaml"), configuration).unwrap();
        fs::create_dir(directory.path().join(".storage")).unwrap();
        let hass = Hass {
            release,
            directory,
            child: None,
        };
        hass.store("core.config_entries", &mqtt_integration(broker));
        hass
    }

    /// Starts it.
    pub(crate) fn start(&mut self) {
        let program = self.release.program();
        let log = self.directory.path().join("log");
        let log = File::options().create(true).append(true).open(log).unwrap();
        let child = Command::new(&program)
            .arg("-c")
            .arg(self.directory.path())
            // What it needs is installed; nothing is fetched while tests run.
            .arg("--skip-pip")
            .env("HOME", self.directory.path())
            // What it compiles is there for the next start: else each takes many seconds more.
            .env_remove("PYTHONDONTWRITEBYTECODE")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.child = Some(child.unwrap_or_else(|error| panic!("{}: {error}", program.display())));
    }

    /// Stops it in good order: then its storage is written.
    pub(crate) async fn stop(&mut self) {
        let mut child = self.child.take().expect("it runs");
        let kill = Command::new("kill").arg(child.id().to_string()).status();
        assert!(kill.unwrap().success());
        let ended = timeout(PATIENCE, spawn_blocking(move || child.wait()));
        ended.await.expect("it stops").unwrap().unwrap();
    }

    /// Enables an entity that discovery has left disabled, as its user does on the entity's page. It does not run.
    pub(crate) fn enable(&self, entity: &str) {
        let mut registry = self.stored("core.entity_registry");
        let entities = registry["data"]["entities"].as_array_mut().unwrap();
        let entity = entities
            .iter_mut()
            .find(|known| known["entity_id"] == entity)
            .unwrap_or_else(|| panic!("{entity} is not known"));
        assert_eq!(entity["disabled_by"], "integration", "{entity}");
        entity["disabled_by"] = Value::Null;
        self.store("core.entity_registry", &registry);
    }

    /// Puts a device into an area, as its user does on the device's page. It does not run.
    pub(crate) fn put_into_area(&self, device: &str, area: &str) {
        let areas = json!({ "areas": [{ "id": area, "name": area }] });
        let registry =
            json!({ "version": 1, "minor_version": 1, "key": "core.area_registry", "data": areas });
        self.store("core.area_registry", &registry);
        let mut registry = self.stored("core.device_registry");
        let devices = registry["data"]["devices"].as_array_mut().unwrap();
        let device = devices.iter_mut().find(|known| known["name"] == device);
        device.expect("it is known")["area_id"] = area.into();
        self.store("core.device_registry", &registry);
    }

    /// Has it forget an entity, which is a new one when it is discovered again. It does not run.
    pub(crate) fn forget(&self, entity: &str) {
        let mut registry = self.stored("core.entity_registry");
        let entities = registry["data"]["entities"].as_array_mut().unwrap();
        let known = entities.len();
        entities.retain(|known| known["entity_id"] != entity);
        assert_eq!(entities.len(), known - 1, "{entity} is known");
        self.store("core.entity_registry", &registry);
    }

    /// The devices that it knows.
    pub(crate) fn devices(&self) -> Vec<Value> {
        let registry = self.stored("core.device_registry");
        registry["data"]["devices"].as_array().unwrap().clone()
    }

    /// What its MQTT integration has complained of, in all its runs: topics and configurations that it does not take. That
    /// it comes late to an acknowledgement is due to the machine and not to what is discovered.
    pub(crate) fn problems(&self) -> Vec<String> {
        let of_mqtt = |line: &String| {
            line.contains("[homeassistant.components.mqtt") && !line.contains("No ACK from MQTT server")
        };
        self.log_lines(&[" WARNING ", " ERROR "])
            .into_iter()
            .filter(of_mqtt)
            .collect()
    }

    fn log_lines(&self, levels: &[&str]) -> Vec<String> {
        let log = fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        let lines = log
            .lines()
            .filter(|line| levels.iter().any(|level| line.contains(level)));
        lines.map(str::to_owned).collect()
    }

    fn stored(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.storage(name)).unwrap()).unwrap()
    }

    fn store(&self, name: &str, value: &Value) {
        fs::write(self.storage(name), value.to_string()).unwrap();
    }

    fn storage(&self, name: &str) -> PathBuf {
        self.directory.path().join(".storage").join(name)
    }
}

impl Drop for Hass {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
            // For people who look for the cause of a failure.
            eprintln!("errors of Home Assistant: {:#?}", self.log_lines(&[" ERROR "]));
        }
    }
}

fn mqtt_integration(broker: SocketAddr) -> Value {
    let entry = json!({
        "entry_id": "mqtt",
        "version": 1,
        "minor_version": 1,
        "domain": "mqtt",
        "title": "broker",
        "data": { "broker": broker.ip().to_string(), "port": broker.port(), "discovery": true },
        "options": {},
        "pref_disable_new_entities": false,
        "pref_disable_polling": false,
        "source": "user",
        "unique_id": null,
        "disabled_by": null,
    });
    json!({
        "version": 1,
        "minor_version": 1,
        "key": "core.config_entries",
        "data": { "entries": [entry] },
    })
}
