//! A LANTIME's SNMP: the vendor's MIB ([`oids`]), and its traps ([`traps`]).

pub mod oids;
pub mod status;
pub mod traps;
