//! Reads back what an earlier run, or another owner, has published, before this run publishes anything.

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::connection::{Client, Delivery, Event, ONLY_QOS_0, Purpose, connect};
use super::payload::Message;
use crate::boot_time::BootTime;
use crate::cluster::fence::Fence;
use crate::config::Mqtt;

/// How long nothing may come before the rest is given up: a broker sends stored copies one after the other.
const SILENCE: Duration = Duration::from_secs(2);
/// After how much silence it counts as all, once that has come of which it is known that it is there. What comes later would be
/// published again.
const QUIET: Duration = Duration::from_millis(300);
/// How long all of it may take: nothing is polled before.
const WITHIN: Duration = Duration::from_secs(20);
/// How long another attempt to connect may begin: a broker of the same machine may start just now, and of a name with
/// several addresses each attempt takes another one.
const CONNECT_WITHIN: Duration = Duration::from_secs(6);
/// From the beginning of one to that of the next.
const PAUSE: Duration = Duration::from_secs(2);
/// Topics of one connection: brokers take longer for each subscription, the more a client has.
const TOPICS_PER_CONNECTION: usize = 20_000;
/// Topics in one packet: some brokers take no more. And packets that wait for their answer.
const TOPICS_AT_ONCE: usize = 8;
const PACKETS_AT_ONCE: usize = 100;

/// Why an attempt has failed.
enum Failure {
    /// There was no connection.
    NotConnected(String),
    /// The connection did not bring all.
    Incomplete(String),
}

/// Reads what is retained at these topics, in bounded time, whatever the broker does, and gives each to `take`.
///
/// # Errors
/// Why it is not all.
pub async fn read_back(
    settings: &Mqtt,
    topics: &[String],
    mut take: impl FnMut(&str, &[u8]),
) -> Result<(), String> {
    let begin = Instant::now();
    let mut attempt = 0;
    let mut rest = topics.chunks(TOPICS_PER_CONNECTION).peekable();
    while let Some(topics) = rest.peek() {
        let next = Instant::now() + PAUSE;
        match read(settings, topics, attempt, begin + WITHIN, &mut take).await {
            Ok(()) => drop(rest.next()),
            Err(Failure::NotConnected(_)) if begin.elapsed() < CONNECT_WITHIN => {
                attempt += 1;
                sleep_until(next).await;
            }
            Err(Failure::NotConnected(reason) | Failure::Incomplete(reason)) => return Err(reason),
        }
    }
    Ok(())
}

async fn read(
    settings: &Mqtt,
    topics: &[String],
    attempt: usize,
    deadline: Instant,
    take: &mut impl FnMut(&str, &[u8]),
) -> Result<(), Failure> {
    let mut missing: HashSet<_> = topics.iter().map(String::as_str).collect();
    let purpose = Purpose::ReadingBack { is_beside: false };
    let (client, mut events) = connect(settings, &purpose, attempt);
    // By name: not every broker gives stored copies to a filter with wildcards.
    let mut packets = topics.chunks(TOPICS_AT_ONCE);
    let mut subscribe = |more: usize| {
        let mut packets = packets.by_ref().take(more);
        packets.all(|topics| client.subscribe(topics.to_vec(), Delivery::WithStoredAtQos0))
    };
    let mut is_connected = false;
    let mut silent_at = deadline;
    while !missing.is_empty() {
        let event = timeout_at(deadline.min(silent_at), events.recv()).await;
        let is_open = match event.unwrap_or(None) {
            Some(Event::Connected(_)) => {
                is_connected = true;
                subscribe(PACKETS_AT_ONCE)
            }
            Some(Event::Subscribed(_)) => subscribe(1),
            Some(Event::Received(message, _)) => {
                if message.retained && missing.remove(&*message.topic) {
                    take(&message.topic, &message.payload);
                }
                true
            }
            Some(Event::Closed(Err(error))) => {
                let failure = match is_connected {
                    true => Failure::Incomplete,
                    false => Failure::NotConnected,
                };
                return Err(failure(error.to_string()));
            }
            Some(Event::Sent(_) | Event::Acked { .. }) => true,
            Some(Event::Closed(Ok(()))) | None => false,
        };
        if !is_open {
            let (all, missing) = (topics.len(), missing.len());
            let reason = format!("the broker has sent {} of {all} topics", all - missing);
            return Err(Failure::Incomplete(reason));
        }
        silent_at = Instant::now() + SILENCE;
    }
    disconnect(&client, events).await;
    Ok(())
}

