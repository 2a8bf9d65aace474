//! Topics of Sparkplug: built and parsed here, nowhere else.
//!
//! | message | topic |
//! |---|---|
//! | of the edge node | `spBv1.0/{group}/{NBIRTH,NDATA,NDEATH,NCMD}/{edge_node}` |
//! | of a device | `spBv1.0/{group}/{DBIRTH,DDATA,DDEATH,DCMD}/{edge_node}/{device}` |
//! | whether a host is there | `spBv1.0/STATE/{host}` |

use std::fmt;

use crate::config::Sparkplug;
use crate::model::{DeviceId, SlotId};

const NAMESPACE: &str = "spBv1.0";

/// Where hosts of Sparkplug 2.2 publish their state: outside of the namespace, `ONLINE` or `OFFLINE` as plain
/// text, retained.
pub(super) const OLD_STATES: &str = "STATE/+";

/// A device of Sparkplug: a LANTIME, or one of its slots. `m3000-a` and `m3000-a:io3`: no id of ours has a colon, and
/// Sparkplug allows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) device: DeviceId,
    pub(super) slot: Option<SlotId>,
}

impl Place {
    /// The place of that name; `None` where no device can have it.
    pub(super) fn parse(name: &str) -> Option<Place> {
        let (device, slot) = match name.split_once(':') {
            Some((device, slot)) => (device, Some(SlotId::new(slot)?)),
            None => (name, None),
        };
        let device = DeviceId::new(device)?;
        Some(Place { device, slot })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.slot {
            Some(slot) => write!(f, "{}:{slot}", self.device),
            None => write!(f, "{}", self.device),
        }
    }
}

/// What an edge node says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OfNode {
    Birth,
    Data,
    Death,
}

/// What an edge node says of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OfDevice {
    Birth,
    Data,
    Death,
}

/// Where a message that came in belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Incoming<'t> {
    /// NCMD: for the edge node.
    Node,
    /// DCMD: for the device of that name.
    Device(&'t str),
    /// STATE of the primary host.
    Host,
    /// STATE of the host of that name, as Sparkplug 2.2 has it.
    OldHost(&'t str),
}

/// The topics of one edge node.
#[derive(Debug, Clone)]
pub(super) struct Topics {
    group: String,
    node: String,
    host: Option<String>,
}

impl Topics {
    pub(super) fn new(settings: &Sparkplug) -> Topics {
        Topics {
            group: settings.group.clone(),
            node: settings.edge_node.clone(),
            host: settings.primary_host.clone(),
        }
    }

    pub(super) fn of_node(&self, what: OfNode) -> String {
        let word = match what {
            OfNode::Birth => "NBIRTH",
            OfNode::Data => "NDATA",
            OfNode::Death => "NDEATH",
        };
        self.node(word)
    }

    pub(super) fn of_device(&self, what: OfDevice, place: &Place) -> String {
        let word = match what {
            OfDevice::Birth => "DBIRTH",
            OfDevice::Data => "DDATA",
            OfDevice::Death => "DDEATH",
        };
        format!("{}/{place}", self.node(word))
    }

    /// The filters that match the commands for this edge node and its devices, and no others.
    pub(super) fn commands(&self) -> Vec<String> {
        vec![self.node("NCMD"), format!("{}/+", self.node("DCMD"))]
    }

    /// Where the primary host publishes its state.
    pub(super) fn host(&self) -> Option<String> {
        let host = self.host.as_ref()?;
        Some(format!("{NAMESPACE}/STATE/{host}"))
    }

    /// Whether that is the name of the primary host.
    pub(super) fn is_primary_host(&self, host: &str) -> bool {
        self.host.as_deref() == Some(host)
    }

    pub(super) fn parse<'t>(&self, topic: &'t str) -> Option<Incoming<'t>> {
        if self.host().is_some_and(|host| host == topic) {
            return Some(Incoming::Host);
        }
        if topic == self.node("NCMD") {
            return Some(Incoming::Node);
        }
        if let Some(host) = topic.strip_prefix("STATE/") {
            return Some(Incoming::OldHost(host));
        }
        let device = topic.strip_prefix(&self.node("DCMD"))?.strip_prefix('/')?;
        (!device.contains('/')).then_some(Incoming::Device(device))
    }

    fn node(&self, word: &str) -> String {
        format!("{NAMESPACE}/{}/{word}/{}", self.group, self.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics() -> Topics {
        Topics::new(&Sparkplug {
            group: "Plant 1".to_owned(),
            edge_node: "site-1".to_owned(),
            primary_host: Some("scada".to_owned()),
        })
    }

    #[test]
    fn a_place_is_parsed_to_itself() {
        for name in ["m3000-a", "m3000-a:io3"] {
            assert_eq!(Place::parse(name).unwrap().to_string(), name);
        }
        for name in ["", ":io3", "m:", "m:io3:x", "M"] {
            assert_eq!(Place::parse(name), None, "{name}");
        }
    }

    #[test]
    fn topics_are_those_of_the_specification() {
        let (topics, place) = (topics(), Place::parse("m1:io3").unwrap());
        for (topic, text) in [
            (topics.of_node(OfNode::Birth), "spBv1.0/Plant 1/NBIRTH/site-1"),
            (topics.of_node(OfNode::Death), "spBv1.0/Plant 1/NDEATH/site-1"),
            (
                topics.of_device(OfDevice::Data, &place),
                "spBv1.0/Plant 1/DDATA/site-1/m1:io3",
            ),
        ] {
            assert_eq!(topic, text);
        }
        assert_eq!(
            topics.commands(),
            ["spBv1.0/Plant 1/NCMD/site-1", "spBv1.0/Plant 1/DCMD/site-1/+"]
        );
    }

    #[test]
    fn only_what_is_for_this_edge_node_is_parsed() {
        let topics = topics();
        for (topic, expected) in [
            ("spBv1.0/STATE/scada", Some(Incoming::Host)),
            ("spBv1.0/Plant 1/NCMD/site-1", Some(Incoming::Node)),
            (
                "spBv1.0/Plant 1/DCMD/site-1/m1:io3",
                Some(Incoming::Device("m1:io3")),
            ),
            ("STATE/scada", Some(Incoming::OldHost("scada"))),
            ("spBv1.0/STATE/other", None),
            ("spBv1.0/Plant 1/NCMD/site-2", None),
            ("spBv1.0/Plant 1/DCMD/site-1", None),
            ("spBv1.0/Plant 1/DCMD/site-10/m1", None),
            ("spBv1.0/Plant 1/DCMD/site-1/m1/x", None),
            ("spBv1.0/Plant 1/DDATA/site-1/m1", None),
        ] {
            assert_eq!(topics.parse(topic), expected, "{topic}");
        }
    }
}
