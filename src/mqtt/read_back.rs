//! Reads back what an earlier run has published, before this run publishes anything.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::connection::{Client, Delivery, Event, Purpose, connect};
use crate::config::{Broker, Mqtt};

/// How long nothing may come before the rest is given up: a broker sends stored copies one after the other.
const SILENCE: Duration = Duration::from_secs(2);
/// How long all of it may take: nothing is polled before.
const WITHIN: Duration = Duration::from_secs(20);
/// Topics in one packet, and packets that wait for their answer.
const TOPICS_AT_ONCE: usize = 100;
const PACKETS_AT_ONCE: usize = 8;

/// What was read, and what kept the rest from it.
#[derive(Debug)]
pub struct Read {
    /// Topics and payloads.
    pub messages: Vec<(String, Bytes)>,
    /// Why it is not all.
    pub incomplete: Option<String>,
}

/// Reads what is retained at these topics, in bounded time, whatever the broker does. An embedded broker has nothing of an
/// earlier run.
pub async fn read_back(settings: &Mqtt, topics: HashSet<String>) -> Read {
    let mut messages = Vec::with_capacity(topics.len());
    let incomplete = match topics.is_empty() || matches!(settings.broker, Broker::Embedded { .. }) {
        true => None,
        false => read(settings, topics, &mut messages).await.err(),
    };
    Read { messages, incomplete }
}

async fn read(
    settings: &Mqtt,
    mut missing: HashSet<String>,
    messages: &mut Vec<(String, Bytes)>,
) -> Result<(), String> {
    let (client, mut events) = connect(settings, &Purpose::ReadingBack, 0);
    // By name: not every broker gives stored copies to a filter with wildcards.
    let topics: Vec<_> = missing.iter().cloned().collect();
    let mut packets = topics.chunks(TOPICS_AT_ONCE);
    let mut subscribe = |packets_more: usize| {
        let mut packets = packets.by_ref().take(packets_more);
        packets.all(|topics| client.subscribe(topics.to_vec(), Delivery::WithStoredAtQos0))
    };
    let deadline = Instant::now() + WITHIN;
    let mut silent_at = deadline;
    while !missing.is_empty() {
        let event = timeout_at(deadline.min(silent_at), events.recv()).await;
        let is_open = match event.unwrap_or(None) {
            Some(Event::Connected(_)) => subscribe(PACKETS_AT_ONCE),
            Some(Event::Subscribed(_)) => subscribe(1),
            Some(Event::Received(message, _)) => {
                if message.retained && missing.remove(&message.topic) {
                    messages.push((message.topic, message.payload));
                }
                true
            }
            Some(Event::Closed(Err(error))) => return Err(error.to_string()),
            Some(Event::Sent(_) | Event::Acked { .. }) => true,
            Some(Event::Closed(Ok(()))) | None => false,
        };
        if !is_open {
            let all = messages.len() + missing.len();
            return Err(format!("the broker has sent {} of {all} topics", messages.len()));
        }
        silent_at = Instant::now() + SILENCE;
    }
    disconnect(&client, events).await;
    Ok(())
}

/// The next connection has the same client id: the broker is to be done with this one.
async fn disconnect(client: &Client, mut events: mpsc::Receiver<Event>) {
    if client.disconnect() {
        let until = Instant::now() + SILENCE;
        while let Ok(Some(_)) = timeout_at(until, events.recv()).await {}
    }
}
