//! How simulated devices are asked over SNMP, and whom they notify. Data only.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use async_snmp::v3::CryptoResult;
use async_snmp::{Auth, AuthProtocol, MasterKeys, PrivProtocol, UsmConfig};

/// The SNMP side of a fleet.
#[derive(Clone, Debug)]
pub struct SnmpOptions {
    /// UDP port of the first device's agent, the others follow; 0 takes free ports.
    pub first_port: u16,
    /// Who has it may read, over v2c.
    pub read_community: String,
    /// Who has it may read and write, over v2c.
    pub write_community: String,
    /// The user who may read and write, over v3 with authentication and encryption.
    pub user: SnmpUser,
    /// Who is notified.
    pub receivers: Vec<TrapReceiver>,
    /// What they are notified of.
    pub traps: Traps,
    /// How long an inform waits for its acknowledgement before it is sent again.
    pub inform_timeout: Duration,
    /// How often it is sent again; at most 16 times.
    pub inform_retries: u32,
}

impl Default for SnmpOptions {
    fn default() -> Self {
        let user = SnmpUser::new(
            "simulator",
            AuthProtocol::Sha256,
            "simulated-auth",
            PrivProtocol::Aes128,
            "simulated-priv",
        );
        Self {
            first_port: 0,
            read_community: "public".to_owned(),
            write_community: "private".to_owned(),
            user: user.expect("these passwords are long enough"),
            receivers: Vec::new(),
            traps: Traps::Every,
            inform_timeout: Duration::from_secs(1),
            inform_retries: 9,
        }
    }
}

/// A user of SNMP v3, with the keys that were made of its passwords: that takes a while, so it is done once.
#[derive(Clone)]
pub struct SnmpUser {
    name: String,
    keys: MasterKeys,
}

impl SnmpUser {
    /// A user with these passwords, of 8 characters at least.
    ///
    /// # Errors
    /// When no keys can be made of the passwords.
    pub fn new(
        name: &str,
        auth: AuthProtocol,
        auth_password: &str,
        privacy: PrivProtocol,
        priv_password: &str,
    ) -> CryptoResult<Self> {
        let keys = MasterKeys::new(auth, auth_password.as_bytes())?
            .with_privacy(privacy, priv_password.as_bytes())?;
        Ok(Self {
            name: name.to_owned(),
            keys,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn keys(&self) -> MasterKeys {
        self.keys.clone()
    }
}

/// Without the keys.
impl fmt::Debug for SnmpUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SnmpUser").field(&self.name).finish()
    }
}

/// Which events the receivers are notified of, among those that the MIB has a notification for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traps {
    /// Every event.
    Every,
    /// The events whose applied actions have the word `snmp`, as on a real device.
    Selected,
}

/// One who is notified.
#[derive(Clone, Debug)]
pub struct TrapReceiver {
    /// Where it listens.
    pub address: SocketAddr,
    /// How it is notified.
    pub way: TrapWay,
}

/// How a receiver is notified. An inform is repeated until it is acknowledged; SNMP v1 has none.
#[derive(Clone, Debug)]
pub enum TrapWay {
    /// As a trap of SNMP v1.
    V1 {
        /// The community it carries.
        community: String,
    },
    /// Over SNMP v2c.
    V2c {
        /// The community it carries.
        community: String,
        /// As an inform, and not as a trap.
        inform: bool,
    },
    /// Over SNMP v3.
    V3 {
        /// The user it comes from.
        user: SnmpUser,
        /// As an inform, and not as a trap.
        inform: bool,
    },
}

impl TrapWay {
    pub(super) fn is_inform(&self) -> bool {
        matches!(
            self,
            Self::V2c { inform: true, .. } | Self::V3 { inform: true, .. }
        )
    }

    pub(super) fn auth(&self) -> CryptoResult<Auth> {
        Ok(match self {
            Self::V1 { community } => Auth::v1(community.as_bytes()),
            Self::V2c { community, .. } => Auth::v2c(community.as_bytes()),
            Self::V3 { user, .. } => UsmConfig::new(user.name.clone())
                .with_master_keys(user.keys())?
                .into(),
        })
    }
}
