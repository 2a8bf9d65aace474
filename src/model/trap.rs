//! A trap or inform as a device has sent it, whatever MIB it is of.

use serde::Serialize;

use super::EventName;

/// A notification over SNMP.
#[derive(Debug, Clone, PartialEq)]
pub struct Trap {
    /// Protocol version: `1`, `2c` or `3`.
    pub version: &'static str,
    /// Whether it is an inform, which is acknowledged, and not a trap.
    pub confirmed: bool,
    /// What it reports (snmpTrapOID), in dotted numbers. `None` for a v1 trap whose numbers make no OID.
    pub oid: Option<String>,
    /// The notification event that it reports; `None` where the vendor's MIB does not know it.
    pub event: Option<EventName>,
    /// How it is known that this is the event's name.
    pub naming: EventNaming,
    /// Its text.
    pub message: Option<String>,
    /// Everything that it carries beside its OID and the sender's uptime.
    pub varbinds: Vec<Varbind>,
    /// How many more it carried, beyond what is kept of one.
    pub left_out: usize,
}

/// How the name of a trap's event is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum EventNaming {
    /// A status document has named it.
    #[default]
    Document,
    /// It is made from the MIB: no document has named it, and one may name it otherwise.
    Mib,
    /// It is the only one that the device lists which fits this name, which is made from the MIB.
    Matched(EventName),
}

/// A variable binding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Varbind {
    /// In dotted numbers.
    pub oid: String,
    /// Type of the value, as SMI names it.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The value.
    pub value: VarbindValue,
}

/// The value of a variable binding.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum VarbindValue {
    /// A number, signed or not.
    Number(i128),
    /// A text, an OID, an address; octets that are no text as hexadecimal digits after `0x`.
    Text(String),
    /// None.
    Null,
}
