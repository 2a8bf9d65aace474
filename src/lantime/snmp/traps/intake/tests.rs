//! What becomes of traps of devices that another bridge of the cluster polls.

use super::super::trap::Received;
use super::*;
use crate::lantime::snmp::traps::{Receipt, SenderIdentity};
use crate::model::{EventNaming, Trap};

const HOUR: u32 = 360_000;

/// An intake, whose traps arrive at `here` where the device is polled here.
struct Scene {
    intake: Intake,
    configured: watch::Sender<Configured>,
    here: mpsc::Receiver<DeviceTrap>,
    traps: mpsc::Sender<DeviceTrap>,
    begin: Instant,
}

impl Scene {
    fn new() -> Scene {
        let (traps, here) = mpsc::channel(8);
        let configured = watch::Sender::default();
        let intake = Intake::new(Handles {
            taken: mpsc::channel(1).1,
            configured: configured.subscribe(),
            updates: mpsc::channel(1).0,
            counts: watch::Sender::default(),
            generation: watch::Sender::default(),
            repeat: Duration::from_secs(900),
            hold_for: Duration::from_secs(15),
            open: Vec::new(),
        });
        Scene {
            intake,
            configured,
            here,
            traps,
            begin: Instant::now(),
        }
    }

    /// These devices share an address; each is polled here, or elsewhere.
    fn configure(&mut self, devices: &[(&str, bool)]) {
        let sender = |&(id, is_here): &(&str, bool)| Sender {
            device: DeviceId::new(id).unwrap(),
            hosts: vec!["10.0.0.1".to_owned()],
            sources: Vec::new(),
            engine_id: None,
            sys_name: None,
            traps: is_here.then(|| self.traps.clone()),
            identity: watch::channel(SenderIdentity::default()).1,
        };
        let (here, elsewhere) = devices
            .iter()
            .map(sender)
            .partition(|sender| sender.traps.is_some());
        self.configured.send_replace(Configured { here, elsewhere });
        self.intake.configure();
    }

    /// A v3 trap that says this uptime comes to the receiver of that generation, so many seconds after the beginning.
    fn trap(&mut self, generation: u64, uptime: u32, seconds: u64) -> Result<(), Reason> {
        let received = Received {
            trap: Trap {
                version: "3",
                confirmed: false,
                oid: None,
                event: None,
                naming: EventNaming::default(),
                message: None,
                varbinds: Vec::new(),
                left_out: 0,
            },
            source: "10.0.0.1".parse().unwrap(),
            engine_id: Some(b"engine".to_vec()),
            agent: None,
            sys_name: Some("ntp-1".to_owned()),
            uptime,
        };
        let taken = Taken {
            received,
            generation,
            receipt: Receipt::of_test(None).0,
        };
        let now = self.begin + Duration::from_secs(seconds);
        self.intake.hand_over(taken, now).map_err(|(reason, _)| reason)
    }

    /// How many traps have come to devices that are polled here.
    fn arrived(&mut self) -> usize {
        std::iter::from_fn(|| self.here.try_recv().ok()).count()
    }

    fn counts(&self) -> Counts {
        *self.intake.counts.borrow()
    }
}

#[test]
fn a_device_that_restarts_while_another_bridge_polls_it_sends_no_replays() {
    let mut scene = Scene::new();
    scene.configure(&[("a", false)]);
    assert_eq!(scene.trap(0, HOUR, 0), Ok(()));
    assert_eq!(scene.trap(1, 500, 1), Ok(()), "it has restarted meanwhile");
    assert!(!scene.intake.receiver.is_misled);
    assert_eq!((scene.counts().elsewhere, scene.counts().replays), (2, 0));
    scene.configure(&[("a", true)]);
    assert_eq!(scene.arrived(), 2);
}

#[test]
fn once_it_is_polled_here_again_its_traps_are_judged_from_the_beginning() {
    let mut scene = Scene::new();
    scene.configure(&[("a", true)]);
    assert_eq!(scene.trap(0, HOUR, 0), Ok(()));
    assert_eq!(scene.trap(1, 500, 1), Err(Reason::OutOfTime));
    scene.configure(&[("a", false)]);
    scene.configure(&[("a", true)]);
    assert_eq!(scene.trap(1, 500, 2), Ok(()));
    assert_eq!(scene.trap(2, HOUR, 3), Err(Reason::OutOfTime));
    assert_eq!(scene.arrived(), 2);
}

#[test]
fn where_a_device_at_the_address_is_elsewhere_an_unknown_name_is_not_reported() {
    let mut scene = Scene::new();
    scene.configure(&[("a", true), ("b", false)]);
    assert_eq!(scene.trap(0, HOUR, 0), Ok(()));
    let elsewhere = Counts {
        elsewhere: 1,
        ..Counts::default()
    };
    assert_eq!(scene.counts(), elsewhere, "it counts as nothing else");
    scene.configure(&[("a", true), ("b", true)]);
    assert_eq!(scene.trap(0, HOUR, 0), Err(Reason::UnknownSender));
    assert_eq!(scene.arrived(), 0);
}
