//! Messages between their arrival and their acknowledgement, in order of arrival. Pure data.

use std::collections::VecDeque;

use crate::command::Incoming;
use crate::mqtt::connection::Ack;

/// Messages at most; then no more are read from the network. A broker of MQTT 5 sends far fewer, one of 3.1.1 as
/// many as it is configured to.
const MAX_WAITING: usize = 256;

/// Messages at most when one with QoS 0 is taken. There is no limit to how many of them come.
const MAX_WAITING_QOS_0: usize = MAX_WAITING / 2;

/// Commands that are submitted at once, and bytes of them: well below what an inbox takes in all.
const MAX_SUBMITTED: usize = 64;
const MAX_SUBMITTED_BYTES: usize = 1024 * 1024;

#[derive(Debug)]
struct Message {
    /// `None` for what is only to be acknowledged.
    command: Option<Incoming>,
    ack: Option<Ack>,
}

#[derive(Debug, Default)]
pub(super) struct Intake {
    waiting: VecDeque<Message>,
    /// So many of the first are being stored.
    submitted: usize,
}

impl Intake {
    /// Whether more may come.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < MAX_WAITING
    }

    /// Messages that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether a command with that acknowledgement may be pushed. Otherwise it has to be dropped, which happens with QoS 0
    /// only.
    pub(super) fn takes(&self, ack: Option<&Ack>) -> bool {
        ack.is_some() || self.waiting.len() < MAX_WAITING_QOS_0
    }

    /// Takes a command.
    pub(super) fn push(&mut self, command: Incoming, ack: Option<Ack>) {
        let command = Some(command);
        self.waiting.push_back(Message { command, ack });
    }

    /// Takes a message that is no command. It has its place in the order of acknowledgements.
    pub(super) fn push_stray(&mut self, ack: Option<Ack>) {
        if ack.is_some() {
            self.waiting.push_back(Message { command: None, ack });
        }
    }

    /// The acknowledgements that wait for no command.
    pub(super) fn take_strays(&mut self) -> Vec<Ack> {
        let is_stray = |message: &mut Message| message.command.is_none();
        let mut acks = Vec::new();
        while self.submitted == 0
            && let Some(message) = self.waiting.pop_front_if(is_stray)
        {
            acks.extend(message.ack);
        }
        acks
    }

    /// The commands to store next, the oldest; none while there is nothing, or others are being stored.
    pub(super) fn submit(&mut self) -> Option<Vec<Incoming>> {
        if self.submitted > 0 {
            return None;
        }
        let mut commands = Vec::new();
        let mut bytes = 0;
        for message in self.waiting.iter().take(MAX_SUBMITTED) {
            let size = message
                .command
                .as_ref()
                .map_or(0, |command| command.message.payload.len());
            if !commands.is_empty() && bytes + size > MAX_SUBMITTED_BYTES {
                break;
            }
            bytes += size;
            commands.extend(message.command.clone());
            self.submitted += 1;
        }
        (!commands.is_empty()).then_some(commands)
    }

    /// What was submitted is stored: gives what acknowledges it.
    pub(super) fn stored(&mut self) -> Vec<Ack> {
        let stored = self.waiting.drain(..std::mem::take(&mut self.submitted));
        stored.filter_map(|message| message.ack).collect()
    }

    /// What was submitted is not stored: it waits on.
    pub(super) fn not_stored(&mut self) {
        self.submitted = 0;
    }

    /// The connection has ended, and with it every acknowledgement. The broker delivers the messages again, and
    /// whatever becomes of those that were submitted, there is nothing left to acknowledge.
    pub(super) fn connection_lost(&mut self) {
        self.waiting.clear();
        self.submitted = 0;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use jiff::Timestamp;

    use super::*;
    use crate::records::Received;

    fn command(payload: impl Into<Bytes>) -> Incoming {
        let message = Received {
            topic: "lantime/m1/refresh".to_owned(),
            payload: payload.into(),
            payload_length: None,
            retained: false,
            response_topic: None,
            correlation: None,
            received_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
            local: false,
        };
        Incoming::read(message, None, Timestamp::UNIX_EPOCH)
    }

    fn intake(pkids: std::ops::RangeInclusive<u16>) -> Intake {
        let mut intake = Intake::default();
        for pkid in pkids {
            intake.push(command(pkid.to_string()), Some(Ack::of(pkid)));
        }
        intake
    }

    fn pkids(range: std::ops::RangeInclusive<u16>) -> Vec<Ack> {
        range.map(Ack::of).collect()
    }

    #[test]
    fn what_is_acknowledged_is_what_was_submitted() {
        let mut intake = intake(1..=2);
        assert_eq!(intake.submit().unwrap().len(), 2);
        intake.push(command("3"), Some(Ack::of(3)));
        assert_eq!(intake.submit(), None, "one submission at a time");
        assert_eq!(intake.stored(), pkids(1..=2));
        assert_eq!(intake.submit().unwrap(), [command("3")]);
        intake.not_stored();
        assert_eq!(intake.submit().unwrap(), [command("3")], "again");
        assert_eq!(intake.stored(), pkids(3..=3));
        assert_eq!(intake.submit(), None);
    }

    #[test]
    fn nothing_of_a_lost_connection_is_acknowledged() {
        let mut intake = intake(1..=2);
        intake.submit().unwrap();
        intake.connection_lost();
        intake.push(command("new"), Some(Ack::of(1)));
        assert_eq!(intake.stored(), [], "the old ones were stored");
        assert_eq!(intake.submit().unwrap(), [command("new")]);
        assert_eq!(intake.stored(), pkids(1..=1));
    }

    #[test]
    fn what_is_no_command_is_acknowledged_in_its_turn() {
        let mut intake = Intake::default();
        intake.push_stray(None);
        intake.push_stray(Some(Ack::of(1)));
        intake.push(command("2"), Some(Ack::of(2)));
        intake.push_stray(Some(Ack::of(3)));
        assert_eq!(intake.take_strays(), pkids(1..=1));
        assert_eq!(intake.submit().unwrap(), [command("2")]);
        assert_eq!(intake.take_strays(), []);
        assert_eq!(intake.stored(), pkids(2..=3));
    }

    #[test]
    fn neither_memory_nor_a_submission_grows_without_bound() {
        let mut intake = intake(1..=MAX_WAITING_QOS_0 as u16 - 1);
        assert!(intake.takes(None), "QoS 0");
        intake.push(command("x"), None);
        assert!(!intake.takes(None), "it would be dropped");
        assert!(
            intake.takes(Some(&Ack::of(1))) && intake.has_room(),
            "others have room"
        );
        for pkid in MAX_WAITING_QOS_0..MAX_WAITING {
            intake.push(command("x"), Some(Ack::of(pkid as u16 + 1)));
        }
        assert!(!intake.has_room());
        assert_eq!(intake.submit().unwrap().len(), MAX_SUBMITTED);
        intake.stored();
        assert!(intake.has_room());

        let mut large = Intake::default();
        for _ in 0..3 {
            large.push(command(vec![b'x'; MAX_SUBMITTED_BYTES / 2]), Some(Ack::of(1)));
        }
        assert_eq!(large.submit().unwrap().len(), 2);
    }
}
