//! The durable list of topics: what is to be written to it, and which topics may be sent since they are in it.

use super::{Outbox, Recorded, Topic};

/// Changes of the durable list: removals first, then additions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Batch {
    pub(in super::super) remove: Vec<Topic>,
    pub(in super::super) add: Vec<Topic>,
}

impl Outbox {
    pub(super) fn forget(&mut self, topic: &Topic) {
        if self.entries.remove(topic).map(|entry| entry.recorded) == Some(Recorded::Failed) {
            self.batch.add.retain(|add| add != topic);
        }
        if self.is_listed {
            self.batch.remove.push(topic.clone());
        }
    }

    /// The changes of the durable list since the last time; `None` when there are none.
    pub(in super::super) fn take_batch(&mut self) -> Option<Batch> {
        let batch = std::mem::take(&mut self.batch);
        (batch != Batch::default()).then_some(batch)
    }

    /// The store has done with a batch: its topics may be sent. After a failure the batch waits for another attempt.
    pub(in super::super) fn recorded(&mut self, batch: Batch, stored: bool) {
        for topic in &batch.add {
            self.release(topic, if stored { Recorded::Yes } else { Recorded::Failed });
        }
        if !stored {
            // The older changes come first; a topic that has come back since must not be removed.
            let mut remove = batch.remove;
            remove.append(&mut self.batch.remove);
            let mut add = batch.add;
            add.retain(|topic| self.entries.get(topic).is_some());
            add.append(&mut self.batch.add);
            self.batch = Batch { remove, add };
        }
    }

    /// Lets topics go out that the store cannot take now.
    pub(in super::super) fn release_unrecorded(&mut self) {
        if self.unrecorded == 0 {
            return;
        }
        for topic in self.batch.add.clone() {
            self.release(&topic, Recorded::Failed);
        }
    }

    fn release(&mut self, topic: &Topic, recorded: Recorded) {
        let Some(entry) = self.entries.get_mut(topic) else {
            return;
        };
        let waited = entry.recorded == Recorded::No;
        entry.recorded = recorded;
        if waited {
            self.unrecorded -= 1;
            self.enqueue(topic);
        }
    }

    /// Whether no topic waits for the durable list.
    pub(in super::super) fn is_recorded(&self) -> bool {
        self.unrecorded == 0
    }

    /// Whether `topic` may be sent as far as the durable list is concerned.
    pub(in super::super) fn is_released(&self, topic: &str) -> bool {
        self.entries
            .get(topic)
            .is_some_and(|entry| entry.recorded != Recorded::No)
    }
}
