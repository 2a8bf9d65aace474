//! When a bridge is killed and started again, and what is reported of that. Pure: time is passed in.

use std::time::Duration;

use tokio::time::Instant;

use super::published::{News, Published};

/// After that it is reported that nobody has taken over.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is to be done with a bridge.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    Kill(String),
    Start(String),
}

#[derive(Debug)]
enum Phase {
    /// Until all devices have the same owner.
    Beginning,
    Quiet(Instant),
    /// One was killed, then; and whether it was reported that nobody takes over.
    Killed(String, Instant, bool),
    /// Another one works. It is started at that time.
    TakenOver(String, Instant),
    /// It was started again, and is not there yet.
    Starting(String),
}

/// What happens to the bridges.
#[derive(Debug)]
pub(super) struct TakeOvers {
    devices: usize,
    /// From one that is killed to the next.
    every: Duration,
    phase: Phase,
    published: Published,
    noticed: Vec<String>,
    count: usize,
    longest: Duration,
}

impl TakeOvers {
    pub(super) fn new(devices: usize, every: Duration) -> TakeOvers {
        TakeOvers {
            devices,
            every,
            phase: Phase::Beginning,
            published: Published::default(),
            noticed: Vec::new(),
            count: 0,
            longest: Duration::ZERO,
        }
    }

