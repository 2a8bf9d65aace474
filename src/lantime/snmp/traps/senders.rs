//! Whose trap it is: the devices by engine id, by address and by name. Pure; host names are resolved elsewhere.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::receipt::Receipt;
use super::trap::Received;
use crate::model::{DeviceId, Trap};

/// A device, and what distinguishes its traps from those of others.
#[derive(Debug, Clone)]
pub struct Sender {
    /// Which device.
    pub device: DeviceId,
    /// Host of its REST API and of its agent: names or addresses.
    pub hosts: Vec<String>,
    /// Further addresses that its traps come from.
    pub sources: Vec<IpAddr>,
    /// Engine id of its agent.
    pub engine_id: Option<Vec<u8>>,
    /// Its sysName; the host name that REST reports counts as well.
    pub sys_name: Option<String>,
    /// Takes its traps; `None` where another bridge of the cluster polls it.
    pub traps: Option<mpsc::Sender<DeviceTrap>>,
    /// What its task knows of it.
    pub identity: watch::Receiver<SenderIdentity>,
}

/// All devices whose traps are expected.
#[derive(Debug, Clone, Default)]
pub struct Configured {
    /// Those that are polled here.
    pub here: Vec<Sender>,
    /// Those that another bridge of the cluster may poll; those that are polled here count as such.
    pub elsewhere: Vec<Sender>,
}

impl Configured {
    pub(super) fn all(&self) -> Vec<Sender> {
        let here: HashSet<_> = self.here.iter().map(|sender| &sender.device).collect();
        let elsewhere = self.elsewhere.iter();
        let elsewhere = elsewhere.filter(|sender| !here.contains(&sender.device));
        self.here.iter().chain(elsewhere).cloned().collect()
    }
}

/// What the task of a device knows of the sender of its traps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SenderIdentity {
    /// What the device calls itself.
    pub host_name: Option<String>,
    /// When it has last restarted, as far as REST has shown it.
    pub restarted: Option<Instant>,
}

/// A trap or inform of a device, on the way to its task.
#[derive(Debug)]
pub struct DeviceTrap {
    /// What it says; its event by the name that is made from the MIB. Boxed: a channel has room for 32 from its beginning.
    pub trap: Box<Trap>,
    /// What is owed for it.
    pub receipt: Receipt,
}

/// All devices.
#[derive(Debug, Default)]
pub(super) struct Senders {
    senders: Vec<Sender>,
    by_engine: HashMap<Vec<u8>, usize>,
    by_address: HashMap<IpAddr, Vec<usize>>,
}

/// Why a trap belongs to no device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum UnknownSender {
    /// It comes from nowhere where a device is.
    Address(IpAddr),
    /// It comes from where several devices are, and its name is none of theirs.
    Name {
        /// Where it comes from.
        address: IpAddr,
        /// Its sysName.
        name: Option<String>,
        /// The devices that are there.
        devices: Vec<DeviceId>,
        /// Whether another bridge of the cluster polls one of them: it may know it by the host name that REST reports.
        may_be_elsewhere: bool,
    },
}

impl Sender {
    /// Whether the device is called that; the domain may be left out on either side.
    fn is_called(&self, name: &str) -> bool {
        let identity = self.identity.borrow();
        let own = identity.host_name.as_deref();
        own.is_some_and(|own| is_same_name(own, name))
    }
}

impl Senders {
    /// `resolved` is where the hosts are.
    pub(super) fn new(senders: Vec<Sender>, resolved: &HashMap<String, Vec<IpAddr>>) -> Senders {
        let mut by_engine = HashMap::new();
        let mut by_address: HashMap<IpAddr, Vec<usize>> = HashMap::new();
        for (index, sender) in senders.iter().enumerate() {
            if let Some(engine_id) = &sender.engine_id {
                by_engine.insert(engine_id.clone(), index);
            }
            let hosts = sender
                .hosts
                .iter()
                .filter_map(|host| resolved.get(host))
                .flatten();
            for address in hosts.chain(&sender.sources) {
                let there = by_address.entry(address.to_canonical()).or_default();
                if !there.contains(&index) {
                    there.push(index);
                }
            }
        }
        Senders {
            senders,
            by_engine,
            by_address,
        }
    }

    /// The device that has sent this. What is authenticated counts most; what a datagram claims only among those
    /// that its address leaves.
    pub(super) fn find(&self, received: &Received) -> Result<&Sender, UnknownSender> {
        if let Some(engine_id) = &received.engine_id
            && let Some(index) = self.by_engine.get(engine_id)
        {
            return Ok(&self.senders[*index]);
        }
        // Passed on by somebody else, a trap names its agent.
        let there = self.by_address.get(&received.source);
        let there = there.or_else(|| self.by_address.get(&received.agent?));
        match there.map(Vec::as_slice) {
            None => Err(UnknownSender::Address(received.source)),
            Some([index]) => Ok(&self.senders[*index]),
            Some(several) => self.by_name(several, received),
        }
    }

