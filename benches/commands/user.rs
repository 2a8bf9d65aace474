//! Who sends the commands and gets the replies.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAckReason, Publish, PublishProperties};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use tokio::time::timeout;

use super::{Command, events};

/// Where the replies go; their correlation data shows for which command.
const REPLIES: &str = "bench/replies";
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause between rounds, which is no whole number of polls: they meet the devices at any moment.
const PAUSE: Duration = Duration::from_millis(1130);

/// A client of the broker.
pub(crate) struct User {
    client: AsyncClient,
    eventloop: EventLoop,
    devices: usize,
    /// Rounds so far: replies to earlier ones do not count.
    rounds: usize,
}

impl User {
    /// Connects, and waits until the bridge has answered a command for each device.
    pub(crate) async fn connect(port: u16, devices: usize) -> anyhow::Result<User> {
        let mut options = MqttOptions::new("bench", "127.0.0.1", port);
        options.set_keep_alive(Duration::from_secs(60));
        options.set_outgoing_inflight_upper_limit(u16::MAX);
        let (client, eventloop) = AsyncClient::new(options, devices + 16);
        client.subscribe(REPLIES, QoS::AtLeastOnce).await?;
        let mut user = User {
            client,
            eventloop,
            devices,
            rounds: 0,
        };
        while !matches!(user.next().await?, Event::Incoming(Packet::SubAck(_))) {}
        // Until the bridge has subscribed, nobody gets them.
        while user.round(Command::Refresh, 0).await?.is_none() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(user)
    }

    /// How long each command takes.
    pub(crate) async fn measure(&mut self, command: Command, rounds: usize) -> anyhow::Result<Vec<Duration>> {
        let mut times = Vec::new();
        for round in 0..=rounds {
            let took = self
                .round(command, round)
                .await?
                .context("the bridge takes commands")?;
            times.extend(if round > 0 { took } else { Vec::new() });
            self.rest().await?;
        }
        Ok(times)
    }

    /// One command for each device; `None` where nobody takes them.
    async fn round(&mut self, command: Command, round: usize) -> anyhow::Result<Option<Vec<Duration>>> {
        self.rounds += 1;
        let mut sent = Vec::new();
        for device in 0..self.devices {
            let (topic, payload) = match command {
                Command::Refresh => (format!("lantime/sim-{}/refresh", device + 1), "{}".to_owned()),
                Command::RelayEvents => (
                    format!("lantime/sim-{}/io4/relay/a/events/set", device + 1),
                    serde_json::json!({ "replace": events(round) }).to_string(),
                ),
            };
            let properties = PublishProperties {
                response_topic: Some(REPLIES.to_owned()),
                correlation_data: Some(Bytes::from(format!("{}/{device}", self.rounds))),
                ..PublishProperties::default()
            };
            sent.push(Instant::now());
            let qos = QoS::AtLeastOnce;
            self.client
                .try_publish_with_properties(topic, qos, false, payload, properties)?;
        }
        let mut times = Vec::new();
        let mut refused = 0;
        while times.len() + refused < self.devices {
            match self.next().await? {
                Event::Incoming(Packet::Publish(reply)) => {
                    let (round, device) = answered(&reply)?;
                    times.extend((round == self.rounds).then(|| sent[device].elapsed()));
                }
                Event::Incoming(Packet::PubAck(ack)) if ack.reason != PubAckReason::Success => refused += 1,
                _ => {}
            }
        }
        Ok((refused == 0).then_some(times))
    }

    async fn rest(&mut self) -> anyhow::Result<()> {
        let end = tokio::time::Instant::now() + PAUSE;
        // The event loop is never dropped in the middle of something: what it waits for now are pings.
        while let Ok(event) = tokio::time::timeout_at(end, self.eventloop.poll()).await {
            event?;
        }
        Ok(())
    }

    async fn next(&mut self) -> anyhow::Result<Event> {
        let event = timeout(PATIENCE, self.eventloop.poll()).await;
        Ok(event.context("nothing comes any more")??)
    }
}

/// The round and the device whose success that is.
fn answered(reply: &Publish) -> anyhow::Result<(usize, usize)> {
    let answer: serde_json::Value = serde_json::from_slice(&reply.payload)?;
    if answer["ok"] != true {
        bail!("refused: {answer}");
    }
    let properties = reply.properties.as_ref();
    let correlation = properties.and_then(|properties| properties.correlation_data.as_ref());
    let text = std::str::from_utf8(correlation.context("the reply has the correlation data")?)?;
    let (round, device) = text.split_once('/').context("it is ours")?;
    Ok((round.parse()?, device.parse()?))
}
