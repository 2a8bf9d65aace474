//! Who sends the commands and waits for their replies.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::bail;
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};
use tokio::time::timeout;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection that gets every reply.
pub(crate) struct Sender {
    client: AsyncClient,
    events: EventLoop,
}

impl Sender {
    pub(crate) async fn connect(port: u16) -> anyhow::Result<Sender> {
        let mut options = MqttOptions::new("bench-sender", "127.0.0.1", port);
        options.set_keep_alive(PATIENCE).set_inflight(2000);
        let (client, events) = AsyncClient::new(options, 2000);
        for filter in [
            "lantime/+/state",
            "lantime/+/refresh/reply",
            "lantime/+/+/relay/+/events/set/reply",
        ] {
            client.subscribe(filter, QoS::AtLeastOnce).await?;
        }
        Ok(Sender { client, events })
    }

    /// Waits until all devices are online, and the bridge takes commands.
    pub(crate) async fn until_online(&mut self, devices: usize) -> anyhow::Result<()> {
        let mut online = HashSet::new();
        while online.len() < devices {
            let (topic, payload) = self.next().await?;
            if topic.ends_with("/state") && payload == "online" {
                online.insert(topic);
            }
        }
        // Its session exists once a command is answered; until then nobody keeps commands for it.
        loop {
            self.client
                .publish("lantime/sim-1/refresh", QoS::AtLeastOnce, false, "")
                .await?;
            let answered = async {
                while !self.next().await?.0.ends_with("/reply") {}
                anyhow::Ok(())
            };
            if timeout(Duration::from_secs(1), answered).await.is_ok() {
                return Ok(());
            }
        }
    }

    /// A command to every device at once; gives how long each reply took.
    pub(crate) async fn round(
        &mut self,
        devices: usize,
        topic: &str,
        payload: &str,
    ) -> anyhow::Result<Vec<Duration>> {
        let started = Instant::now();
        for number in 1..=devices {
            let topic = format!("lantime/sim-{number}/{topic}");
            self.client
                .publish(topic, QoS::AtLeastOnce, false, payload)
                .await?;
        }
        let mut times = Vec::new();
        while times.len() < devices {
            let (topic, reply) = self.next().await?;
            if !topic.ends_with("/reply") {
                continue;
            }
            if !reply.contains("\"ok\":true") {
                bail!("a command was refused: {topic} {reply}");
            }
            times.push(started.elapsed());
        }
        Ok(times)
    }

    async fn next(&mut self) -> anyhow::Result<(String, String)> {
        loop {
            if let Event::Incoming(Packet::Publish(message)) = timeout(PATIENCE, self.events.poll()).await?? {
                return Ok((
                    message.topic,
                    String::from_utf8_lossy(&message.payload).into_owned(),
                ));
            }
        }
    }
}
