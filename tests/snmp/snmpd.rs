//! net-snmp's own agent with objects of the vendor's MIB, as a device has it; without root, and without any
//! configuration of the machine.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::net_snmp::free_address;
use crate::support::wait;
use crate::tools::run;

/// What the agent runs to answer for the vendor's MIB.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snmp/actions.sh");
/// `mbgLtNgCmdExecute.0`, below the vendor's root.
const EXECUTE: &str = "2.1.0";
/// Who may what.
const RIGHTS: &str = r#"
rocommunity public
rwcommunity private
createUser writer SHA-256 "a secret to sign" AES "a secret to hide"
rwuser writer priv
"#;

/// A `snmpd` that runs; ended on drop.
pub(crate) struct Snmpd {
    child: Child,
    /// Its objects, see the script.
    objects: TempDir,
    _home: TempDir,
    pub(crate) address: SocketAddr,
}

impl Snmpd {
    /// Starts one with these strings of actions, by the number of their object; it answers when this returns.
    pub(crate) async fn start(actions: &[(u32, &str)]) -> Snmpd {
        let (home, objects) = (directory(), directory());
        let address = free_address();
        let object = objects.path().display();
        let configuration = format!("{RIGHTS}pass_persist .1.3.6.1.4.1.5597.30 /bin/sh {SCRIPT} {object}\n");
        let file = home.path().join("of-the-test.conf");
        fs::write(&file, configuration).expect("the directory is ours");
        let path = std::env::var("PATH").unwrap_or_default();
        let child = Command::new("snmpd")
            .env("PATH", format!("{path}:/usr/sbin:/usr/local/sbin"))
            .env("MIBS", "")
            .env("SNMPCONFPATH", home.path())
            .env("SNMP_PERSISTENT_DIR", home.path().join("persistent"))
            // Without SMUX, which has a port of its own.
            .args(["-f", "-Lo", "-C", "-I", "-smux", "-c"])
            .arg(&file)
            .arg(format!("udp:{address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("these tests need snmpd (Debian: apt-get install snmpd): {error}")
            });
        let agent = Snmpd {
            child,
            objects,
            _home: home,
            address,
        };
        agent.write(EXECUTE, "0");
        for (number, string) in actions {
            agent.write(&object_of(*number), string);
        }
        agent.until_it_answers().await;
        agent
    }

    async fn until_it_answers(&self) {
        let (to, oid) = (
            self.address.to_string(),
            format!(".1.3.6.1.4.1.5597.30.{EXECUTE}"),
        );
        let get = ["-v2c", "-cpublic", "-r0", "-t1", &to, &oid];
        let answers = async || run(self.objects.path(), "snmpget", &get).await.status.success();
        wait::until("snmpd answers", answers).await;
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.objects.path().join(name), content).expect("the directory is ours");
    }

    fn read(&self, path: &Path) -> String {
        fs::read_to_string(self.objects.path().join(path)).unwrap_or_default()
    }

    /// Has an event take no value from now on.
    pub(crate) fn refuse(&self, number: u32) {
        self.write("refused", &object_of(number));
    }

    /// Has the command to apply answered so many seconds late.
    pub(crate) fn answer_late(&self, seconds: u32) {
        self.write("late", &seconds.to_string());
    }

    /// Has somebody else set an event's string once it has been read.
    pub(crate) fn meddle(&self, number: u32, string: &str) {
        self.write(&format!("meddled.{}", object_of(number)), string);
    }

    /// The string of an event: as it is set, and as it was when changes were last applied.
    pub(crate) fn actions(&self, number: u32) -> [String; 2] {
        let object = object_of(number);
        let applied = Path::new("applied").join(&object);
        [self.read(Path::new(&object)), self.read(&applied)]
    }

    /// All that was set, in order: the number of an event and its string, 0 for the command to apply.
    pub(crate) fn sets(&self) -> Vec<(u32, String)> {
        let set = |line: &str| {
            let (object, value) = line.split_once('=').expect("the script writes both");
            let number = object
                .strip_prefix("1.1.6.")
                .and_then(|end| end.strip_suffix(".0"));
            let number = number.map_or(Ok(0), str::parse).expect("a number");
            (number, value.to_owned())
        };
        self.read(Path::new("sets")).lines().map(set).collect()
    }
}

impl Drop for Snmpd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn object_of(number: u32) -> String {
    format!("1.1.6.{number}.0")
}

fn directory() -> TempDir {
    TempDir::new().expect("a temporary directory")
}
