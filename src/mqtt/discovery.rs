//! What is retained beside the state so that other programs find its entities by themselves. Who implements it knows
//! their convention; the publisher keeps, clears and sends it again.

use std::collections::BTreeSet;
use std::fmt::Debug;

use super::payload::Message;
use crate::contract::topics::DiscoveryTopics;
use crate::model::{DeviceId, DeviceView};

/// The entities of a bridge and its devices. Pure: the same view gives the same messages.
pub trait Discovery: Debug + Send {
    /// The topics that it uses.
    fn topics(&self) -> &DiscoveryTopics;
    /// Topic and payload by which the other program says that it has started: then everything is sent again.
    fn birth(&self) -> (&str, &[u8]);
    /// What there is of the bridge itself.
    fn of_bridge(&self) -> Vec<Message>;
    /// The messages of a device.
    fn of_device(&self, id: &DeviceId, view: &DeviceView) -> Vec<Message>;
    /// Whether a device has the same entities in both views. Each change asks for that, so it has to be cheap.
    fn is_same(&self, old: &DeviceView, new: &DeviceView) -> bool;
}

/// All of a device as it is now, and a clearing for what it no longer has; nothing where it has the same.
pub(crate) fn changed(
    discovery: &dyn Discovery,
    id: &DeviceId,
    old: &DeviceView,
    new: &DeviceView,
) -> Vec<Message> {
    if discovery.is_same(old, new) {
        return Vec::new();
    }
    let mut messages = discovery.of_device(id, new);
    let kept: BTreeSet<_> = messages.iter().map(|message| message.topic.clone()).collect();
    let removed = discovery.of_device(id, old).into_iter();
    let removed = removed.filter(|message| !kept.contains(&message.topic));
    messages.extend(removed.map(|message| Message {
        payload: None,
        ..message
    }));
    messages
}
