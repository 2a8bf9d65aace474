//! Records that the broker would probably not take, by what became of another one. They stay in the store and here until
//! they are tried again, each alone; only one that has failed itself, or whose like has failed again by then, leaves for
//! good.

use super::super::in_flight::{InFlight, Item};
use super::{Entry, MAX_BYTES, RecordQueue, payloads};

/// Records that may be aside: with more of them they are tried again at once.
const MAX_ASIDE: usize = 256;

/// Topics whose records may be put aside.
const MAX_BARRED: usize = 100;

impl RecordQueue {
    pub(super) fn put_aside(&mut self, number: u64, mut entry: Entry) {
        self.bytes -= entry.record.payload.len();
        entry.was_aside = true;
        entry.fatal = 0;
        self.aside.insert(number, entry);
    }

    /// Whether there is no room for more of them.
    pub(in super::super) fn is_aside_full(&self) -> bool {
        self.aside.len() >= MAX_ASIDE || payloads(&self.aside) >= MAX_BYTES
    }

    /// A record has ended connections: others at its topic, or of its size if that may be why, are put aside from now
    /// on. Says whether they are.
    pub(in super::super) fn bar(&mut self, topic: &str, size: Option<usize>) -> bool {
        if let Some(size) = size {
            self.barred_size = Some(self.barred_size.map_or(size, |barred| barred.min(size)));
            return true;
        }
        let has_room = self.barred.len() < MAX_BARRED;
        if has_room {
            self.barred.insert(topic.to_owned());
        }
        has_room
    }

    /// What is aside waits again, to be sent alone.
    pub(in super::super) fn try_again(&mut self, in_flight: &mut InFlight) {
        self.barred.clear();
        self.barred_size = None;
        for number in self.aside.keys() {
            in_flight.try_alone(Item::Record(*number));
        }
        self.bytes += payloads(&self.aside);
        self.waiting.append(&mut self.aside);
    }
}
