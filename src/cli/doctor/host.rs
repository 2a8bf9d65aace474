//! This machine: its clock, ports, open files, and the unit of systemd.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};

use super::bridge::Bridge;
use super::finding::Finding;
use crate::config::{Broker, Config};
use crate::open_files;

const PORT: &str = "port";
const UNIT: &str = "unit";
const SERVICE: &str = "lantime2mqtt";

/// Whether the clock is synchronized, as far as systemd knows.
pub(super) fn clock() -> Option<Finding> {
    let shown = output("timedatectl", &["show", "--property=NTPSynchronized", "--value"])?;
    match shown.trim() {
        "yes" => Some(Finding::ok("clock", "of this host is synchronized")),
        "no" => {
            let remedy = "synchronize it by NTP (chrony, systemd-timesyncd), best with a LANTIME: times of records are this host's";
            Some(Finding::warn("clock", "of this host is not synchronized", remedy))
        }
        _ => None,
    }
}

/// Whether so many devices have descriptors enough.
pub(super) fn open_files(devices: usize) -> Finding {
    let check = "open files";
    match open_files::shortage(devices) {
        None => Finding::ok(check, "are enough for the configured devices"),
        Some((limit, needed)) => {
            let message = format!("{limit} are allowed here, and {needed} are needed");
            let remedy = "allow more: LimitNOFILE in the unit of systemd, --ulimit nofile of the container, or ulimit -Hn";
            Finding::warn(check, message, remedy)
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    Tcp,
    Udp,
}

/// Where the bridge listens: free, or its own.
pub(super) fn ports(config: &Config, bridge: &Bridge) -> Vec<Finding> {
    let mut listening = Vec::new();
    let mut add = |key, address: Option<SocketAddr>, transport| {
        listening.extend(address.map(|address| (key, address, transport)));
    };
    add("http.listen", config.http.listen, Transport::Tcp);
    let traps = config.snmp.traps.as_ref();
    add(
        "snmp.traps.listen",
        traps.map(|traps| traps.listen),
        Transport::Udp,
    );
    let agent = config.snmp.agent.as_ref();
    add(
        "snmp.agent.listen",
        agent.map(|agent| agent.listen),
        Transport::Udp,
    );
    if let Broker::Embedded { listen, websocket } = &config.mqtt.broker {
        add("mqtt.embedded.listen", Some(*listen), Transport::Tcp);
        add("mqtt.embedded.websocket", *websocket, Transport::Tcp);
    }
    let finding = |(key, address, transport)| port(key, address, transport, bridge);
    listening.into_iter().filter_map(finding).collect()
}

fn port(key: &str, address: SocketAddr, transport: Transport, bridge: &Bridge) -> Option<Finding> {
    // Each start takes another one.
    if address.port() == 0 {
        return None;
    }
    let bound = match transport {
        Transport::Tcp => TcpListener::bind(address).map(drop),
        Transport::Udp => UdpSocket::bind(address).map(drop),
    };
    let error = match (bound, bridge) {
        (Ok(()), Bridge::Runs(_)) => {
            let message = format!("the bridge runs and does not listen at {address} ({key})");
            let remedy = "restart it, if the configuration has changed";
            return Some(Finding::warn(PORT, message, remedy));
        }
        (Ok(()), _) => return Some(Finding::ok(PORT, format!("{address} ({key}) is free"))),
        (Err(error), _) => error,
    };
    Some(match (error.kind(), bridge) {
        (io::ErrorKind::AddrInUse, Bridge::Runs(_)) => {
            Finding::ok(PORT, format!("{address} ({key}) is the bridge's"))
        }
        (io::ErrorKind::AddrInUse, _) => {
            let tool = if transport == Transport::Tcp {
                "ss -ltnp"
            } else {
                "ss -lunp"
            };
            let remedy = format!("end the program that has it ({tool} shows which), or set another {key}");
            Finding::fail(PORT, format!("{address} ({key}) is in use"), remedy)
        }
        (io::ErrorKind::PermissionDenied, _) => {
            let message = format!("{address} ({key}) may not be used by this user");
            let remedy =
                "give the bridge CAP_NET_BIND_SERVICE, as the unit of systemd does, or set a port above 1023";
            Finding::warn(PORT, message, remedy)
        }
        _ => {
            let remedy = format!("set {key} to an address of this machine");
            Finding::fail(PORT, format!("{address} ({key}) cannot be used: {error}"), remedy)
        }
    })
}

/// The unit of systemd, where systemd runs and has it.
pub(super) fn unit() -> Option<Finding> {
    if !Path::new("/run/systemd/system").is_dir() {
        return None;
    }
    let properties = "--property=LoadState,UnitFileState,ActiveState,Result,NRestarts";
    let shown = output("systemctl", &["show", SERVICE, properties])?;
    judge_unit(&shown)
}

fn judge_unit(shown: &str) -> Option<Finding> {
    let values: HashMap<_, _> = shown.lines().filter_map(|line| line.split_once('=')).collect();
    let value = |key: &str| values.get(key).copied().unwrap_or_default();
    if value("LoadState") != "loaded" {
        return None;
    }
    let (enabled, active) = (value("UnitFileState"), value("ActiveState"));
    let message = format!("{SERVICE} is {enabled} and {active}");
    Some(match (enabled, active) {
        (_, "failed") => {
            let message = format!("{message} ({}, {} restarts)", value("Result"), value("NRestarts"));
            let remedy =
                "see journalctl -u lantime2mqtt; then systemctl reset-failed lantime2mqtt, and start it";
            Finding::fail(UNIT, message, remedy)
        }
        ("enabled", "active") => Finding::ok(UNIT, message),
        _ => {
            let remedy = "run systemctl enable --now lantime2mqtt, if systemd is to run the bridge";
            Finding::warn(UNIT, message, remedy)
        }
    })
}

/// What a program of this machine prints; `None` where there is none, or it fails.
pub(super) fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn a_unit_that_does_not_run_is_named() {
        let shown = |load: &str, file: &str, active: &str| {
            let text = format!(
                "Result=exit-code\nNRestarts=7\nLoadState={load}\nUnitFileState={file}\nActiveState={active}\n"
            );
            judge_unit(&text).map(|finding| finding.level)
        };
        assert_eq!(shown("not-found", "", "inactive"), None);
        assert_eq!(shown("loaded", "enabled", "active"), Some(Level::Ok));
        assert_eq!(shown("loaded", "enabled", "inactive"), Some(Level::Warn));
        assert_eq!(shown("loaded", "disabled", "active"), Some(Level::Warn));
        assert_eq!(shown("loaded", "enabled", "failed"), Some(Level::Fail));
    }
}
