//! The least that reading a status document can cost: the same fields, for a document exactly as expected.

use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Document<'a> {
    #[serde(borrow)]
    pub(crate) system_information: SystemInformation<'a>,
    #[serde(borrow)]
    pub(crate) data: Data<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct SystemInformation<'a> {
    #[serde(rename = "API Version")]
    pub(crate) api_version: &'a str,
    pub(crate) version: &'a str,
    pub(crate) serial_number: &'a str,
    pub(crate) hostname: &'a str,
    pub(crate) model: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Data<'a> {
    #[serde(borrow)]
    pub(crate) rest_api: RestApi<'a>,
    #[serde(borrow)]
    pub(crate) notification: Notification<'a>,
    #[serde(borrow)]
    pub(crate) chassis0: Chassis<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct RestApi<'a> {
    pub(crate) api_version: &'a str,
}

#[derive(Deserialize)]
pub(crate) struct Notification<'a> {
    #[serde(borrow)]
    pub(crate) events: Vec<Event<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Event<'a> {
    pub(crate) object_id: &'a str,
    #[serde(rename = "type")]
    pub(crate) kind: &'a str,
    pub(crate) triggered: u8,
    pub(crate) last_triggered: &'a str,
}

#[derive(Deserialize)]
pub(crate) struct Chassis<'a> {
    #[serde(borrow)]
    pub(crate) slots: Vec<Slot<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Slot<'a> {
    pub(crate) slot_id: &'a str,
    #[serde(borrow)]
    pub(crate) module: Option<Module<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Module<'a> {
    #[serde(borrow)]
    pub(crate) info: Option<Info<'a>>,
    #[serde(borrow)]
    pub(crate) sync_status: Option<SyncStatus<'a>>,
    pub(crate) grc: Option<Receiver>,
    #[serde(borrow)]
    pub(crate) relays: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) inputs: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) rsc: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Info<'a> {
    pub(crate) model: &'a str,
    pub(crate) serial_number: &'a str,
    pub(crate) software_revision: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct SyncStatus<'a> {
    pub(crate) clock_idx: &'a str,
    pub(crate) osc_type: &'a str,
    pub(crate) est_time_quality: &'a str,
    #[serde(borrow)]
    pub(crate) clock_status: ClockStatus<'a>,
}

#[derive(Deserialize)]
pub(crate) struct ClockStatus<'a> {
    pub(crate) clock: &'a str,
    pub(crate) oscillator: &'a str,
}

#[derive(Deserialize)]
pub(crate) struct Receiver {
    pub(crate) antenna: Antenna,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Antenna {
    pub(crate) connected: bool,
    pub(crate) short_circuit: bool,
}
