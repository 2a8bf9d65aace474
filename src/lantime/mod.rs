//! The only place that knows Meinberg's interfaces.
//!
//! [`rest`] speaks the REST API, [`snmp`] the vendor's MIB; [`relay_events`] selects by either the events that switch
//! relays; [`device`] is the task that owns everything about one device, [`schedule`] says when it polls.

pub mod device;
pub mod relay_events;
pub mod rest;
pub mod schedule;
pub mod snmp;
