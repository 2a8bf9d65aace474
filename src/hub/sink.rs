//! The queue of a sink: each change of a device in order; where the sink is slow, the latest, and what lay between.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::model::{DeviceId, DeviceTopic, DeviceView, Transition, diff};

/// Most transitions of a device that are kept for a slow sink. Of more the latest are.
const MAX_TRANSITIONS: usize = 64;

/// A change of a device.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceUpdate {
    /// Which device.
    pub device: DeviceId,
    /// As this sink last had it; `None` where it had not come yet.
    pub old: Option<Arc<DeviceView>>,
    /// As it is now; `None` where it has left the configuration.
    pub new: Option<Arc<DeviceView>>,
    /// What is new, in the order in which it is to be shown. Empty where the device comes, leaves or is forgotten.
    pub changes: Arc<[DeviceTopic]>,
    /// What it went through on the way, in order, but for events, which no sink reports. Merged updates have those of
    /// all of them.
    pub transitions: Arc<[Transition]>,
    /// How many more there were, before these, for which a slow sink had no room.
    pub lost_transitions: usize,
    /// When it was so.
    pub at: Timestamp,
}

impl DeviceUpdate {
    /// A device comes, leaves or is forgotten.
    pub(super) fn new(
        device: &DeviceId,
        old: Option<Arc<DeviceView>>,
        new: Option<&Arc<DeviceView>>,
        at: Timestamp,
    ) -> DeviceUpdate {
        DeviceUpdate {
            device: device.clone(),
            old,
            new: new.cloned(),
            changes: Arc::default(),
            transitions: Arc::default(),
            lost_transitions: 0,
            at,
        }
    }

    /// This update, and `next` of the same device, as one.
    fn merge(&mut self, next: &DeviceUpdate) {
        self.new.clone_from(&next.new);
        self.at = next.at;
        let transitions = [&self.transitions[..], &next.transitions].concat();
        let lost = transitions.len().saturating_sub(MAX_TRANSITIONS);
        self.transitions = transitions[lost..].into();
        self.lost_transitions += next.lost_transitions + lost;
        self.changes = match (&self.old, &self.new) {
            (Some(old), Some(new)) => diff(old, new).into(),
            _ => Arc::default(),
        };
    }
}

/// What waits for one sink.
#[derive(Debug)]
pub(crate) struct Queue {
    /// Whose queue it is.
    name: &'static str,
    sender: mpsc::Sender<DeviceUpdate>,
    /// Without room in the channel: one for each device, and the order in which these came.
    merged: BTreeMap<DeviceId, DeviceUpdate>,
    order: VecDeque<DeviceId>,
}

impl Queue {
    pub(crate) fn new(name: &'static str, sender: mpsc::Sender<DeviceUpdate>) -> Queue {
        Queue {
            name,
            sender,
            merged: BTreeMap::new(),
            order: VecDeque::new(),
        }
    }

    /// The next update.
    pub(crate) fn put(&mut self, update: &DeviceUpdate) {
        if self.merged.is_empty() && !self.is_full(update.clone()) {
            return;
        }
        if self.merged.is_empty() {
            tracing::warn!(
                sink = self.name,
                "sink is slow: it gets the latest view of each device, with all transitions"
            );
        }
        match self.merged.get_mut(&update.device) {
            Some(waiting) => waiting.merge(update),
            None => {
                self.merged.insert(update.device.clone(), update.clone());
                self.order.push_back(update.device.clone());
            }
        }
    }

    /// Hands over what there is room for.
    pub(crate) fn flush(&mut self) {
        while let Some(update) = self.order.front().and_then(|device| self.merged.get(device)) {
            if self.is_full(update.clone()) {
                return;
            }
            let device = self.order.pop_front();
            device.and_then(|device| self.merged.remove(&device));
        }
    }

    /// Hands it over, or says that there is no room. Nobody waits for a sink that has ended.
    fn is_full(&self, update: DeviceUpdate) -> bool {
        matches!(self.sender.try_send(update), Err(TrySendError::Full(_)))
    }
}

