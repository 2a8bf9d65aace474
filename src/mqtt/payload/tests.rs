//! The layouts against each other. The payloads themselves are in `tests/contract`.

use jiff::Timestamp;

use super::*;
use crate::model::{DeviceView, Identity, Relay, SlotId, SlotView};

fn payloads(layout: Layout) -> Payloads {
    Payloads::new(Topics::new("lantime", DeviceId::new("b1").unwrap()), layout)
}

fn messages(layout: Layout, below: &DeviceTopic, view: &DeviceView) -> Vec<Message> {
    let device = Device {
        view: view.clone().into(),
        ..Device::default()
    };
    payloads(layout).of_device(&DeviceId::new("m1").unwrap(), below, &device)
}

#[test]
fn both_layouts_are_the_sum_of_the_two() {
    let slot = SlotId::new("io3").unwrap();
    let slot_view = SlotView::unseen(None, [Relay::A], [], Timestamp::UNIX_EPOCH);
    let view = DeviceView {
        slots: [(slot.clone(), slot_view)].into_iter().collect(),
        ..DeviceView::default()
    };
    let below = DeviceTopic::Slot(slot, SlotTopic::Relay(Relay::A));
    let of = |layout| messages(layout, &below, &view);
    let sum: Vec<_> = of(Layout::Scalar).into_iter().chain(of(Layout::Json)).collect();
    assert_eq!(of(Layout::Both), sum);
    // And every topic of it is one of this layout by its parse.
    for layout in [Layout::Json, Layout::Scalar, Layout::Both] {
        for message in of(layout) {
            let payloads = payloads(layout);
            let (topic, field) = payloads.topics().parse(&message.topic).unwrap();
            assert!(payloads.publishes(&topic, field.is_some()), "{}", message.topic);
        }
    }
}

#[test]
fn an_empty_text_cannot_be_a_scalar() {
    let identity = Identity {
        hostname: Some("".into()),
        ..Identity::default()
    };
    let view = DeviceView {
        identity: Some(identity.into()),
        ..DeviceView::default()
    };
    let fields = messages(Layout::Scalar, &DeviceTopic::Info, &view);
    assert!(
        !fields.iter().any(|message| message.topic.contains("hostname")),
        "{fields:?}"
    );
    let [object] = &messages(Layout::Json, &DeviceTopic::Info, &view)[..] else {
        panic!("one topic in the JSON layout");
    };
    let json = String::from_utf8(object.payload.clone().unwrap().to_vec()).unwrap();
    assert!(json.contains(r#""hostname":"""#), "{json}");
}
