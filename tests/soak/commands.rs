//! Random commands, and what has to come of each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use lantime2mqtt::simulator::{Chassis, SimulatedDevice};
use serde_json::json as value;

use crate::support::requester::Requester;
use crate::support::tap::{Noted, Tap};
use crate::support::wait::none_left;

const EVENTS: [&str; 6] = [
    "ntp-not-sync",
    "ntp-stopped",
    "antenna-faulty",
    "sync-monitor",
    "network-link-down",
    "no-such-event",
];

/// Somebody who commands.
pub(crate) struct Commander {
    devices: Vec<(String, Chassis)>,
    random: Rng,
    /// Topic and payload; the id is the number.
    sent: Vec<(String, String)>,
}

impl Commander {
    pub(crate) fn new(devices: &[Arc<SimulatedDevice>], random: Rng) -> Commander {
        let devices = devices
            .iter()
            .map(|device| (device.id().to_owned(), device.kind().chassis));
        Commander {
            devices: devices.collect(),
            random,
            sent: Vec::new(),
        }
    }

    /// Some a second.
    pub(crate) async fn run(&mut self, requester: &mut Requester, until: Instant) {
        while Instant::now() < until {
            let (topic, payload) = self.any_command();
            requester.send(&topic, payload.clone()).await;
            self.sent.push((topic, payload));
            tokio::time::sleep(Duration::from_millis(self.random.u64(20..200))).await;
        }
    }

    /// Often for one of a few devices, so that commands have to wait there.
    fn any_command(&mut self) -> (String, String) {
        let id = self.sent.len().to_string();
        let random = &mut self.random;
        let among = [6, self.devices.len()][usize::from(random.bool())];
        let (device, chassis) = &self.devices[random.usize(..among)];
        let kind = random.u8(..8);
        if kind == 0 || (*chassis == Chassis::M500 && kind < 7) {
            return (
                format!("lantime/{device}/refresh"),
                value!({ "id": id }).to_string(),
            );
        } else if kind == 1 {
            let payload = value!({ "id": id, "enabled": random.bool(), "max_count": random.u8(1..=10) });
            return (format!("lantime/{device}/http/sessions/set"), payload.to_string());
        }
        let event = EVENTS[random.usize(..EVENTS.len())];
        let relay = ["a", "a", "a", "c", "c", "c", "b"][random.usize(..7)];
        let slot = ["io4", "io4", "io4", "io4", "io3"][random.usize(..5)];
        let payload = match kind {
            2..4 => value!({ "id": id, "replace": [event, "ntp-stopped"] }),
            4..6 => value!({ "id": id, "add": [event] }),
            6 => value!({ "id": id, "remove": [event] }),
            _ => value!({ "id": id, "odd": [event] }),
        };
        (
            format!("lantime/{device}/{slot}/relay/{relay}/events/set"),
            payload.to_string(),
        )
    }

    /// Everything is well again: waits until each is answered. One that the broker has lost, since it was killed before
    /// the bridge had acknowledged it, is sent again, as its sender would do. Whether all are answered.
    pub(crate) async fn finish(&mut self, requester: &mut Requester, tap: &Tap) -> bool {
        // In the end what somebody else has selected at a device is known: its time has whole seconds only, by which
        // the bridge cannot distinguish two changes.
        for (device, _) in &self.devices {
            let command = (
                format!("lantime/{device}/refresh"),
                value!({ "id": self.sent.len().to_string() }).to_string(),
            );
            requester.send(&command.0, command.1.clone()).await;
            self.sent.push(command);
        }
        let last = self.sent.len() - 1;
        // In order: the last one comes after all that the broker has not lost.
        let not_taken = || match taken(&tap.messages()) {
            taken if taken.contains(&last) => 0,
            taken => self.sent.len() - taken.len(),
        };
        assert!(none_left(not_taken).await, "the last command comes to the bridge");
        let taken = taken(&tap.messages());
        for (number, (topic, payload)) in self.sent.iter().enumerate() {
            if !taken.contains(&number) {
                requester.send(topic, payload.clone()).await;
            }
        }
        let missing = || -> Vec<usize> {
            let answered = answers(&tap.messages());
            (0..self.sent.len())
                .filter(|number| !answered.contains_key(number))
                .collect()
        };
        let are_answered = none_left(|| missing().len()).await;
        if !are_answered {
            self.print_missing(&missing(), &tap.messages());
        }
        println!(
            "{} commands, {} of them lost by the broker at first",
            self.sent.len(),
            self.sent.len() - taken.len()
        );
        are_answered
    }

    /// Prints what is known of commands without an answer; of the first ones, if there are many.
    fn print_missing(&self, missing: &[usize], messages: &[Noted]) {
        println!("{} commands are not answered", missing.len());
        for number in missing.iter().take(10) {
            println!("without an answer: {:?}", self.sent[*number]);
            let is_its = |message: &&Noted| message.id() == number.to_string();
            messages
                .iter()
                .filter(is_its)
                .for_each(|message| println!("    {message:?}"));
        }
    }

    /// Each has one answer for each time that the broker has given it, and a refusal is a dead letter.
    pub(crate) fn check(&self, messages: &[Noted]) {
        let mut given = BTreeMap::<usize, usize>::new();
        for command in messages.iter().filter(|message| !message.by_client) {
            *given.entry(number(command)).or_default() += 1;
        }
        let is_dead_letter = |message: &&Noted| message.by_client && message.topic.contains("/dead-letter/");
        let dead_letters = messages.iter().filter(is_dead_letter).map(|dead_letter| {
            dead_letter.json()["origin"]["payload"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        });
        let dead_letters: BTreeSet<_> = dead_letters.collect();
        let (mut done, mut refused) = (0, BTreeMap::<String, usize>::new());
        for (number, replies) in answers(messages) {
            let payloads: BTreeSet<_> = replies.iter().map(|reply| &reply.payload).collect();
            assert!(
                payloads.len() <= given[&number],
                "command {number} was given {} times: {replies:#?}",
                given[&number]
            );
            let reply = replies[0].json();
            if reply["ok"] == true {
                done += 1;
                continue;
            }
            let (_, payload) = &self.sent[number];
            assert!(
                dead_letters.contains(payload),
                "no dead letter of {payload}: {reply}"
            );
            *refused.entry(reply["error"]["kind"].to_string()).or_default() += 1;
        }
        println!("{done} commands carried out, refused: {refused:?}");
        assert!(done > self.devices.len(), "more than the last refreshes");
    }
}

fn number(message: &Noted) -> usize {
    message.id().parse().expect("the id of a command is its number")
}

/// The commands that the bridge has acknowledged.
fn taken(messages: &[Noted]) -> BTreeSet<usize> {
    let commands = messages
        .iter()
        .filter(|message| !message.by_client && message.acknowledged_at.is_some());
    commands.map(number).collect()
}

/// The answers that the broker has acknowledged.
fn answers(messages: &[Noted]) -> BTreeMap<usize, Vec<Noted>> {
    let mut answers = BTreeMap::<_, Vec<_>>::new();
    let is_answer = |message: &&Noted| {
        message.by_client && message.topic.ends_with("/reply") && message.acknowledged_at.is_some()
    };
    for reply in messages.iter().filter(is_answer) {
        answers.entry(number(reply)).or_default().push(reply.clone());
    }
    answers
}
