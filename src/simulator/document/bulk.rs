//! The bulk of the document: parts that no relay depends on, there because real devices send them too.

use super::json::{Json, object};
use crate::simulator::device_kind::{ApiGeneration, Chassis};
use crate::simulator::world::World;

/// File systems, sizes in KiB.
pub(super) fn storage() -> Vec<Json> {
    let disk = |id: &'static str, mount: &'static str, size: i32, used: i32| {
        object! {
            "object-id": id, "size": size, "used": used, "available": size - used,
            "used-percent": used * 100 / size, "mountpoint": mount,
        }
    };
    vec![
        disk("rootfs", "/", 52_000, 31_200),
        disk("var", "/var", 16_384, 5_120),
        disk("www", "/www", 8_192, 2_048),
        disk("dev_sda7", "/data", 40_000, 1_200),
        disk("dev_sda5", "/mnt/flash", 400_000, 232_000),
    ]
}

/// Firmware, its last update and its packages.
pub(super) fn firmware(api: ApiGeneration) -> Json {
    let (running, version) = (api.firmware(), api.firmware_version());
    let image = |id: &'static str, version: &'static str, kind: &'static str| {
        object! { "object-id": id, "version": version, "type": kind }
    };
    let packages = [
        "cli", "data", "lantime", "ltmgmt", "manuals", "network", "ntp", "ptp2", "snmp", "ssh", "system",
        "web",
    ];
    let package = |id: &&'static str| object! { "object-id": *id, "version": version };
    object! {
        "running": running,
        "selected": running,
        "fwimage": format!("firmware-{version}-x86"),
        "firmware": vec![image(running, version, "Compressed"), image("osv", "6.24.20", "Standard")],
        "update": object! {
            "update-in-progress": false,
            "update-progress": 0,
            "last-update-successful": false,
            "last-update-started": "never",
            "last-update-ended": "never",
            "last-update-error": "",
        },
        "packages": packages.iter().map(package).collect::<Vec<_>>(),
    }
}

/// Network ports and interfaces, with addresses reserved for documentation.
pub(super) fn network(number: usize) -> Json {
    let mac = |port: usize| {
        format!(
            "02:00:5e:{:02x}:{:02x}:{port:02x}",
            number / 256 % 256,
            number % 256
        )
    };
    let port = |id: &'static str, port_id: usize, up: bool| {
        object! {
            "object-id": id,
            "duplex": if up { "full" } else { "-" },
            "operstate": up,
            "speed": if up { "1000" } else { "-" },
            "mac-address": mac(port_id),
            "link": up,
            "slot-id": 7,
            "slot-name": "cpu",
            "port-id": port_id,
            "card-name": "c15g2",
        }
    };
    let address = object! {
        "object-id": "ipv4-dhcp",
        "iftype": "dhcp",
        "addresstype": "ipv4",
        "subnet": "255.255.255.0",
        "address": format!("198.51.100.{}", 1 + number % 254),
    };
    object! {
        "ports": vec![port("lan0", 0, true), port("lan1", 1, false)],
        "interfaces": vec![
            object! { "object-id": "vif0", "ifname": "lan0:0", "addresses": vec![address] },
            object! { "object-id": "vif1", "ifname": "lan1:1" },
        ],
    }
}

fn running(running: bool) -> Json {
    object! { "running": running }
}

/// Services that run or do not.
pub(super) fn services(https: bool) -> Json {
    object! {
        "network": object! {
            "daytime": running(false), "ftp": running(false), "telnet": running(false), "time": running(false),
            "mbgdevman": running(false), "webshell": running(false), "ssh": running(true), "ntp": running(true),
            "http": running(!https), "https": running(https), "snmp": running(false),
        },
        "global": object! {
            "filemon": running(true), "ldap": running(false), "noise": running(false),
            "serial_console": running(true), "softwatch": running(false), "syslog": running(true),
            "syncteam": running(false), "linkmonitor": running(true), "lldp": running(false),
            "netconfig": running(true), "portauth": running(false), "avahi": running(false),
            "dbus": running(true),
        },
    }
}

