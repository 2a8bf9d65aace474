//! What the bridge says of itself.

use lantime2mqtt::contract::state::BridgeInfo;
use lantime2mqtt::contract::topics::StateTopic;

use crate::example::{Example, at, retained};

pub(crate) fn examples() -> Vec<Example> {
    let info = BridgeInfo {
        version: "0.1.0",
        started_at: at("10:15:20"),
        devices: 3,
        mqtt_version: "3.1.1",
        capabilities: ["rest", "commands", "snmp"].map(str::to_owned).to_vec(),
    };
    vec![
        retained(&StateTopic::OwnState, "running", |payloads| {
            vec![payloads.own_state(true)]
        }),
        retained(&StateTopic::OwnState, "stopped, or its last will", |payloads| {
            vec![payloads.own_state(false)]
        }),
        retained(&StateTopic::BridgeInfo, "with three devices", |payloads| {
            payloads.bridge_info(&info)
        }),
    ]
}
