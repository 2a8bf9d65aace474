//! `GET /metrics`, for Prometheus: what is known anyhow, written when it is asked for. Polls cost nothing for it.
//!
//! The names are an interface: docs/operations.md lists them, and dashboard and alert rules use them.

mod devices;
mod process;
mod text;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;

use super::{Cluster, Shared, Shown};
use crate::lantime::snmp::traps::Counts as TrapCounts;
use crate::model::{IncidentKind, ShardId};
use crate::mqtt::history::HistoryStatus;
use text::Kind::{Counter, Gauge};
use text::Text;

/// Every version of Prometheus takes it.
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/metrics", get(metrics))
}

async fn metrics(State(app): State<Shared>) -> Response {
    let asked = Arc::clone(&app);
    app.large.answer(FORMAT, move || written(&asked.shown)).await
}

fn written(shown: &Shown) -> String {
    let mut text = Text::default();
    let name = "lantime2mqtt_build_info";
    text.family(name, Gauge, "The version of the bridge; always 1.");
    text.sample(name, &[("version", env!("CARGO_PKG_VERSION"))], 1);
    // A copy, so that nobody who has news waits meanwhile.
    let fleet = shown.fleet.borrow().clone();
    let name = "lantime2mqtt_devices";
    text.single(name, Gauge, "Devices that are configured.", fleet.devices.len());
    devices::write(&mut text, &fleet);
    broker(&mut text, shown);
    commands(&mut text, shown);
    store(&mut text, shown);
    incidents(&mut text, shown);
    if let Some(known) = &shown.cluster {
        cluster(&mut text, known);
    }
    if let Some(counts) = &shown.traps {
        let counts = *counts.borrow();
        traps(&mut text, counts);
        if shown.cluster.is_some() {
            let help = "Traps and informs of devices that another bridge of the cluster polls.";
            text.single(
                "lantime2mqtt_traps_elsewhere_total",
                Counter,
                help,
                counts.elsewhere,
            );
        }
    }
    process::write(&mut text, shown.info.started_at);
    text.into_string()
}

fn broker(text: &mut Text, shown: &Shown) {
    let (state, links) = (shown.broker(), shown.links());
    let name = "lantime2mqtt_broker_connected";
    text.family(
        name,
        Gauge,
        "Whether the broker has accepted the connection (1) or not (0).",
    );
    for (connection, link) in &links {
        text.sample(name, &[("connection", connection)], u8::from(link.connected));
    }
    let name = "lantime2mqtt_broker_connections_total";
    text.family(name, Counter, "Connections to the broker that were established.");
    for (connection, count) in shown.connections() {
        text.sample(name, &[("connection", &connection)], count);
    }
    if let Some(status) = shown.sparkplug() {
        let help = "Whether the edge node's birth is published (1), or not, since broker or primary host are offline (0).";
        text.single("lantime2mqtt_sparkplug_born", Gauge, help, u8::from(status.born));
        let help = "Hosts seen that speak Sparkplug 2.2, which this edge node does not.";
        text.single("lantime2mqtt_sparkplug_old_hosts", Gauge, help, status.old_hosts);
    }
    let help = "Topics that are retained at the broker.";
    text.single("lantime2mqtt_broker_topics", Gauge, help, state.topics);
    let help = "Messages that wait to be sent to the broker or acknowledged by it.";
    text.single("lantime2mqtt_broker_pending_messages", Gauge, help, state.pending);
    let help = "Messages that replaced what others had published at state topics of this bridge.";
    text.single(
        "lantime2mqtt_broker_restored_messages_total",
        Counter,
        help,
        state.restored,
    );
}

fn commands(text: &mut Text, shown: &Shown) {
    let status = shown.commands();
    let is_subscribed = status.subscribed && status.refused.is_empty();
    let help =
        "Whether the broker delivers commands (1), or has not answered or has refused a subscription (0).";
    let name = "lantime2mqtt_commands_subscribed";
    text.single(name, Gauge, help, u8::from(is_subscribed));
    let counts = shown.command_counts();
    let help = "Commands that were carried out and read back.";
    text.single(
        "lantime2mqtt_commands_carried_out_total",
        Counter,
        help,
        counts.carried_out,
    );
    let name = "lantime2mqtt_commands_refused_total";
    text.family(
        name,
        Counter,
        "Commands that were refused or failed, by the kind of error.",
    );
    for (kind, count) in &counts.refused {
        text.sample(name, &[("kind", kind.as_str())], count);
    }
}