/// The NTP server's own view, its clocks, and on redundant systems a few servers besides.
pub(super) fn ntp(world: &World) -> Vec<Json> {
    let chassis = world.kind().chassis;
    let synchronous = world.is_synchronous(world.active_clock());
    let mut entries = vec![ntp_system(synchronous)];
    let clocks = chassis.clocks().iter().map(|clock| {
        let i = clock.index();
        ntp_peer(
            format!("ref_{}", i + 1),
            40_000 + i,
            format!("127.127.8.{i}"),
            world.is_synchronous(*clock),
        )
    });
    entries.extend(clocks);
    if chassis.is_redundant() {
        let server = |n: usize| ntp_peer(format!("srv_{n}"), 41_000 + n, format!("203.0.113.{n}"), true);
        entries.extend((1..=2).map(server));
    }
    entries
}

fn ntp_system(synchronous: bool) -> Json {
    object! {
        "object-id": "sys",
        "association-id": 0,
        "id": "127.0.0.1",
        "name": "localhost",
        "status": "0218",
        "status-sys-leap-indicator": if synchronous { "none" } else { "alarm" },
        "status-sys-clock-source": "lf-radio",
        "status-sys-event-counter": 1,
        "status-sys-event-code": "no-system-peer",
        "leap": "0",
        "stratum": if synchronous { 1 } else { 16 },
        "precision": -18,
        "rootdelay": 0.0,
        "rootdisp": 0.00021,
        "refid": "REF",
        "tai": 37,
        "leapsec": "201701010000",
        "clk-jitter": 0.000_004,
        "clk-wander": 0.000_003,
        "expire": "202712280000",
    }
}

fn ntp_peer(id: String, association: usize, address: String, reachable: bool) -> Json {
    object! {
        "object-id": id,
        "association-id": association,
        "id": address.clone(),
        "name": address,
        "status": "971a",
        "status-peer-configured": true,
        "status-peer-auth-enabled": false,
        "status-peer-auth-ok": false,
        "status-peer-reach-ok": reachable,
        "status-peer-broadcast": false,
        "status-peer-selection": if reachable { "pps-peer" } else { "reject" },
        "status-peer-event-counter": 1,
        "status-peer-event-code": "sys-peer",
        "leap": "0",
        "stratum": 0,
        "precision": -18,
        "rootdelay": 0.0,
        "rootdisp": 0.0,
        "refid": "REF",
        "offset": -0.000_003,
        "delay": 0.0,
        "dispersion": 0.000_13,
        "reach": if reachable { 255 } else { 0 },
    }
}

/// The team of servers, which no simulated device has joined.
pub(super) fn syncteam() -> Json {
    object! {
        "operational-mode": "disabled",
        "time-quality": "unknown",
        "leapsecond-state": "no-leap-second",
        "current-tfom": 15,
        "team-members": 0,
        "online-members": 0,
        "offline-members": 0,
        "reference": object! { "current-team-master": "unknown", "current-team-reference": "unknown" },
        "members": Vec::new(),
    }
}

/// External rubidium oscillators: the section is there for every clock, none is connected.
pub(super) fn chassis_xhe(chassis: Chassis) -> Vec<Json> {
    let absent = |id: &'static str| {
        object! {
            "object-id": id,
            "xhe-info": object! {
                "status": "unknown", "osc-type": 0, "features": 0, "software-revision": "v0.00",
                "xhe-id": "", "rub-id": "",
                "comstat": object! {
                    "xhe-type": false, "xhe-features": false, "software-revision": false,
                    "hxe-id": false, "rub-id": false,
                },
            },
            "xhe-sys-status": object! {
                "status": object! {
                    "voltage-overrange": false, "low-voltage": false, "generic-cell-error": false,
                    "low-temperature": false, "overheated": false, "pps-lock": true,
                    "ppl-enabled": false, "pps-input-signal": true,
                },
                "comstat": object! { "status": false, "temperature": false },
                "temperature-sensors": object! { "chassis": 0.0, "xtal": 0.0, "cell": 0.0, "lamp": 0.0 },
            },
            "xhe-psu-status": object! {
                "status": "unknown",
                "comstat": object! { "status": false, "alarm-status": false },
                "psu-status": object! { "psu1": "ok", "psu2": "ok" },
                "alarms": object! { "alarm-led": false },
            },
        }
    };
    chassis
        .clocks()
        .iter()
        .map(|clock| absent(clock.as_str()))
        .collect()
}