/// Waits until a sink that was slow has room again.
pub(super) async fn any_has_room(sinks: &[Queue]) {
    let slow = sinks.iter().filter(|sink| !sink.merged.is_empty());
    let mut slow: Vec<_> = slow.map(|sink| Box::pin(sink.sender.reserve())).collect();
    poll_fn(|context| {
        let is_ready = slow.iter_mut().any(|room| room.as_mut().poll(context).is_ready());
        if is_ready { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Availability;

    fn view(availability: Option<Availability>) -> Option<Arc<DeviceView>> {
        Some(Arc::new(DeviceView {
            availability,
            ..DeviceView::default()
        }))
    }

    fn update(device: &str, old: Option<Availability>, new: Option<Availability>) -> DeviceUpdate {
        let (old, new) = (view(old).unwrap(), view(new).unwrap());
        let changes = diff(&old, &new);
        DeviceUpdate {
            transitions: Transition::between(&old, &new, &changes).into(),
            changes: changes.into(),
            ..DeviceUpdate::new(
                &DeviceId::new(device).unwrap(),
                Some(old),
                Some(&new),
                Timestamp::UNIX_EPOCH,
            )
        }
    }

    const ONLINE: Option<Availability> = Some(Availability::Online);
    const OFFLINE: Option<Availability> = Some(Availability::Offline);

    #[test]
    fn a_sink_that_keeps_up_gets_each_change() {
        let (sender, mut updates) = mpsc::channel(3);
        let mut queue = Queue::new("test", sender);
        let all = [
            update("a", None, ONLINE),
            update("b", None, OFFLINE),
            update("a", ONLINE, OFFLINE),
        ];
        all.iter().for_each(|update| queue.put(update));
        for update in all {
            assert_eq!(updates.try_recv(), Ok(update));
        }
    }

    #[test]
    fn a_slow_sink_gets_the_latest_against_what_it_had() {
        let (sender, mut updates) = mpsc::channel(1);
        let mut queue = Queue::new("test", sender);
        queue.put(&update("a", None, ONLINE));
        queue.put(&update("a", ONLINE, OFFLINE));
        queue.put(&update("b", None, ONLINE));
        queue.put(&update("a", OFFLINE, None));
        queue.put(&DeviceUpdate {
            new: None,
            ..update("b", ONLINE, None)
        });
        queue.flush();
        assert_eq!(updates.try_recv(), Ok(update("a", None, ONLINE)));
        queue.flush();
        let merged = updates.try_recv().unwrap();
        assert_eq!((merged.old, merged.new), (view(ONLINE), view(None)));
        queue.put(&update("a", None, ONLINE));
        queue.flush();
        let left = updates.try_recv().unwrap();
        assert_eq!((left.new, left.changes.len()), (None, 0), "b has left");
        queue.flush();
        assert_eq!(updates.try_recv(), Ok(update("a", None, ONLINE)), "in its turn");
    }

    #[test]
    fn a_slow_sink_misses_no_transition() {
        let (sender, mut updates) = mpsc::channel(1);
        let mut queue = Queue::new("test", sender);
        let moves = [
            update("a", None, ONLINE),
            update("a", ONLINE, OFFLINE),
            update("a", OFFLINE, ONLINE),
            update("a", ONLINE, OFFLINE),
        ];
        moves.iter().for_each(|update| queue.put(update));
        let removed = DeviceUpdate {
            new: None,
            transitions: Arc::default(),
            ..update("a", OFFLINE, None)
        };
        queue.put(&removed);
        assert_eq!(updates.try_recv(), Ok(update("a", None, ONLINE)));
        queue.flush();
        let merged = updates.try_recv().unwrap();
        let all: Vec<_> = moves
            .iter()
            .flat_map(|update| update.transitions.iter().cloned())
            .collect();
        assert_eq!(all.len(), 3);
        assert_eq!((&merged.transitions[..], merged.lost_transitions), (&all[..], 0));
    }

    #[test]
    fn transitions_for_which_there_is_no_room_are_counted() {
        let (sender, mut updates) = mpsc::channel(1);
        let mut queue = Queue::new("test", sender);
        queue.put(&update("a", None, ONLINE));
        for _ in 0..MAX_TRANSITIONS {
            queue.put(&update("a", ONLINE, OFFLINE));
            queue.put(&update("a", OFFLINE, ONLINE));
        }
        updates.try_recv().unwrap();
        queue.flush();
        let merged = updates.try_recv().unwrap();
        assert_eq!(merged.lost_transitions, MAX_TRANSITIONS);
        let newest = update("a", OFFLINE, ONLINE).transitions;
        assert_eq!(merged.transitions.len(), MAX_TRANSITIONS);
        assert_eq!(merged.transitions.last(), newest.last());
    }

    #[tokio::test]
    async fn room_is_waited_for_only_where_a_sink_was_slow() {
        let ((full, _kept), (slow, mut updates)) = (mpsc::channel(1), mpsc::channel(1));
        let mut queues = [Queue::new("full", full), Queue::new("slow", slow)];
        queues[0].put(&update("a", None, ONLINE));
        for update in [update("a", None, ONLINE), update("a", ONLINE, OFFLINE)] {
            queues[1].put(&update);
        }
        {
            let room = any_has_room(&queues);
            tokio::pin!(room);
            assert!(futures_pending(room.as_mut()).await);
            updates.recv().await;
            room.await;
        }
        queues[1].flush();
        assert_eq!(updates.recv().await, Some(update("a", ONLINE, OFFLINE)));
    }

    /// Whether it waits.
    async fn futures_pending(future: std::pin::Pin<&mut impl Future<Output = ()>>) -> bool {
        let mut future = future;
        poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
    }
}
