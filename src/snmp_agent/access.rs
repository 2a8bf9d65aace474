//! Who may read what, and who is notified of what: views of the agent (VACM). There is no view for writing.

use async_snmp::agent::VacmBuilder;
use async_snmp::handler::SecurityModel::{Usm, V2c};
use async_snmp::message::SecurityLevel::{AuthPriv, NoAuthNoPriv};
use async_snmp::{Oid, oid};

use crate::config::{SnmpAgent, SnmpSinkAccess};

const READERS: &str = "readers";
/// Those who are notified and may not read.
const SINKS: &str = "sinks";
const READ: &str = "read";
const NOTIFY: &str = "notify";

/// Gives communities and users of SNMP v3 with authentication and encryption the right to read, and sinks the right
/// to be notified. SNMP v1, and v3 without encryption, get nothing.
pub(super) fn permit(vacm: VacmBuilder, config: &SnmpAgent, root: &Oid) -> VacmBuilder {
    let system = oid!(1, 3, 6, 1, 2, 1, 1);
    let modules = oid!(1, 3, 6, 1, 6, 3);
    let vacm = vacm
        .view(READ, |view| {
            view.include(system.clone())
                .include(root.clone())
                .include(modules.clone())
        })
        // A notification begins with sysUpTime and snmpTrapOID.
        .view(NOTIFY, |view| {
            view.include(system).include(root.clone()).include(modules)
        });
    let vacm = [(V2c, NoAuthNoPriv), (Usm, AuthPriv)]
        .into_iter()
        .fold(vacm, |vacm, (model, level)| {
            vacm.access(READERS, model, level, |entry| {
                entry.read_view(READ).notify_view(NOTIFY)
            })
            .access(SINKS, model, level, |entry| entry.notify_view(NOTIFY))
        });
    let vacm = config.sinks.iter().fold(vacm, |vacm, sink| match &sink.access {
        SnmpSinkAccess::Community(community) => vacm.group(community.expose().to_owned(), V2c, SINKS),
        SnmpSinkAccess::User(user) => vacm.group(user.name.clone(), Usm, SINKS),
    });
    // A name belongs to one group: who may read and is notified is among the readers.
    let communities = config.communities.iter();
    let vacm = communities.fold(vacm, |vacm, community| {
        vacm.group(community.expose().to_owned(), V2c, READERS)
    });
    let users = config.users.iter();
    users.fold(vacm, |vacm, user| vacm.group(user.name.clone(), Usm, READERS))
}
