//! Simulated LANTIMEs on real sockets, for the demo, for tests, for load runs, and for integrators who
//! want to try their flows without a time server.
//!
//! A [`Fleet`] is a number of devices, each with a port of its own. A device is a pure [`World`] (what its
//! clocks, relays and events do), a document (how `/api/status` shows it), a standing [`Fault`] (what goes
//! wrong on the way), a web server and, where [`FleetOptions::snmp`] asks for it, an SNMP agent. A [`Scenario`] moves
//! worlds and sets faults over time.
//!
//! The format is the recorded one where it has been seen on a device. What nobody has seen is assumed, and
//! said to be at the line that assumes it. Not here: the bridge, which knows nothing of this module.
//!
//! ```text
//! scenario --action--> world --> document --> status cache --> responder --> server --> client
//!          --fault---> device ------------------------------^
//! client --write, apply--> configuration --> world
//! manager --get, set--> snmp --> world --news--> snmp --trap, inform--> receiver
//! ```

mod action;
mod auth;
mod body;
mod configuration;
#[cfg(test)]
mod configuration_tests;
mod device;
mod device_kind;
mod document;
mod events;
mod fault;
mod fleet;
mod observe;
mod player;
mod relays;
mod respond;
mod scenario;
#[cfg(test)]
mod scenario_tests;
mod server;
mod snmp;
mod status;
mod tls;
mod world;
#[cfg(test)]
mod world_tests;

pub use action::{Action, ActionError, RscMode, Signal};
pub use device::SimulatedDevice;
pub use device_kind::{ApiGeneration, Chassis, Clock, DeviceKind, Driver, Relay, RelayModule};
pub use events::{EventState, EventType};
pub use fault::Fault;
pub use fleet::{Fleet, FleetOptions, SimulatorError};
pub use observe::{ChangeRequest, Counters, LastAnswer};
pub use relays::Position;
pub use scenario::{Happening, Problem, Scenario, ScenarioError, Step, Target};
pub use snmp::{SnmpOptions, SnmpUser, TrapReceiver, TrapWay, Traps};
pub use tls::Certificate;
#[cfg(test)]
pub(crate) use tls::self_signed;
pub use world::World;
