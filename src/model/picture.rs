//! All devices as they are published now, put together from what devices tell, for those who show them otherwise than
//! topic by topic: the page, metrics, other people's conventions.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{DeviceId, DeviceView, HttpSessions, HttpSummary, Update};

/// All configured devices. A copy is cheap: devices are shared until they change.
#[derive(Debug, Clone, Default)]
pub struct Picture {
    /// Counts updates that changed anything but how polls went.
    pub version: u64,
    /// The version in which a device last came or went.
    pub roster: u64,
    /// The devices, by id.
    pub devices: BTreeMap<DeviceId, Arc<DevicePicture>>,
}

/// A device.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DevicePicture {
    /// The version of the [`Picture`] in which it last changed; `http` and `sessions` do not count.
    pub version: u64,
    /// As it is published.
    pub view: Arc<DeviceView>,
    /// How its polls went; at most 10 s old.
    pub http: Option<HttpSummary>,
    /// The log of its HTTP sessions; at most 10 s old.
    pub sessions: Option<HttpSessions>,
}

impl Picture {
    /// The configured devices, of which nothing is known yet.
    pub fn new(devices: impl IntoIterator<Item = DeviceId>) -> Picture {
        let devices = devices.into_iter();
        Picture {
            devices: devices.map(|device| (device, Arc::default())).collect(),
            ..Picture::default()
        }
    }

    /// Takes an update in; whether anything has changed that is told as it changes. How polls went is not: it changes
    /// with each of them, and who shows it looks.
    pub fn apply(&mut self, update: &Update) -> bool {
        match update {
            Update::Device { device, view, .. } => self.changed(device).view = Arc::clone(view),
            Update::HttpStats { device, summary } => {
                self.asked_for(device, |device| device.http = Some(summary.clone()));
                return false;
            }
            Update::HttpSessions { device, log } => {
                self.asked_for(device, |device| device.sessions = Some(log.clone()));
                return false;
            }
            Update::Forgotten { device } => {
                let device = self.changed(device);
                let version = device.version;
                *device = DevicePicture {
                    version,
                    ..DevicePicture::default()
                };
            }
            Update::Removed { device } => {
                if self.devices.remove(device).is_none() {
                    return false;
                }
                self.version += 1;
                self.roster = self.version;
            }
            Update::Configured(devices) => {
                let before = self.version;
                for device in devices {
                    if !self.devices.contains_key(device) {
                        self.changed(device);
                    }
                }
                return self.version != before;
            }
            Update::DeadLetter(_) | Update::Settled { .. } => return false,
        }
        true
    }

    fn asked_for(&mut self, id: &DeviceId, change: impl FnOnce(&mut DevicePicture)) {
        if let Some(device) = self.devices.get_mut(id) {
            change(Arc::make_mut(device));
        }
    }

    /// A device that changes now; made where there is none.
    fn changed(&mut self, id: &DeviceId) -> &mut DevicePicture {
        self.version += 1;
        if !self.devices.contains_key(id) {
            self.roster = self.version;
        }
        let device = Arc::make_mut(self.devices.entry(id.clone()).or_default());
        device.version = self.version;
        device
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Availability, Change, HttpStats};

    fn id(id: &str) -> DeviceId {
        DeviceId::new(id).unwrap()
    }

    fn online(name: &str) -> Update {
        let view = DeviceView {
            availability: Some(Availability::Online),
            ..DeviceView::default()
        };
        Update::Device {
            device: id(name),
            view: Arc::new(view),
            changes: vec![Change::Availability(Availability::Online)],
        }
    }

    #[test]
    fn devices_that_come_and_go_are_told_by_the_roster() {
        let mut picture = Picture::new([id("m1")]);
        picture.apply(&online("m1"));
        let before = picture.clone();
        picture.apply(&online("m2"));
        assert_eq!(picture.roster, 2);
        assert!(picture.apply(&Update::Removed { device: id("m1") }));
        assert!(!picture.apply(&Update::Removed { device: id("m1") }));
        assert_eq!((picture.roster, picture.devices.len()), (3, 1));
        assert_eq!(before.devices.len(), 1, "a copy stays as it was");
        let configured = Update::Configured(vec![id("m2"), id("m3")]);
        assert!(picture.apply(&configured));
        assert!(!picture.apply(&configured));
        assert_eq!((picture.roster, picture.devices.len()), (4, 2));
        assert_eq!(
            picture.devices[&id("m3")].view.availability,
            None,
            "not asked yet"
        );
    }

    #[test]
    fn how_polls_went_is_there_for_those_who_look() {
        let mut picture = Picture::new([id("m1")]);
        let summary = HttpStats::default().summary();
        let update = Update::HttpStats {
            device: id("m1"),
            summary: summary.clone(),
        };
        assert!(!picture.apply(&update));
        assert_eq!(picture.version, 0);
        assert_eq!(picture.devices[&id("m1")].http, Some(summary));
    }

    #[test]
    fn a_device_that_is_forgotten_is_still_there() {
        let mut picture = Picture::new([id("m1")]);
        picture.apply(&online("m1"));
        assert!(picture.apply(&Update::Forgotten { device: id("m1") }));
        let shown = &picture.devices[&id("m1")];
        assert_eq!((shown.view.availability, shown.version), (None, 2));
        assert_eq!(picture.roster, 0, "it has neither come nor gone");
    }
}