    /// When something is to be done.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.phase {
            Phase::Quiet(at) | Phase::TakenOver(_, at) => Some(at),
            Phase::Killed(_, at, false) => Some(at + PATIENCE),
            Phase::Killed(..) | Phase::Beginning | Phase::Starting(_) => None,
        }
    }

    /// What is to be done when it is due, and what is reported of that.
    pub(super) fn act(&mut self, now: Instant) -> (Option<Action>, Option<String>) {
        match &mut self.phase {
            Phase::Quiet(_) => {
                let Some(owner) = self.published.owner(self.devices).map(str::to_owned) else {
                    self.phase = Phase::Beginning;
                    return (None, None);
                };
                self.noticed.clear();
                self.published.killed(&owner);
                self.phase = Phase::Killed(owner.clone(), now, false);
                let line = format!("{owner} is killed");
                (Some(Action::Kill(owner)), Some(line))
            }
            Phase::TakenOver(bridge, _) => {
                let bridge = bridge.clone();
                self.phase = Phase::Starting(bridge.clone());
                (Some(Action::Start(bridge)), None)
            }
            Phase::Killed(bridge, _, is_reported) => {
                *is_reported = true;
                let line = format!(
                    "nobody works for the devices of {bridge}, {} s later: the logs say why",
                    PATIENCE.as_secs()
                );
                (None, Some(line))
            }
            Phase::Beginning | Phase::Starting(_) => (None, None),
        }
    }

    /// Takes a message that was published; gives what is reported of it.
    pub(super) fn take(&mut self, topic: &str, payload: &[u8], now: Instant) -> Vec<String> {
        let mut lines = Vec::new();
        match self.published.take(topic, payload) {
            Some(News::Line(line)) => lines.push(line),
            Some(News::Noticed(line)) => {
                self.noticed.push(line.clone());
                lines.push(line);
            }
            None => {}
        }
        lines.extend(self.proceed(now));
        lines
    }

    fn proceed(&mut self, now: Instant) -> Option<String> {
        let owner = self.published.owner(self.devices);
        match &self.phase {
            Phase::Beginning => {
                let line = format!("{} works for the devices, the others stand by", owner?);
                self.phase = Phase::Quiet(now + self.every * 5 / 8);
                Some(line)
            }
            Phase::Killed(killed, at, _) => {
                let owner = owner.filter(|owner| owner != killed)?;
                let after = now - *at;
                let noticed = match &self.noticed[..] {
                    [] => "nobody who reads topics has noticed".to_owned(),
                    noticed => format!("who reads topics has seen: {}", noticed.join(", ")),
                };
                let line = format!(
                    "{owner} works for the devices now (after {:.1} s), {noticed}",
                    after.as_secs_f64()
                );
                (self.count, self.longest) = (self.count + 1, self.longest.max(after));
                self.phase = Phase::TakenOver(killed.clone(), now + self.every / 5);
                Some(line)
            }
            Phase::Starting(bridge) if self.published.is_online(bridge) => {
                let line = format!("{bridge} is back and stands by");
                // The rest of the time has passed since it was killed.
                self.phase = Phase::Quiet(now + self.every * 3 / 5);
                Some(line)
            }
            Phase::Quiet(_) | Phase::TakenOver(..) | Phase::Starting(_) => None,
        }
    }

    /// What there was in all, in one line.
    pub(super) fn summary(&self, elapsed: Duration) -> String {
        let seconds = elapsed.as_secs_f64();
        match self.count {
            0 => format!("{seconds:.0} s; no bridge was replaced."),
            count => {
                let longest = self.longest.as_secs_f64();
                format!(
                    "{seconds:.0} s; so many times another bridge took over: {count}, at the latest after {longest:.1} s."
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(40);

    fn info(take_overs: &mut TakeOvers, bridge: &str, now: Instant) -> Vec<String> {
        let payload = format!(r#"{{"bridge":"{bridge}"}}"#);
        take_overs.take("lantime/sim-1/info", payload.as_bytes(), now)
    }

    /// One whose owner `b1` was killed, and when.
    fn killed() -> (TakeOvers, Instant) {
        let begin = Instant::now();
        let mut take_overs = TakeOvers::new(1, EVERY);
        assert_eq!(take_overs.due(), None);
        let lines = info(&mut take_overs, "b1", begin);
        assert_eq!(lines, ["b1 works for the devices, the others stand by"]);
        let at = begin + Duration::from_secs(25);
        assert_eq!(take_overs.due(), Some(at));
        let acted = take_overs.act(at);
        let kill = Action::Kill("b1".to_owned());
        assert_eq!(acted, (Some(kill), Some("b1 is killed".to_owned())));
        (take_overs, at)
    }

    #[test]
    fn a_bridge_is_killed_replaced_and_started_again() {
        let (mut take_overs, at) = killed();
        assert!(info(&mut take_overs, "b1", at).is_empty(), "what came late");
        let lines = info(&mut take_overs, "b2", at + Duration::from_millis(4_800));
        let expected = "b2 works for the devices now (after 4.8 s), nobody who reads topics has noticed";
        assert_eq!(lines, [expected]);
        let due = take_overs.due().unwrap();
        let (action, line) = take_overs.act(due);
        assert_eq!((action, line), (Some(Action::Start("b1".to_owned())), None));
        let lines = take_overs.take("lantime/bridge/b1/state", b"online", due);
        assert_eq!(lines, ["b1 is back and stands by"]);
        let (action, _) = take_overs.act(take_overs.due().unwrap());
        assert_eq!(action, Some(Action::Kill("b2".to_owned())));
        let summary = take_overs.summary(Duration::from_secs(90));
        assert!(summary.ends_with("1, at the latest after 4.8 s."), "{summary}");
    }

    #[test]
    fn what_readers_have_seen_meanwhile_is_reported() {
        let (mut take_overs, at) = killed();
        take_overs.take("lantime/shard/00/state", b"offline", at);
        let lines = info(&mut take_overs, "b2", at + EVERY);
        assert!(
            lines[0].ends_with("who reads topics has seen: shard 00 is offline"),
            "{lines:?}"
        );
    }

    #[test]
    fn that_nobody_takes_over_is_reported_once() {
        let (mut take_overs, at) = killed();
        let due = take_overs.due().unwrap();
        assert_eq!(due, at + PATIENCE);
        let (action, line) = take_overs.act(due);
        assert!(action.is_none() && line.unwrap().starts_with("nobody works for the devices of b1"));
        assert_eq!(take_overs.due(), None);
    }
}
