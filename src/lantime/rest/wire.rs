//! The status document as a device sends it: borrowed, only the keys that are needed, everything optional.
//!
//! A value of another type than expected is noted by its type and does not cost the document; only broken
//! JSON does. What a field means is for [`super::status`].

mod lenient;
mod members;

use serde::Deserialize;

pub use lenient::{List, MAX_LIST, Node, Scalar};
pub use members::Members;

/// The whole answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Document<'a> {
    /// What the device says of itself.
    #[serde(borrow)]
    pub system_information: Node<SystemInformation<'a>>,
    /// Everything else.
    #[serde(borrow)]
    pub data: Node<Data<'a>>,
}

/// `system-information`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct SystemInformation<'a> {
    /// "LANTIME REST API V10.21.016"
    #[serde(borrow, rename = "API Version")]
    pub api_version: Scalar<'a>,
    /// "fw_7.06.014-light"
    #[serde(borrow)]
    pub version: Scalar<'a>,
    /// Of the chassis.
    #[serde(borrow)]
    pub serial_number: Scalar<'a>,
    /// Host name.
    #[serde(borrow)]
    pub hostname: Scalar<'a>,
    /// "M300"
    #[serde(borrow)]
    pub model: Scalar<'a>,
}

/// `data`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Data<'a> {
    /// The REST API itself.
    #[serde(borrow)]
    pub rest_api: Node<RestApi<'a>>,
    /// The system.
    #[serde(borrow)]
    pub system: Node<System<'a>>,
    /// Notification events.
    #[serde(borrow)]
    pub notification: Node<Notification<'a>>,
    /// The chassis.
    #[serde(borrow)]
    pub chassis0: Node<Chassis<'a>>,
}

/// `data.rest-api`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct RestApi<'a> {
    /// "10.21.016"
    #[serde(borrow)]
    pub api_version: Scalar<'a>,
}

/// `data.system`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct System<'a> {
    /// Seconds.
    #[serde(borrow)]
    pub uptime: Scalar<'a>,
}

/// `data.notification`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Notification<'a> {
    /// Every notification event that this firmware knows.
    #[serde(borrow)]
    pub events: List<Event<'a>>,
}

/// One of `data.notification.events`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Event<'a> {
    /// Name.
    #[serde(borrow)]
    pub object_id: Scalar<'a>,
    /// Classification.
    #[serde(borrow, rename = "type")]
    pub kind: Scalar<'a>,
    /// 0 or 1.
    #[serde(borrow)]
    pub triggered: Scalar<'a>,
    /// "2026-02-10T09:45:48" in UTC, or "never".
    #[serde(borrow)]
    pub last_triggered: Scalar<'a>,
}

/// `data.chassis0`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Chassis<'a> {
    /// Slots, in no fixed order.
    #[serde(borrow)]
    pub slots: List<Slot<'a>>,
}

/// One of `data.chassis0.slots`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Slot<'a> {
    /// "clk1", "io3"
    #[serde(borrow)]
    pub slot_id: Scalar<'a>,
    /// The module; missing where none is fitted.
    #[serde(borrow)]
    pub module: Node<Members<'a>>,
}

/// `module.info`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct ModuleInfo<'a> {
    /// Type name.
    #[serde(borrow)]
    pub model: Scalar<'a>,
    /// May carry trailing blanks, or be "N/A".
    #[serde(borrow)]
    pub serial_number: Scalar<'a>,
    /// "v2.08"
    #[serde(borrow)]
    pub software_revision: Scalar<'a>,
}

/// `module.sync-status`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct SyncStatus<'a> {
    /// "selected"
    #[serde(borrow)]
    pub clock_idx: Scalar<'a>,
    /// "tcxo"
    #[serde(borrow)]
    pub osc_type: Scalar<'a>,
    /// "less-than-100ns"
    #[serde(borrow)]
    pub est_time_quality: Scalar<'a>,
    /// Clock and oscillator.
    #[serde(borrow)]
    pub clock_status: Node<ClockStatus<'a>>,
}

/// `module.sync-status.clock-status`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ClockStatus<'a> {
    /// "synchronized"
    #[serde(borrow)]
    pub clock: Scalar<'a>,
    /// "warmed-up"
    #[serde(borrow)]
    pub oscillator: Scalar<'a>,
}

/// `module.grc`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Receiver<'a> {
    /// The antenna.
    #[serde(borrow)]
    pub antenna: Node<Antenna<'a>>,
}

/// `module.grc.antenna`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Antenna<'a> {
    /// Whether one is there.
    #[serde(borrow)]
    pub connected: Scalar<'a>,
    /// Whether its cable is shorted.
    #[serde(borrow)]
    pub short_circuit: Scalar<'a>,
}

/// Reads an answer.
///
/// # Errors
/// Broken JSON; the error tells line and column.
pub fn parse(body: &[u8]) -> Result<Node<Document<'_>>, serde_json::Error> {
    serde_json::from_slice(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_another_type_costs_its_field_only() {
        let body = br#"{"system-information":{"API Version":["x"],"model":7,"hostname":"a\u0062"},"data":{
            "notification":{"events":{"no":"list"}},"chassis0":{"slots":[null,{"slot-id":"io1","module":null},[]]}}}"#;
        let document = parse(body).unwrap();
        let document = document.found().unwrap();
        let system = document.system_information.found().unwrap();
        assert_eq!(system.api_version, Scalar::Other("a list"));
        assert_eq!(system.model, Scalar::Number(7.0));
        assert_eq!(system.hostname, Scalar::Text("ab".into()));
        assert_eq!(system.version, Scalar::Missing);
        let data = document.data.found().unwrap();
        assert_eq!(data.notification.found().unwrap().events.other, Some("an object"));
        let slots = &data.chassis0.found().unwrap().slots;
        assert!(matches!(
            slots.items[..],
            [Node::Other("null"), Node::Found(_), Node::Other("a list")]
        ));
        assert!(matches!(
            slots.items[1].found().unwrap().module,
            Node::Other("null")
        ));
        assert!(matches!(data.rest_api, Node::Missing));
    }

    #[test]
    fn a_long_list_is_cut_and_counted() {
        let body = format!(
            r#"{{"data":{{"notification":{{"events":[{}{{}}]}}}}}}"#,
            "{},".repeat(MAX_LIST + 6)
        );
        let document = parse(body.as_bytes()).unwrap();
        let events = &document
            .found()
            .unwrap()
            .data
            .found()
            .unwrap()
            .notification
            .found()
            .unwrap()
            .events;
        assert_eq!((events.items.len(), events.cut), (MAX_LIST, 7));
    }
}
