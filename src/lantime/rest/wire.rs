//! The status document as a device sends it: borrowed, only the keys that are needed, everything optional.
//!
//! A value of another type than expected is noted by its type and does not cost the document. What a field means is
//! for [`super::status`].

mod lenient;
mod members;

use super::json::cursor::{Cursor, FromJson, Malformed};

pub use lenient::{List, MAX_LIST, Node, Scalar, Unread};
pub use members::Members;

/// Declares an object of the document by its keys. A key that comes twice is no error: the last one counts, as in most
/// parsers. A key that is not listed is skipped.
macro_rules! object {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $key:literal => $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub struct $name<'a> {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl<'a> FromJson<'a> for $name<'a> {
            fn read(cursor: &mut Cursor<'a>) -> Result<Self, Malformed> {
                let mut object = $name::default();
                cursor.object(|cursor, key| {
                    match &*key.bytes()? {
                        $($key => object.$field = FromJson::read(cursor)?,)*
                        _ => cursor.skip()?,
                    }
                    Ok(())
                })?;
                Ok(object)
            }
        }
    };
}

object! {
    /// The whole answer.
    Document {
        /// What the device says of itself.
        b"system-information" => system_information: Node<SystemInformation<'a>>,
        /// Everything else.
        b"data" => data: Node<Data<'a>>,
    }
}

object! {
    /// `system-information`
    SystemInformation {
        /// "LANTIME REST API V10.21.016"
        b"API Version" => api_version: Scalar<'a>,
        /// "fw_7.06.014-light"
        b"version" => version: Scalar<'a>,
        /// Of the chassis.
        b"serial-number" => serial_number: Scalar<'a>,
        /// Host name.
        b"hostname" => hostname: Scalar<'a>,
        /// "M300"
        b"model" => model: Scalar<'a>,
        /// When the answer was made: "2026-03-22T20:26:47" in UTC.
        b"time-stamp" => time_stamp: Scalar<'a>,
    }
}

object! {
    /// `data`
    Data {
        /// The REST API itself.
        b"rest-api" => rest_api: Node<RestApi<'a>>,
        /// The system.
        b"system" => system: Node<System<'a>>,
        /// Notification events.
        b"notification" => notification: Node<Notification<'a>>,
        /// The chassis.
        b"chassis0" => chassis0: Node<Chassis<'a>>,
    }
}

object! {
    /// `data.rest-api`
    RestApi {
        /// "10.21.016"
        b"api-version" => api_version: Scalar<'a>,
    }
}

object! {
    /// `data.system`
    System {
        /// Seconds.
        b"uptime" => uptime: Scalar<'a>,
        /// "2026-03-22T20:26:47.622380042 UTC"
        b"current-time" => current_time: Scalar<'a>,
        /// When what the API shows was last brought up to date, in UTC; not in API 10.
        b"api-last-update" => api_last_update: Scalar<'a>,
    }
}

object! {
    /// `data.notification`
    Notification {
        /// Every notification event that this firmware knows: a list of [`Event`]s, nearly always the same.
        b"events" => events: Unread<'a>,
    }
}

object! {
    /// One of `data.notification.events`
    Event {
        /// Name.
        b"object-id" => object_id: Scalar<'a>,
        /// Classification.
        b"type" => kind: Scalar<'a>,
        /// 0 or 1.
        b"triggered" => triggered: Scalar<'a>,
        /// "2026-02-10T09:45:48" in UTC, or "never".
        b"last-triggered" => last_triggered: Scalar<'a>,
    }
}

object! {
    /// `data.chassis0`
    Chassis {
        /// Slots, in no fixed order.
        b"slots" => slots: List<Slot<'a>>,
    }
}

object! {
    /// One of `data.chassis0.slots`
    Slot {
        /// "clk1", "io3"
        b"slot-id" => slot_id: Scalar<'a>,
        /// The module; missing where none is fitted.
        b"module" => module: Node<Members<'a>>,
    }
}

object! {
    /// `module.info`
    ModuleInfo {
        /// Type name.
        b"model" => model: Scalar<'a>,
        /// May carry trailing blanks, or be "N/A".
        b"serial-number" => serial_number: Scalar<'a>,
        /// "v2.08"
        b"software-revision" => software_revision: Scalar<'a>,
    }
}

object! {
    /// `module.sync-status`
    SyncStatus {
        /// "selected"
        b"clock-idx" => clock_idx: Scalar<'a>,
        /// "tcxo"
        b"osc-type" => osc_type: Scalar<'a>,
        /// "less-than-100ns"
        b"est-time-quality" => est_time_quality: Scalar<'a>,
        /// Clock and oscillator.
        b"clock-status" => clock_status: Node<ClockStatus<'a>>,
    }
}

object! {
    /// `module.sync-status.clock-status`
    ClockStatus {
        /// "synchronized"
        b"clock" => clock: Scalar<'a>,
        /// "warmed-up"
        b"oscillator" => oscillator: Scalar<'a>,
    }
}

object! {
    /// The receiver of a clock module, such as `module.grc`; the profile has the keys.
    Receiver {
        /// The antenna.
        b"antenna" => antenna: Node<Antenna<'a>>,
    }
}

object! {
    /// Its antenna.
    Antenna {
        /// Whether one is there.
        b"connected" => connected: Scalar<'a>,
        /// Whether its cable is shorted.
        b"short-circuit" => short_circuit: Scalar<'a>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lantime::rest::json::cursor;

    fn parse(body: &[u8]) -> Result<Node<Document<'_>>, Malformed> {
        cursor::read(body)
    }

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
        let events = data.notification.found().unwrap().events;
        assert_eq!(events.list::<Event<'_>>().unwrap().other, Some("an object"));
        assert!(!events.is_list());
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
    fn of_a_key_that_comes_twice_the_last_one_counts() {
        let body =
            br#"{"data":7,"data":{"rest-api":{"api-version":"1","api-version":[],"api\u002dversion":"2"}},
            "system-information":{},"system-information":null}"#;
        let document = parse(body).unwrap();
        let document = document.found().unwrap();
        assert!(matches!(document.system_information, Node::Other("null")));
        let api = document.data.found().unwrap().rest_api.found().unwrap();
        assert_eq!(api.api_version, Scalar::Text("2".into()));
    }

    #[test]
    fn a_long_list_is_cut_and_counted() {
        let body = format!(
            r#"{{"data":{{"notification":{{"events":[{}{{}}]}}}}}}"#,
            "{},".repeat(MAX_LIST + 6)
        );
        let document = parse(body.as_bytes()).unwrap();
        let data = document.found().unwrap().data.found().unwrap();
        let events = data.notification.found().unwrap().events;
        let events = events.list::<Event<'_>>().unwrap();
        assert_eq!((events.items.len(), events.cut), (MAX_LIST, 7));
    }
}
