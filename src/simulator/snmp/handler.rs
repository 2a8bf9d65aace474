//! Answers the requests of one subtree from the device as it is at that moment, and takes changes in: first all of
//! a request are tested, then all are carried out.

use std::sync::Arc;

use async_snmp::handler::{
    BoxFuture, GetNextResult, GetResult, HandlerResult, MibHandler, OidTable, PreparedSet, RequestContext,
    SetCommitError, SetCommitResult, SetTestError, SetTestResult, SetUndoError, SetUndoResult,
};
use async_snmp::{Oid, Value, VarBind};
use jiff::Timestamp;

use super::mib_actions;
use super::objects::{self, Object};
use crate::simulator::action::ActionError;
use crate::simulator::configuration::EventActions;
use crate::simulator::device::SimulatedDevice;
use crate::simulator::fault::Fault;

/// Longest string that is an action string: a DisplayString.
const MAX_STRING: usize = 255;

/// One subtree of a device's objects.
pub(super) struct Handler {
    pub(super) device: Arc<SimulatedDevice>,
    pub(super) objects: OidTable<Object>,
}

impl Handler {
    fn value(&self, object: Object) -> Value {
        self.device.count(|counters| counters.snmp_gets += 1);
        self.device
            .look(|who, world| objects::value(object, who, world, Timestamp::now()))
    }

    fn find(&self, oid: &Oid) -> GetResult {
        if let Some(object) = self.objects.get(oid) {
            return self.value(*object).into();
        }
        // An object without its instance, or with another one.
        let objects = || {
            self.objects
                .iter()
                .filter_map(|(known, _)| known.arcs().split_last())
        };
        let parent = oid.arcs().split_last().map(|(_, parent)| parent);
        if objects().any(|(_, known)| known == oid.arcs() || Some(known) == parent) {
            GetResult::NoSuchInstance
        } else {
            GetResult::NoSuchObject
        }
    }

    fn test(&self, oid: &Oid, value: &Value) -> Result<Change, SetTestError> {
        match (self.objects.get(oid), value) {
            (Some(Object::Execute), Value::Integer(number)) => Command::read(*number).map(Change::Execute),
            (Some(Object::Actions(event)), Value::OctetString(octets)) => {
                if octets.len() > MAX_STRING {
                    return Err(SetTestError::WrongLength);
                }
                let text = std::str::from_utf8(octets).map_err(|_| SetTestError::WrongValue)?;
                let actions = mib_actions::read(self.device.kind(), event, text);
                Ok(Change::Actions {
                    event,
                    actions: actions.map_err(|_| SetTestError::WrongValue)?,
                    before: Vec::new(),
                })
            }
            (Some(Object::Execute | Object::Actions(_)), _) => Err(SetTestError::WrongType),
            (Some(_), _) => Err(SetTestError::NotWritable),
            (None, _) => Err(SetTestError::NoCreation),
        }
    }
}

impl MibHandler for Handler {
    fn get<'a>(&'a self, _: &'a RequestContext, oid: &'a Oid) -> BoxFuture<'a, HandlerResult<GetResult>> {
        Box::pin(async move { Ok(self.find(oid)) })
    }

    fn get_next<'a>(
        &'a self,
        _: &'a RequestContext,
        oid: &'a Oid,
    ) -> BoxFuture<'a, HandlerResult<GetNextResult>> {
        Box::pin(async move {
            let next = self.objects.get_next(oid);
            Ok(next.map_or(GetNextResult::EndOfMibView, |(oid, object)| {
                VarBind::new(oid.clone(), self.value(*object)).into()
            }))
        })
    }

    fn test_set<'a>(
        &'a self,
        _: &'a RequestContext,
        oid: &'a Oid,
        value: &'a Value,
    ) -> BoxFuture<'a, SetTestResult> {
        Box::pin(async move {
            let change = self.test(oid, value)?;
            let device = Arc::clone(&self.device);
            Ok(Box::new(Prepared { device, change }) as Box<dyn PreparedSet>)
        })
    }
}

/// A change that has been found good.
struct Prepared {
    device: Arc<SimulatedDevice>,
    change: Change,
}

enum Change {
    Actions {
        event: &'static str,
        actions: Vec<String>,
        /// As they were, for the case that another change of the same request fails.
        before: Vec<String>,
    },
    Execute(Command),
}

/// A value of `mbgLtNgCmdExecute` that a simulated device knows.
#[derive(Clone, Copy)]
enum Command {
    /// It does nothing (0), or saves what is pending without any effect (2).
    Nothing,
    Apply,
    ResendErrors,
    SendTest,
}

impl Command {
    /// A firmware update (4) and a reboot (5) are not simulated; a reboot is a fault.
    fn read(number: i32) -> Result<Self, SetTestError> {
        match number {
            0 | 2 => Ok(Self::Nothing),
            1 | 3 => Ok(Self::Apply),
            6 => Ok(Self::ResendErrors),
            7 => Ok(Self::SendTest),
            _ => Err(SetTestError::WrongValue),
        }
    }
}

fn stage(device: &SimulatedDevice, event: &str, actions: &[String]) -> Result<(), ActionError> {
    let change = EventActions {
        event: event.to_owned(),
        actions: actions.to_vec(),
    };
    device.change(|world| world.write(&[change]))
}

fn execute(device: &SimulatedDevice, command: Command) {
    device.count(|counters| counters.snmp_executes += 1);
    match command {
        Command::Nothing => (),
        Command::Apply => device.apply_configuration(),
        Command::ResendErrors => device.notify(|side, world, now| side.notify_standing(world, now)),
        Command::SendTest => device.notify(|side, world, now| side.notify_test(world, now)),
    }
}

/// What was applied has taken effect; only the answer is late.
async fn wait_if_late(device: &SimulatedDevice, context: &RequestContext) {
    if let Some(Fault::LateApply { by }) = device.fault() {
        tokio::select! {
            () = tokio::time::sleep(by) => (),
            () = device.wait_fault(|fault| !matches!(fault, Some(Fault::LateApply { .. }))) => (),
            () = context.cancellation_token().cancelled_owned() => (),
        }
    }
}

impl PreparedSet for Prepared {
    fn commit<'a>(
        &'a mut self,
        context: &'a RequestContext,
        _: &'a Oid,
        _: &'a Value,
    ) -> BoxFuture<'a, SetCommitResult> {
        Box::pin(async move {
            self.device.count(|counters| counters.snmp_sets += 1);
            match &mut self.change {
                Change::Actions {
                    event,
                    actions,
                    before,
                } => {
                    *before = self
                        .device
                        .look(|_, world| world.configuration.actions(event).to_vec());
                    stage(&self.device, event, actions).map_err(|_| SetCommitError::Failed)
                }
                Change::Execute(command) => {
                    execute(&self.device, *command);
                    if matches!(command, Command::Apply) {
                        wait_if_late(&self.device, context).await;
                    }
                    Ok(())
                }
            }
        })
    }

    fn undo<'a>(
        &'a mut self,
        _: &'a RequestContext,
        _: &'a Oid,
        _: &'a Value,
    ) -> BoxFuture<'a, SetUndoResult> {
        Box::pin(async move {
            match &self.change {
                Change::Actions { event, before, .. } => {
                    stage(&self.device, event, before).map_err(|_| SetUndoError::Failed)
                }
                // What has taken effect cannot be taken back.
                Change::Execute(_) => Err(SetUndoError::Failed),
            }
        })
    }
}
