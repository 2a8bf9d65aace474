//! The status of a device over SNMP: with each poll, or when REST gives none. What REST tells is more, and counts for
//! more; where the two tell different things, that is told.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, timeout};

use super::traps::Told;
use super::{DeviceTask, Gone};
use crate::config::{DeviceSnmp, SnmpRead};
use crate::lantime::letters::PollLetters;
use crate::lantime::snmp::manager::{Manager, SnmpFailure};
use crate::lantime::snmp::status::{SnmpStatus, objects};
use crate::model::{Availability, DeviceView, ErrorKind, ErrorReport, Operation, Via};

/// How long an answer over SNMP may hold up what REST has told.
const BESIDE_REST: Duration = Duration::from_millis(500);
/// How long it is left alone then.
const REST: Duration = Duration::from_secs(15);

fn late(within: Duration) -> ErrorReport {
    let message = format!("the device's SNMP agent gives no answer within {within:?}");
    let remedy = "check the device's snmp.community or snmp.user (an agent gives no answer to those it does not know), and that the agent is up and reachable";
    ErrorReport::new(ErrorKind::Timeout, message, remedy)
}

/// What asks, and what was told of its failures.
#[derive(Debug)]
pub(super) struct SecondWay {
    read: SnmpRead,
    manager: Manager,
    /// How long the answer to a request may take before it is sent again.
    timeout: Duration,
    letters: PollLetters,
    /// Until then it is not asked beside REST that works: it gave no answer.
    rests_until: Option<Instant>,
}

impl SecondWay {
    /// `None` where the status is not read over SNMP.
    pub(super) fn new(device: &DeviceSnmp) -> Option<SecondWay> {
        let is_wanted = device.read != SnmpRead::Off;
        Some(SecondWay {
            read: device.read,
            manager: Manager::new(device).filter(|_| is_wanted)?,
            timeout: device.timeout,
            letters: PollLetters::default(),
            rests_until: None,
        })
    }

    async fn ask_within(&mut self, within: Duration) -> Result<SnmpStatus, ErrorReport> {
        let asked = timeout(within, self.ask()).await;
        asked.unwrap_or_else(|_| {
            self.manager.begin_anew();
            Err(late(within))
        })
    }

    async fn ask(&mut self) -> Result<SnmpStatus, ErrorReport> {
        let objects = objects();
        let values = self.manager.get_many(&objects).await;
        let values = values.map_err(|SnmpFailure { report, .. }| report)?;
        let there = objects.into_iter().zip(values);
        let there: Vec<_> = there.filter_map(|(oid, value)| Some((oid, value?))).collect();
        let status = SnmpStatus::read(&there);
        if status.is_usable() {
            return Ok(status);
        }
        let message = "the device's SNMP agent tells nothing of its clocks";
        let remedy = "let the user or the community read 1.3.6.1.4.1.5597.30 (MBG-SNMP-LTNG-MIB), or set snmp.read = \"off\"";
        Err(ErrorReport::new(ErrorKind::Snmp, message, remedy))
    }

    /// When there will be an end of a failure to tell.
    pub(super) fn ends_at(&self) -> Option<Instant> {
        self.letters.ends_at()
    }
}

impl DeviceTask {
    /// What the device tells over SNMP, where that is wanted after such a poll.
    pub(super) async fn look_over_snmp(
        &mut self,
        is_rest_well: bool,
    ) -> Option<Result<SnmpStatus, ErrorReport>> {
        let second = self.second_way.as_mut()?;
        if !is_rest_well {
            // Time for one repeat, and no more: a device that is away on both ways must soon be told so.
            let within = 2 * second.timeout;
            return Some(second.ask_within(within).await);
        }
        let rests = second.rests_until.is_some_and(|until| Instant::now() < until);
        if second.read == SnmpRead::Fallback || rests {
            return None;
        }
        let looked = second.ask_within(BESIDE_REST).await;
        second.rests_until = looked.is_err().then(|| Instant::now() + REST);
        Some(looked)
    }

    /// Notes what came of it, and tells its failures as those of polls are told.
    pub(super) async fn settle_second(
        &mut self,
        looked: Option<Result<SnmpStatus, ErrorReport>>,
        at: Timestamp,
    ) -> Result<Option<SnmpStatus>, Gone> {
        let (Some(second), Some(looked)) = (&mut self.second_way, looked) else {
            return Ok(None);
        };
        match looked {
            Ok(status) => {
                second.letters.succeeded(Instant::now());
                Ok(Some(status))
            }
            Err(report) => {
                if second.letters.first().is_none() {
                    tracing::warn!(device = %self.id, kind = %report.kind, remedy = report.remedy, "{}", report.message);
                }
                let letter = self.letter(Operation::SnmpGet, report, at);
                let repeat = self.repeat_letters;
                let due = self
                    .second_way
                    .as_mut()
                    .and_then(|second| second.letters.failed(letter, repeat, Instant::now()));
                self.send_letter(due).await?;
                Ok(None)
            }
        }
    }

    /// A failure over SNMP has been over for a while.
    pub(super) async fn tell_second_end(&mut self) -> Result<(), Gone> {
        let second = self.second_way.as_mut();
        let letter = second.and_then(|second| second.letters.ended(Timestamp::now(), Instant::now()));
        self.send_letter(letter).await
    }

    /// Shows what is known over SNMP alone. `view` is what stands, with the error of REST.
    pub(super) async fn show_over_snmp(
        &mut self,
        view: DeviceView,
        status: &SnmpStatus,
        now: Timestamp,
    ) -> Result<(), Gone> {
        let kept = self.traps.not_polled_yet();
        let mut snapshot = status.snapshot(self.snapshot.as_ref(), &kept, &self.slots, self.client.url());
        if let Some(known) = &self.snapshot {
            self.traps
                .keep_moved(Instant::now(), &known.events, &mut snapshot.events);
        }
        let was_rest = self
            .snapshot
            .as_ref()
            .is_none_or(|snapshot| snapshot.via == Via::Rest);
        if view.availability != Some(Availability::Online) || was_rest {
            tracing::info!(device = %self.id, "clocks are read over SNMP, since REST gives no answer");
        }
        let seen = self.next_view(&snapshot, now);
        self.snapshot = Some(snapshot);
        let view = DeviceView {
            problem: view.problem,
            ..seen
        };
        self.seen_over_snmp = Some(now);
        self.publish(view, Told::Poll(Via::Snmp)).await
    }
}