/// Connects once as the client that publishes for a shard, so that the broker ends the connection of another owner, and drops
/// its will: what is retained from then on changes only by this bridge. The will of this connection stands until the next one.
/// Gives which attempt has come about. It connects only while `fence` permits it.
///
/// # Errors
/// Why there was no connection.
pub async fn take_over(settings: &Mqtt, will: Message, fence: &Fence) -> Result<usize, String> {
    let purpose = Purpose::Publishing {
        will,
        is_handed_on: true,
    };
    let begin = Instant::now();
    let mut attempt = 0;
    loop {
        if fence.may_write(BootTime::now()).is_none() {
            return Err("this bridge no longer owns the shard, or etcd does not answer".to_owned());
        }
        let next = Instant::now() + PAUSE;
        let (_client, mut events) = connect(settings, &purpose, attempt);
        let reason = match timeout_at(begin + WITHIN, events.recv()).await {
            Ok(Some(Event::Connected(_))) => return Ok(attempt),
            Ok(Some(Event::Closed(Err(error)))) => error.to_string(),
            _ => "the broker does not answer".to_owned(),
        };
        if begin.elapsed() > CONNECT_WITHIN {
            return Err(reason);
        }
        attempt += 1;
        sleep_until(next).await;
    }
}

/// Reads all that is retained below these filters, in bounded time, and gives each to `take`, which says whether all has come of
/// which it is known that it is there. The session of the client that publishes is left alone. `attempt` is that of
/// [`take_over`].
///
/// # Errors
/// Why it is not all.
pub async fn read_below(
    settings: &Mqtt,
    attempt: usize,
    filters: &[String],
    mut take: impl FnMut(&str, &[u8]) -> bool,
) -> Result<(), String> {
    let deadline = Instant::now() + WITHIN;
    for filters in filters.chunks(TOPICS_PER_CONNECTION) {
        read_filters(settings, attempt, filters, deadline, &mut take).await?;
    }
    Ok(())
}

async fn read_filters(
    settings: &Mqtt,
    attempt: usize,
    filters: &[String],
    deadline: Instant,
    take: &mut impl FnMut(&str, &[u8]) -> bool,
) -> Result<(), String> {
    let purpose = Purpose::ReadingBack { is_beside: true };
    let (client, mut events) = connect(settings, &purpose, attempt);
    let mut packets = filters.chunks(TOPICS_AT_ONCE);
    let mut unanswered = packets.len();
    let mut subscribe = |more: usize| {
        let mut packets = packets.by_ref().take(more);
        packets.all(|filters| client.subscribe(filters.to_vec(), Delivery::WithStoredAtQos0))
    };
    let (mut is_connected, mut is_known) = (false, false);
    loop {
        let patience = match (is_connected, unanswered, is_known) {
            (false, ..) => WITHIN,
            (true, 0, true) => QUIET,
            (true, ..) => SILENCE,
        };
        let until = deadline.min(Instant::now() + patience);
        let is_open = match timeout_at(until, events.recv()).await {
            Err(_) if unanswered == 0 && Instant::now() < deadline => break,
            Err(_) => return Err("the broker is too slow".to_owned()),
            Ok(Some(Event::Connected(limits))) if !limits.wildcards => {
                return Err("the broker takes no filters with wildcards".to_owned());
            }
            Ok(Some(Event::Connected(_))) => {
                is_connected = true;
                subscribe(PACKETS_AT_ONCE)
            }
            Ok(Some(Event::Subscribed(answers))) => {
                let mut refused = answers.into_iter().flatten();
                if let Some(reason) = refused.find(|reason| reason != ONLY_QOS_0) {
                    return Err(format!("the broker refuses a subscription: {reason}"));
                }
                unanswered = unanswered.saturating_sub(1);
                subscribe(1)
            }
            Ok(Some(Event::Received(message, _))) => {
                if message.retained {
                    is_known = take(&message.topic, &message.payload);
                }
                true
            }
            Ok(Some(Event::Sent(_) | Event::Acked { .. })) => true,
            Ok(Some(Event::Closed(Err(error)))) => return Err(error.to_string()),
            Ok(Some(Event::Closed(Ok(()))) | None) => false,
        };
        if !is_open {
            return Err("the connection to the broker has ended".to_owned());
        }
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
