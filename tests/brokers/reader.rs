//! A client of MQTT 3.1.1 that reads topics and remembers the last payload of each.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::PATIENCE;

/// The last payload of each topic.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen(BTreeMap<String, String>);

impl Seen {
    pub(crate) fn is(&self, topic: &str, payload: &str) -> bool {
        self.0.get(topic).is_some_and(|last| last == payload)
    }

    /// Null where nothing has come, or no JSON.
    pub(crate) fn json(&self, topic: &str) -> Value {
        let last = self.0.get(topic);
        last.and_then(|payload| serde_json::from_str(payload).ok())
            .unwrap_or_default()
    }
}

/// The client; its connection ends on drop.
pub(crate) struct Reader {
    client: AsyncClient,
    seen: watch::Receiver<Seen>,
    task: JoinHandle<()>,
}

impl Reader {
    /// Subscribes at a broker; the subscriptions are in force when this returns.
    pub(crate) async fn connect(broker: SocketAddr, id: &str, filters: &[&str]) -> Reader {
        let options = MqttOptions::new(id, broker.ip().to_string(), broker.port());
        let (client, mut eventloop) = AsyncClient::new(options, 8);
        let (sender, seen) = watch::channel(Seen::default());
        for filter in filters {
            client.subscribe(*filter, QoS::AtLeastOnce).await.unwrap();
        }
        let (answered, mut answers) = watch::channel(0);
        let task = tokio::spawn(async move {
            while let Ok(event) = eventloop.poll().await {
                match event {
                    Event::Incoming(Packet::SubAck(_)) => answered.send_modify(|count| *count += 1),
                    Event::Incoming(Packet::Publish(publish)) => {
                        let payload = String::from_utf8_lossy(&publish.payload).into_owned();
                        sender.send_modify(|seen| drop(seen.0.insert(publish.topic, payload)));
                    }
                    _ => {}
                }
            }
        });
        let subscribed = answers.wait_for(|count| *count == filters.len());
        timeout(PATIENCE, subscribed)
            .await
            .expect("the broker answers")
            .unwrap();
        Reader { client, seen, task }
    }

    pub(crate) async fn publish(&self, topic: &str, payload: String) {
        let sent = self.client.publish(topic, QoS::AtLeastOnce, false, payload);
        sent.await.unwrap();
    }

    /// Waits until `condition` holds; panics with `what` when it never does.
    pub(crate) async fn until(&mut self, what: &str, condition: impl FnMut(&Seen) -> bool) -> Seen {
        if let Ok(Ok(seen)) = timeout(PATIENCE, self.seen.wait_for(condition)).await {
            return seen.clone();
        }
        panic!("{what}: never seen; {:#?}", self.seen.borrow());
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}
