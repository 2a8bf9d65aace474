//! A LANTIME's SNMP: the vendor's MIB.

pub mod oids;
