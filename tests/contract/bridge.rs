//! What the bridge says of itself.

use lantime2mqtt::contract::state::BridgeInfo;
use lantime2mqtt::contract::topics::StateTopic;

use crate::example::{Example, at, device_id, of_shard, retained};

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
        of_shard(&StateTopic::OwnState, "a bridge works for it", |payloads| {
            vec![payloads.own_state(true)]
        }),
        of_shard(&StateTopic::OwnState, "none does", |payloads| {
            vec![payloads.own_state(false)]
        }),
        of_shard(&StateTopic::ShardTopics, "of one device", |payloads| {
            payloads.shard_topics(vec![device_id()])
        }),
        retained(&StateTopic::BridgeInfo, "with three devices", |payloads| {
            payloads.bridge_info(&info)
        }),
    ]
}
