//! What is counted of the traps of all devices.

use std::net::IpAddr;

use serde::Serialize;

/// Since the bridge started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Traps and informs that were taken.
    pub taken: u64,
    /// Of those, traps and informs that only repeated what stands: an error that the device reports again and again.
    pub repeated: u64,
    /// Refused: a community that is not configured.
    pub wrong_community: u64,
    /// Refused: SNMP v3 without authentication and encryption.
    pub unprotected: u64,
    /// Refused: SNMP v3 with an unknown user, or with keys that are not the user's.
    pub wrong_credentials: u64,
    /// Refused: SNMP v3 informs with engine boots or a time that are over. (The library does not report traps of this
    /// kind.)
    pub out_of_time: u64,
    /// From nobody who is configured as a device.
    pub strangers: u64,
    /// Of devices that another bridge of the cluster polls, which takes them.
    #[serde(skip_serializing_if = "is_zero")]
    pub elsewhere: u64,
    /// Refused: a v3 trap that would have been taken for the first after the receiver was replaced, and is too old.
    pub replays: u64,
    /// Dropped: they came faster than they could be stored.
    pub overrun: u64,
    /// Dropped by the socket, before anybody looked at them.
    pub socket_drops: u64,
    /// Who was last counted in `wrong_community`.
    #[serde(skip)]
    pub(super) wrong_community_from: Option<IpAddr>,
    /// Who was last counted in `unprotected`.
    #[serde(skip)]
    pub(super) unprotected_from: Option<IpAddr>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How many datagrams the system has dropped that were for the UDP sockets of that port; `None` where it does not
/// report it.
pub(super) fn socket_drops(port: u16) -> Option<u64> {
    let read = |path| {
        std::fs::read_to_string(path)
            .ok()
            .map(|table| drops_in(&table, port))
    };
    let (v4, v6) = (read("/proc/self/net/udp"), read("/proc/self/net/udp6"));
    v4.or(v6).map(|_| v4.unwrap_or(0) + v6.unwrap_or(0))
}

/// Lines as `  7: 0100007F:04D2 00000000:0000 07 .. 12`: the local port after the first colon of the second word, the
/// drops last.
fn drops_in(table: &str, port: u16) -> u64 {
    let drops = |line: &str| {
        let mut words = line.split_whitespace();
        let (_, local) = words.nth(1)?.rsplit_once(':')?;
        let is_ours = u16::from_str_radix(local, 16) == Ok(port);
        words.last()?.parse::<u64>().ok().filter(|_| is_ours)
    };
    table.lines().filter_map(drops).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_those_of_the_port() {
        let table = "\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  271: 0100007F:04D2 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 41 2 0000000000000000 12
  272: 00000000:04D3 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 42 2 0000000000000000 5
  273: 0200007F:04D2 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 43 2 0000000000000000 3
";
        assert_eq!(drops_in(table, 1234), 15);
        assert_eq!(drops_in(table, 9), 0);
        assert_eq!(drops_in("malformed", 1234), 0);
    }
}
