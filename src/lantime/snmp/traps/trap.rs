//! A notification as the library gives it -> what it reports, and what its sender can be identified by. Pure.

use std::net::{IpAddr, Ipv4Addr};

use async_snmp::notification::{Notification, NotificationEnvelope, NotificationPduClass, oids as standard};
use async_snmp::{Oid, Value, VarBind, Version, oid};

use super::receipt::InformId;
use crate::lantime::snmp::oids;
use crate::model::{EventName, EventNaming, Trap, Varbind, VarbindValue};
use crate::snmp::hex;

/// Most variable bindings of a notification that are kept; those of the vendor's MIB have three.
const MAX_VARBINDS: usize = 64;
/// Octets of a value that are kept: a datagram of small ones would otherwise grow to a multiple of its size.
const MAX_OCTETS: usize = 1024;

/// A notification, and all that identifies its sender.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Received {
    /// What it reports.
    pub(super) trap: Trap,
    /// Where the datagram came from.
    pub(super) source: IpAddr,
    /// The engine that has sent a v3 trap; authenticated. An inform names the engine of its receiver.
    pub(super) engine_id: Option<Vec<u8>>,
    /// Address of the agent, where somebody else has passed its trap on.
    pub(super) agent: Option<IpAddr>,
    /// The sender's name of itself.
    pub(super) sys_name: Option<String>,
    /// The sender's uptime in hundredths of a second; it wraps after 497 days.
    pub(super) uptime: u32,
}

impl Received {
    /// Reads a notification that has passed the library's checks.
    pub(super) fn read(envelope: &NotificationEnvelope<'_>) -> Received {
        let varbinds = envelope.varbinds;
        let oid = envelope.trap_oid().ok();
        let number = oid.as_ref().and_then(oids::notification_number);
        let known = number.and_then(oids::by_number);
        let confirmed = envelope.pdu_class == NotificationPduClass::Inform;
        let trap = Trap {
            version: match envelope.version {
                Version::V1 => "1",
                Version::V2c => "2c",
                _ => "3",
            },
            confirmed,
            oid: oid.map(|oid| oid.to_string()),
            event: known.and_then(|known| EventName::canonical(known.event)),
            naming: EventNaming::default(),
            message: text(varbinds, &oids::message()),
            varbinds: varbinds.iter().take(MAX_VARBINDS).map(varbind).collect(),
            left_out: varbinds.len().saturating_sub(MAX_VARBINDS),
        };
        Received {
            trap,
            source: envelope.source.ip().to_canonical(),
            engine_id: envelope
                .context_engine_id
                .filter(|_| !confirmed)
                .map(<[u8]>::to_vec),
            agent: agent(envelope.notification(), varbinds),
            sys_name: text(varbinds, &oid!(1, 3, 6, 1, 2, 1, 1, 5)),
            uptime: envelope.uptime,
        }
    }
}

/// By what an inform is known when it comes again; `None` for a trap.
pub(super) fn inform_id(envelope: &NotificationEnvelope<'_>) -> Option<InformId> {
    let is_inform = envelope.pdu_class == NotificationPduClass::Inform;
    Some(InformId {
        source: envelope.source.ip().to_canonical(),
        request: envelope.request_id.filter(|_| is_inform)?,
        oid: envelope.trap_oid().ok().map(|oid| oid.to_string()),
    })
}

/// The agent that a trap names itself.
fn agent(notification: &Notification, varbinds: &[VarBind]) -> Option<IpAddr> {
    let octets = match notification {
        Notification::TrapV1 { trap, .. } => Some(trap.agent_addr()),
        _ => find(varbinds, &standard::snmp_trap_address()).and_then(|value| match value {
            Value::IpAddress(octets) => Some(*octets),
            _ => None,
        }),
    };
    let address = Ipv4Addr::from(octets?);
    (!address.is_unspecified()).then_some(IpAddr::V4(address))
}

/// The value of an object, whatever instance is named: devices leave the zero of scalars out.
fn find<'v>(varbinds: &'v [VarBind], object: &Oid) -> Option<&'v Value> {
    let found = varbinds.iter().find(|varbind| varbind.oid.starts_with(object));
    found.map(|varbind| &varbind.value)
}

fn text(varbinds: &[VarBind], object: &Oid) -> Option<String> {
    let octets = find(varbinds, object)?.as_bytes()?;
    let text = String::from_utf8_lossy(octets);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

fn varbind(varbind: &VarBind) -> Varbind {
    let (kind, value) = value(&varbind.value);
    Varbind {
        oid: varbind.oid.to_string(),
        kind,
        value,
    }
}

fn value(value: &Value) -> (&'static str, VarbindValue) {
    use VarbindValue::{Null, Number, Text};
    match value {
        Value::Integer(number) => ("Integer32", Number((*number).into())),
        Value::OctetString(octets) => ("OCTET STRING", Text(readable(octets))),
        Value::ObjectIdentifier(oid) => ("OBJECT IDENTIFIER", Text(oid.to_string())),
        Value::IpAddress(octets) => ("IpAddress", Text(Ipv4Addr::from(*octets).to_string())),
        Value::Counter32(number) => ("Counter32", Number((*number).into())),
        Value::Gauge32(number) | Value::UInteger32(number) => ("Unsigned32", Number((*number).into())),
        Value::TimeTicks(number) => ("TimeTicks", Number((*number).into())),
        Value::Counter64(number) => ("Counter64", Number((*number).into())),
        Value::Opaque(octets) | Value::Nsap(octets) => (
            "Opaque",
            Text(format!("0x{}", hex(&octets[..octets.len().min(MAX_OCTETS)]))),
        ),
        _ => ("NULL", Null),
    }
}

/// As text where it is one, else in hexadecimal digits; of a long one the beginning.
fn readable(octets: &[u8]) -> String {
    if octets.len() > MAX_OCTETS {
        let beginning = String::from_utf8_lossy(&octets[..MAX_OCTETS]);
        return format!("{}..", beginning.replace(char::is_control, " "));
    }
    let is_plain = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    match std::str::from_utf8(octets) {
        Ok(text) if text.chars().all(is_plain) => text.to_owned(),
        _ => format!("0x{}", hex(octets)),
    }
}
