//! Messages between their arrival and their acknowledgement, in order of arrival.

use std::collections::VecDeque;
use std::pin::Pin;

use super::connection::Ack;
use crate::records::store::StoreError;

/// Messages at most; then no more are read from the network. A broker of MQTT 5 sends far fewer, one of 3.1.1 as
/// many as it is configured to.
const MAX_WAITING: usize = 256;

/// Messages at most when one with QoS 0 is taken. There is no limit to how many of them come.
const MAX_WAITING_QOS_0: usize = MAX_WAITING / 2;

/// Messages that are submitted at once, and bytes of them: well below what an inbox takes in all.
const MAX_SUBMITTED: usize = 64;
const MAX_SUBMITTED_BYTES: usize = 1024 * 1024;

/// What stores messages that were submitted.
pub(super) type Submission = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;

/// The end of what is being submitted; never, for nothing.
pub(super) async fn done(submission: &mut Option<Submission>) -> Result<(), StoreError> {
    match submission {
        Some(submission) => submission.await,
        None => std::future::pending().await,
    }
}

#[derive(Debug)]
struct Message<T> {
    /// What it says, and how many bytes that has; `None` for what is only to be acknowledged.
    content: Option<(T, usize)>,
    ack: Option<Ack>,
}

/// Messages that say a `T` each.
#[derive(Debug)]
pub(super) struct Intake<T> {
    waiting: VecDeque<Message<T>>,
    /// So many of the first are being stored.
    submitted: usize,
}

impl<T> Default for Intake<T> {
    fn default() -> Intake<T> {
        Intake {
            waiting: VecDeque::new(),
            submitted: 0,
        }
    }
}

impl<T: Clone> Intake<T> {
    /// Whether more may come.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < MAX_WAITING
    }

    /// Messages that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether a message with that acknowledgement may be pushed. Otherwise it has to be dropped, which happens with QoS 0
    /// only.
    pub(super) fn takes(&self, ack: Option<&Ack>) -> bool {
        ack.is_some() || self.waiting.len() < MAX_WAITING_QOS_0
    }

    /// Takes what a message of so many bytes says.
    pub(super) fn push(&mut self, content: T, bytes: usize, ack: Option<Ack>) {
        let content = Some((content, bytes));
        self.waiting.push_back(Message { content, ack });
    }

    /// Takes a message that is only to be acknowledged. It has its place in the order of acknowledgements.
    pub(super) fn push_stray(&mut self, ack: Option<Ack>) {
        if ack.is_some() {
            self.waiting.push_back(Message { content: None, ack });
        }
    }

    /// The acknowledgements that wait for nothing.
    pub(super) fn take_strays(&mut self) -> Vec<Ack> {
        let is_stray = |message: &mut Message<T>| message.content.is_none();
        let mut acks = Vec::new();
        while self.submitted == 0
            && let Some(message) = self.waiting.pop_front_if(is_stray)
        {
            acks.extend(message.ack);
        }
        acks
    }

    /// What to store next, the oldest; none while there is nothing, or other messages are being stored.
    pub(super) fn submit(&mut self) -> Option<Vec<T>> {
        if self.submitted > 0 {
            return None;
        }
        let (mut contents, mut sum) = (Vec::new(), 0);
        for message in self.waiting.iter().take(MAX_SUBMITTED) {
            let bytes = message.content.as_ref().map_or(0, |(_, bytes)| *bytes);
            if !contents.is_empty() && sum + bytes > MAX_SUBMITTED_BYTES {
                break;
            }
            sum += bytes;
            contents.extend(message.content.as_ref().map(|(content, _)| content.clone()));
            self.submitted += 1;
        }
        (!contents.is_empty()).then_some(contents)
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
    use super::*;

    fn intake(pkids: std::ops::RangeInclusive<u16>) -> Intake<String> {
        let mut intake = Intake::default();
        for pkid in pkids {
            intake.push(pkid.to_string(), 1, Some(Ack::of(pkid)));
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
        intake.push("3".to_owned(), 1, Some(Ack::of(3)));
        assert_eq!(intake.submit(), None, "one submission at a time");
        assert_eq!(intake.stored(), pkids(1..=2));
        assert_eq!(intake.submit().unwrap(), ["3"]);
        intake.not_stored();
        assert_eq!(intake.submit().unwrap(), ["3"], "again");
        assert_eq!(intake.stored(), pkids(3..=3));
        assert_eq!(intake.submit(), None);
    }

    #[test]
    fn nothing_of_a_lost_connection_is_acknowledged() {
        let mut intake = intake(1..=2);
        intake.submit().unwrap();
        intake.connection_lost();
        intake.push("new".to_owned(), 1, Some(Ack::of(1)));
        assert_eq!(intake.stored(), [], "the old ones were stored");
        assert_eq!(intake.submit().unwrap(), ["new"]);
        assert_eq!(intake.stored(), pkids(1..=1));
    }

    #[test]
    fn what_is_only_to_be_acknowledged_is_so_in_its_turn() {
        let mut intake = Intake::default();
        intake.push_stray(None);
        intake.push_stray(Some(Ack::of(1)));
        intake.push("2".to_owned(), 1, Some(Ack::of(2)));
        intake.push_stray(Some(Ack::of(3)));
        assert_eq!(intake.take_strays(), pkids(1..=1));
        assert_eq!(intake.submit().unwrap(), ["2"]);
        assert_eq!(intake.take_strays(), []);
        assert_eq!(intake.stored(), pkids(2..=3));
    }

    #[test]
    fn neither_memory_nor_a_submission_grows_without_bound() {
        let mut intake = intake(1..=MAX_WAITING_QOS_0 as u16 - 1);
        assert!(intake.takes(None), "QoS 0");
        intake.push("x".to_owned(), 1, None);
        assert!(!intake.takes(None), "it would be dropped");
        assert!(
            intake.takes(Some(&Ack::of(1))) && intake.has_room(),
            "others have room"
        );
        for pkid in MAX_WAITING_QOS_0..MAX_WAITING {
            intake.push("x".to_owned(), 1, Some(Ack::of(pkid as u16 + 1)));
        }
        assert!(!intake.has_room());
        assert_eq!(intake.submit().unwrap().len(), MAX_SUBMITTED);
        intake.stored();
        assert!(intake.has_room());

        let mut large = Intake::default();
        for _ in 0..3 {
            large.push("x".to_owned(), MAX_SUBMITTED_BYTES / 2, Some(Ack::of(1)));
        }
        assert_eq!(large.submit().unwrap().len(), 2);
    }
}