fn store(text: &mut Text, shown: &Shown) {
    let status = shown.kept();
    let gauges = [
        (
            "records",
            "Records that the broker has not acknowledged.",
            status.records,
        ),
        (
            "record_bytes",
            "Size of the records that the broker has not acknowledged.",
            status.record_bytes,
        ),
        ("commands", "Commands that are not answered yet.", status.commands),
        (
            "dead_letters",
            "Dead letters in the archive.",
            status.dead_letters,
        ),
    ];
    for (what, help, value) in gauges {
        text.single(&format!("lantime2mqtt_store_{what}"), Gauge, help, value);
    }
    let help =
        "Number of the dead letter that came last: another one for each, also where the archive is full.";
    text.single(
        "lantime2mqtt_store_newest_dead_letter",
        Gauge,
        help,
        status.last_dead_letter,
    );
    let help = "Entries of the history.";
    text.single("lantime2mqtt_history_entries", Gauge, help, status.history);
    let help = "Entries of the history that were dropped while the store could not be written.";
    text.single(
        "lantime2mqtt_history_dropped_total",
        Counter,
        help,
        status.history_dropped,
    );
    let help = "Records that were dropped for want of room.";
    text.single(
        "lantime2mqtt_store_dropped_records_total",
        Counter,
        help,
        status.dropped,
    );
    let help = "Whether the disk of the store fails (1) or works (0).";
    text.single(
        "lantime2mqtt_store_failing",
        Gauge,
        help,
        u8::from(status.failing.is_some()),
    );
}

fn incidents(text: &mut Text, shown: &Shown) {
    let name = "lantime2mqtt_incidents";
    text.family(name, Gauge, "Incidents that are open, by kind.");
    let open = shown.store.incidents().borrow().clone();
    for kind in IncidentKind::ALL {
        let count = open.keys().filter(|key| key.kind == kind).count();
        text.sample(name, &[("kind", kind.as_str())], count);
    }
}

fn cluster(text: &mut Text, cluster: &Cluster) {
    let status = cluster.status.borrow().clone();
    let name = "lantime2mqtt_shard_owned";
    let help = "Whether this bridge works for the devices of the shard (1) or not (0).";
    text.family(name, Gauge, help);
    for shard in ShardId::all(cluster.shards) {
        let owner = status.owners.get(&shard);
        let is_own = owner.is_some_and(|owner| owner.bridge == status.me);
        text.sample(name, &[("shard", &shard.to_string())], u8::from(is_own));
    }
    let help = "Shards that this bridge has won.";
    text.single("lantime2mqtt_shard_takeovers_total", Counter, help, status.won);
    let help = "Whether etcd answers (1) or not (0).";
    let connected = u8::from(status.is_connected());
    text.single("lantime2mqtt_cluster_connected", Gauge, help, connected);
    if let Some(history) = &cluster.history {
        let history = history.borrow().clone();
        cluster_history(text, &history);
    }
}

fn cluster_history(text: &mut Text, status: &HistoryStatus) {
    let help = "Whether the broker delivers the records of all bridges for the history (1) or not (0).";
    text.single(
        "lantime2mqtt_history_subscribed",
        Gauge,
        help,
        u8::from(status.subscribed),
    );
    let counters = [
        (
            "records",
            "Records of all bridges that came from the broker and are in the history.",
            status.stored,
        ),
        (
            "unreadable",
            "Messages at topics of records that could not be read.",
            status.unreadable,
        ),
        (
            "sessions_lost",
            "How often the broker had lost the session in which it keeps records for this bridge.",
            status.sessions_lost,
        ),
    ];
    for (what, help, value) in counters {
        text.single(
            &format!("lantime2mqtt_history_{what}_total"),
            Counter,
            help,
            value,
        );
    }
}

fn traps(text: &mut Text, counts: TrapCounts) {
    let help = "Traps and informs that were taken.";
    text.single("lantime2mqtt_traps_taken_total", Counter, help, counts.taken);
    let help = "Traps and informs of those that were taken that only repeat a standing error.";
    text.single(
        "lantime2mqtt_traps_repeated_total",
        Counter,
        help,
        counts.repeated,
    );
    let name = "lantime2mqtt_traps_refused_total";
    text.family(
        name,
        Counter,
        "Traps and informs that were not taken, by the reason.",
    );
    let reasons = [
        ("wrong-community", counts.wrong_community),
        ("unprotected", counts.unprotected),
        ("wrong-credentials", counts.wrong_credentials),
        ("out-of-time", counts.out_of_time),
        ("stranger", counts.strangers),
        ("replay", counts.replays),
    ];
    for (reason, count) in reasons {
        text.sample(name, &[("reason", reason)], count);
    }
    let name = "lantime2mqtt_traps_dropped_total";
    text.family(
        name,
        Counter,
        "Traps and informs that came faster than they could be taken.",
    );
    text.sample(name, &[("by", "bridge")], counts.overrun);
    text.sample(name, &[("by", "socket")], counts.socket_drops);
}