    fn by_name(&self, several: &[usize], received: &Received) -> Result<&Sender, UnknownSender> {
        let name = received.sys_name.as_deref();
        let has_name = |sender: &&Sender| {
            name.is_some_and(|name| match &sender.sys_name {
                Some(own) => is_same_name(own, name),
                None => sender.is_called(name),
            })
        };
        let there = || several.iter().map(|index| &self.senders[*index]);
        let mut named = there().filter(has_name);
        match (named.next(), named.next()) {
            (Some(sender), None) => Ok(sender),
            _ => Err(UnknownSender::Name {
                address: received.source,
                name: received.sys_name.clone(),
                devices: there().map(|sender| sender.device.clone()).collect(),
                may_be_elsewhere: there().any(|sender| sender.traps.is_none()),
            }),
        }
    }
}

/// Whether two host names mean the same, where one may lack its domain.
fn is_same_name(one: &str, other: &str) -> bool {
    let short = |name: &'_ str| name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    one.eq_ignore_ascii_case(other)
        || (short(one) == short(other) && (!one.contains('.') || !other.contains('.')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EventNaming, Trap};

    const SHARED: &str = "10.0.0.9";

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn sender(id: &str, host: &str) -> Sender {
        Sender {
            device: DeviceId::new(id).unwrap(),
            hosts: vec![host.to_owned()],
            sources: Vec::new(),
            engine_id: None,
            sys_name: None,
            traps: Some(mpsc::channel(1).0),
            identity: watch::channel(SenderIdentity::default()).1,
        }
    }

    fn received(source: &str) -> Received {
        Received {
            trap: Trap {
                version: "2c",
                confirmed: false,
                oid: None,
                event: None,
                naming: EventNaming::default(),
                message: None,
                varbinds: Vec::new(),
                left_out: 0,
            },
            source: ip(source),
            engine_id: None,
            agent: None,
            sys_name: None,
            uptime: 0,
        }
    }

    /// `a` is alone, `b`, `c` and `d` share an address, `e` has a name and an engine id.
    fn senders() -> Senders {
        let mut b = sender("b", SHARED);
        b.sys_name = Some("ntp-b".to_owned());
        let mut c = sender("c", SHARED);
        let identity = SenderIdentity {
            host_name: Some("ntp-c.example".to_owned()),
            restarted: None,
        };
        c.identity = watch::channel(identity).1;
        let mut e = sender("e", "ntp-e.example");
        e.engine_id = Some(vec![0x80, 0, 0, 0, 1]);
        e.sources = vec![ip("fd00::5")];
        let resolved = [
            ("10.0.0.1", vec![ip("10.0.0.1")]),
            (SHARED, vec![ip(SHARED)]),
            ("ntp-e.example", vec![ip("10.0.0.5")]),
        ];
        let resolved = resolved.map(|(host, addresses)| (host.to_owned(), addresses));
        Senders::new(
            vec![sender("a", "10.0.0.1"), b, c, sender("d", SHARED), e],
            &resolved.into(),
        )
    }

    fn found(received: &Received) -> Result<String, UnknownSender> {
        senders().find(received).map(|sender| sender.device.to_string())
    }

    #[test]
    fn an_address_that_only_one_device_has_is_enough() {
        assert_eq!(found(&received("10.0.0.1")), Ok("a".to_owned()));
        assert_eq!(found(&received("10.0.0.5")), Ok("e".to_owned()));
        assert_eq!(found(&received("fd00::5")), Ok("e".to_owned()));
        let unknown = UnknownSender::Address(ip("10.0.0.2"));
        assert_eq!(found(&received("10.0.0.2")), Err(unknown));
    }

    #[test]
    fn a_trap_that_is_passed_on_names_its_agent() {
        let mut passed_on = received("192.0.2.1");
        passed_on.agent = Some(ip("10.0.0.1"));
        assert_eq!(found(&passed_on), Ok("a".to_owned()));
    }

    #[test]
    fn among_several_at_an_address_the_name_decides() {
        let mut trap = received(SHARED);
        for (name, device) in [("ntp-b", "b"), ("NTP-C", "c"), ("ntp-c.example", "c")] {
            trap.sys_name = Some(name.to_owned());
            assert_eq!(found(&trap), Ok(device.to_owned()));
        }
        for name in [None, Some("ntp-x".to_owned())] {
            trap.sys_name.clone_from(&name);
            let Err(UnknownSender::Name {
                name: reported,
                devices,
                may_be_elsewhere: false,
                ..
            }) = found(&trap)
            else {
                panic!("{name:?} is nobody's");
            };
            assert_eq!((reported, devices.len()), (name, 3));
        }
    }

    #[test]
    fn a_name_may_lack_its_domain() {
        assert!(is_same_name("ntp-1", "NTP-1.example"));
        assert!(is_same_name("ntp-1.example", "ntp-1"));
        assert!(!is_same_name("ntp-1.a", "ntp-1.b"));
        assert!(!is_same_name("ntp-1", "ntp-2"));
        assert!(!sender("a", SHARED).is_called("ntp-1"));
    }

    #[test]
    fn an_engine_id_is_stronger_than_an_address() {
        let mut trap = received("10.0.0.1");
        trap.engine_id = Some(vec![0x80, 0, 0, 0, 1]);
        assert_eq!(found(&trap), Ok("e".to_owned()));
        trap.engine_id = Some(vec![0x80, 0, 0, 0, 2]);
        assert_eq!(found(&trap), Ok("a".to_owned()));
    }
}
