//! What is sent to clients, written once for all of them, and only while there are any.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use crate::contract::incident::Incident;
use crate::contract::{incident, to_json};
use crate::hub::{self, Fleet};
use crate::model::DeviceId;
use crate::records::store::OpenIncidents;
use crate::web::Shown;
use crate::web::{cluster, json};

/// From one pass to the next, at least: five a second.
const PACE: Duration = Duration::from_millis(200);
/// When the bridge's own numbers are looked at, whose small changes wake nobody.
const NUMBERS: Duration = Duration::from_secs(2);

/// The events with the state of everything now.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// Counts the times that they were looked through; 0: nothing is there.
    pub(super) pass: u64,
    bridge: Piece,
    cluster: Piece,
    roster: Piece,
    incidents: Piece,
    devices: BTreeMap<DeviceId, DeviceFrame>,
    /// The fleet of which they were made.
    fleet: (u64, u64),
}

/// The event of one device.
#[derive(Debug, Default)]
struct DeviceFrame {
    version: u64,
    state: Piece,
}

/// An event, and the pass in which it became what it is.
#[derive(Debug, Default)]
struct Piece {
    pass: u64,
    event: Bytes,
}

impl Piece {
    /// Whether it is another event than before.
    fn set(&mut self, pass: u64, event: Bytes) -> bool {
        if self.event == event {
            return false;
        }
        *self = Piece { pass, event };
        true
    }

    fn newer_than(&self, reported: u64) -> Option<Bytes> {
        (self.pass > reported).then(|| self.event.clone())
    }
}

/// Events of what is no device.
#[derive(Debug, Default)]
struct General {
    bridge: Bytes,
    /// None without a cluster.
    cluster: Option<Bytes>,
    /// None if they are as before.
    incidents: Option<Bytes>,
}

#[derive(Serialize)]
struct Open<'a> {
    incidents: Vec<Incident<'a>>,
}

#[derive(Serialize)]
struct Roster<'a> {
    devices: Vec<&'a str>,
}

impl Frames {
    /// The bridge, its cluster, which devices there are, and which incidents are open, where that is newer than `reported`.
    pub(super) fn general(&self, reported: u64) -> Vec<Bytes> {
        let pieces = [&self.bridge, &self.cluster, &self.roster, &self.incidents].into_iter();
        pieces.filter_map(|piece| piece.newer_than(reported)).collect()
    }

    /// The next device whose event is newer than `reported`.
    pub(super) fn device_after(&self, at: Bound<&DeviceId>, reported: u64) -> Option<(DeviceId, Bytes)> {
        let mut devices = self.devices.range((at, Bound::Unbounded));
        devices.find_map(|(id, device)| Some((id.clone(), device.state.newer_than(reported)?)))
    }

    /// Takes in how things are now; whether anything is otherwise.
    fn refresh(&mut self, pass: u64, fleet: &Fleet, now: General) -> bool {
        let General {
            bridge,
            cluster,
            incidents,
        } = now;
        let is_first = self.pass == 0;
        let mut is_new = self.bridge.set(pass, bridge) | is_first;
        is_new |= cluster.is_some_and(|cluster| self.cluster.set(pass, cluster));
        is_new |= incidents.is_some_and(|incidents| self.incidents.set(pass, incidents));
        if is_first || self.fleet.1 != fleet.roster {
            let devices = fleet.devices.keys().map(DeviceId::as_str).collect();
            is_new |= self.roster.set(pass, event("roster", &Roster { devices }));
            self.devices.retain(|id, _| fleet.devices.contains_key(id));
        }
        if is_first || self.fleet.0 != fleet.version {
            for (id, device) in &fleet.devices {
                is_new |= self.refresh_device(pass, id, device);
            }
        }
        self.fleet = (fleet.version, fleet.roster);
        self.pass = pass;
        is_new
    }

    fn refresh_device(&mut self, pass: u64, id: &DeviceId, device: &hub::Device) -> bool {
        let known = self.devices.get(id).map(|known| known.version);
        if known == Some(device.version) {
            return false;
        }
        let frame = self.devices.entry(id.clone()).or_default();
        frame.version = device.version;
        // How it is asked is not in it: that changes all the time, and pages ask for it.
        frame
            .state
            .set(pass, event("device", &json::device(id, &device.view)))
    }
}

fn event(name: &str, value: &impl Serialize) -> Bytes {
    // JSON on one line has no end of line in it.
    let json = to_json(value);
    let mut event = format!("event: {name}\ndata: ").into_bytes();
    event.extend_from_slice(&json);
    event.extend_from_slice(b"\n\n");
    Bytes::from(event.into_boxed_slice())
}

/// Keeps the frames up to date.
#[derive(Debug)]
pub(in crate::web) struct Feed {
    shown: Shown,
    incidents: watch::Receiver<OpenIncidents>,
    changeable: bool,
    frames: watch::Sender<Frames>,
    arrived: Arc<Notify>,
    pass: u64,
}

impl Feed {
    pub(super) fn new(
        shown: Shown,
        changeable: bool,
        frames: watch::Sender<Frames>,
        arrived: Arc<Notify>,
    ) -> Feed {
        Feed {
            incidents: shown.store.incidents(),
            shown,
            changeable,
            frames,
            arrived,
            pass: 0,
        }
    }

