//! Traps of devices that another bridge of the cluster polls: kept for a while, in case that one is dead and this one takes
//! over. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::senders::DeviceTrap;
use crate::model::DeviceId;

/// Most traps that are kept. Of more the latest are.
const MOST: usize = 1024;

/// What is kept, oldest first.
#[derive(Debug)]
pub(super) struct Held {
    traps: VecDeque<(Instant, DeviceId, DeviceTrap)>,
    keep: Duration,
}

impl Held {
    /// Each is kept for so long.
    pub(super) fn new(keep: Duration) -> Held {
        Held {
            traps: VecDeque::new(),
            keep,
        }
    }

    /// A trap of that device has come. It takes no place from others, and an inform is not acknowledged: its sender repeats
    /// it.
    pub(super) fn put(&mut self, device: DeviceId, mut trap: DeviceTrap, now: Instant) {
        trap.receipt.release();
        self.drop_old(now);
        if self.traps.len() >= MOST {
            self.traps.pop_front();
        }
        self.traps.push_back((now, device, trap));
    }

    /// What there is of the devices that are polled here by now.
    pub(super) fn take(
        &mut self,
        is_here: impl Fn(&DeviceId) -> bool,
        now: Instant,
    ) -> Vec<(DeviceId, DeviceTrap)> {
        self.drop_old(now);
        let kept = std::mem::take(&mut self.traps).into_iter();
        let (here, elsewhere): (Vec<_>, Vec<_>) = kept.partition(|(_, device, _)| is_here(device));
        self.traps = elsewhere.into();
        here.into_iter().map(|(_, device, trap)| (device, trap)).collect()
    }

    fn drop_old(&mut self, now: Instant) {
        let is_old = |(came, _, _): &mut (Instant, _, _)| now.duration_since(*came) > self.keep;
        while self.traps.pop_front_if(is_old).is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lantime::snmp::traps::Receipt;
    use crate::model::{EventNaming, Trap};

    fn id(id: &str) -> DeviceId {
        DeviceId::new(id).unwrap()
    }

    fn trap(message: &str) -> DeviceTrap {
        let trap = Trap {
            version: "2c",
            confirmed: false,
            oid: None,
            event: None,
            naming: EventNaming::default(),
            message: Some(message.to_owned()),
            varbinds: Vec::new(),
            left_out: 0,
        };
        DeviceTrap {
            trap: Box::new(trap),
            receipt: Receipt::of_test(None).0,
        }
    }

    fn messages(taken: Vec<(DeviceId, DeviceTrap)>) -> Vec<String> {
        taken
            .into_iter()
            .filter_map(|(_, trap)| trap.trap.message)
            .collect()
    }

    #[test]
    fn what_is_kept_comes_in_order_once_its_device_is_here_unless_it_is_old() {
        let (mut held, begin) = (Held::new(Duration::from_secs(15)), Instant::now());
        let after = |seconds| begin + Duration::from_secs(seconds);
        held.put(id("a"), trap("old"), after(0));
        held.put(id("a"), trap("1"), after(10));
        held.put(id("b"), trap("2"), after(11));
        held.put(id("a"), trap("3"), after(12));
        assert_eq!(
            messages(held.take(|device| *device == id("a"), after(20))),
            ["1", "3"]
        );
        assert_eq!(messages(held.take(|_| true, after(20))), ["2"]);
        assert_eq!(messages(held.take(|_| true, after(20))), [""; 0]);
    }

    #[test]
    fn it_is_bounded_and_an_inform_is_not_acknowledged() {
        let (mut held, now) = (Held::new(Duration::from_secs(15)), Instant::now());
        let (receipt, is_safe) = Receipt::of_test(None);
        let inform = DeviceTrap {
            receipt,
            ..trap("inform")
        };
        held.put(id("a"), inform, now);
        assert!(is_safe.recv().is_err(), "its sender waits in vain, and at once");
        (0..2000).for_each(|number| held.put(id("a"), trap(&number.to_string()), now));
        let taken = messages(held.take(|_| true, now));
        assert_eq!((taken.len(), taken.last().unwrap().as_str()), (MOST, "1999"));
    }
}