    /// Works while there are clients.
    pub(in crate::web) async fn run(mut self) -> Infallible {
        loop {
            if self.frames.receiver_count() == 0 {
                self.frames.send_replace(Frames::default());
                self.arrived.notified().await;
            }
            self.refresh();
            sleep(PACE).await;
            self.news().await;
        }
    }

    fn refresh(&mut self) {
        self.pass += 1;
        let bridge = event("bridge", &json::bridge(&self.shown, self.changeable));
        let cluster = self.shown.cluster.as_ref();
        let cluster = cluster.map(|cluster| event("cluster", &cluster::view(cluster)));
        let are_new = self.frames.borrow().pass == 0 || self.incidents.has_changed().unwrap_or_default();
        let incidents = are_new.then(|| {
            let open = self.incidents.borrow_and_update();
            let incidents = incident::list(&open);
            event("incidents", &Open { incidents })
        });
        let now = General {
            bridge,
            cluster,
            incidents,
        };
        // A copy: whoever publishes must not wait while devices are written as JSON.
        let fleet = self.shown.fleet.borrow_and_update().clone();
        self.frames
            .send_if_modified(|frames| frames.refresh(self.pass, &fleet, now));
    }

    /// Returns when something may have changed.
    async fn news(&mut self) {
        let shown = &mut self.shown;
        let traps = async {
            match &mut shown.traps {
                Some(traps) => traps.changed().await.is_ok(),
                None => std::future::pending().await,
            }
        };
        let cluster = async {
            match &mut shown.cluster {
                Some(cluster) => tokio::select! {
                    Ok(()) = cluster.status.changed() => {}
                    Ok(()) = cluster.units.changed() => {}
                    else => std::future::pending().await,
                },
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = shown.fleet.changed() => {}
            _ = shown.unit.broker.changed() => {}
            _ = shown.unit.commands.changed() => {}
            _ = traps => {}
            () = cluster => {}
            // Waiting marks them as seen, which the next pass has not.
            Ok(()) = self.incidents.changed() => self.incidents.mark_changed(),
            () = self.frames.closed() => {}
            () = sleep(NUMBERS) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::{Availability, DeviceTopic, DeviceView, HttpStats, Update};

    fn id(id: &str) -> DeviceId {
        DeviceId::new(id).unwrap()
    }

    /// What a client gets that has received everything up to `reported`.
    fn newer(frames: &Frames, reported: u64) -> Vec<String> {
        let mut events = frames.general(reported);
        let mut at = Bound::Unbounded;
        while let Some((device, event)) = frames.device_after(at.as_ref(), reported) {
            events.push(event);
            at = Bound::Excluded(device);
        }
        let texts = events
            .iter()
            .map(|event| String::from_utf8_lossy(event).into_owned());
        let heads = texts.map(|text| {
            let end = text.find([',', ']']).unwrap_or(text.len());
            text[..end].replace("event: ", "").replace("\ndata: ", " ")
        });
        heads.collect()
    }

    #[test]
    fn a_client_gets_everything_and_then_what_changes() {
        let mut fleet = Fleet::new([id("a"), id("b")]);
        let mut frames = Frames::default();
        let now = |cluster: &str| General {
            bridge: event("bridge", &["x"]),
            cluster: Some(event("cluster", &[cluster])),
            incidents: Some(event("incidents", &Open { incidents: vec![] })),
        };
        assert!(frames.refresh(1, &fleet, now("c")));
        let all = [
            "bridge [\"x\"",
            "cluster [\"c\"",
            "roster {\"devices\":[\"a\"",
            "incidents {\"incidents\":[",
            "device {\"id\":\"a\"",
            "device {\"id\":\"b\"",
        ];
        assert_eq!(newer(&frames, 0), all);
        assert!(!frames.refresh(2, &fleet, now("c")));
        assert!(newer(&frames, 1).is_empty());
        assert!(frames.refresh(2, &fleet, now("d")));
        assert_eq!(newer(&frames, 1), ["cluster [\"d\""]);

        let online = DeviceView {
            availability: Some(Availability::Online),
            ..DeviceView::default()
        };
        fleet.apply(
            &Update::Device {
                device: id("b"),
                view: Arc::new(online),
                changes: vec![DeviceTopic::State],
                transitions: Vec::new(),
                recorded: None,
            },
            Timestamp::UNIX_EPOCH,
        );
        assert!(frames.refresh(3, &fleet, now("d")));
        assert_eq!(newer(&frames, 2), ["device {\"id\":\"b\""]);

        let summary = HttpStats::default().summary();
        fleet.apply(
            &Update::HttpStats {
                device: id("a"),
                summary: summary.into(),
            },
            Timestamp::UNIX_EPOCH,
        );
        assert!(
            !frames.refresh(4, &fleet, now("d")),
            "pages ask for that of the device they show"
        );

        fleet.apply(&Update::Removed { device: id("a") }, Timestamp::UNIX_EPOCH);
        assert!(frames.refresh(5, &fleet, now("d")));
        assert_eq!(newer(&frames, 4), ["roster {\"devices\":[\"b\""]);
    }
}
