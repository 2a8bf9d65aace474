//! Reads from one device over SNMP, and writes to it. What the values mean is not known here, but for the objects
//! that select the events of relays.
//!
//! Nothing is opened before the first request. What was opened is kept until a request fails, and opened again by the
//! next: a device that has been replaced, or that has started again without counting its boots up, would refuse the
//! old one for ever.

mod failure;
mod session;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use async_snmp::{Auth, Oid, UsmConfig, Value};
use tokio::task::spawn_blocking;

pub use failure::{SnmpFailure, too_late};
use session::Session;

use super::oids::{self, APPLY_CHANGES};
use crate::config::{DeviceSnmp, SnmpAccess};
use crate::model::{ErrorKind, Operation};

/// How long the answer to the command to apply may take. The MIB asks for it, and for no repeats.
pub const APPLY_TIMEOUT: Duration = Duration::from_secs(120);

/// Asks one device, and writes to it. A clone shares what is open, and can be used beside it.
#[derive(Debug, Clone)]
pub struct Manager {
    address: (String, u16),
    /// Which of the host's addresses comes next: the one after that which has failed.
    next_address: usize,
    access: SnmpAccess,
    timeout: Duration,
    retries: u32,
    /// A user with its keys, once they are made of the passwords: that takes a while, so it is done once.
    user: Option<UsmConfig>,
    session: Option<Session>,
}

impl Manager {
    /// A manager of that device; `None` where there are no credentials.
    pub fn new(device: &DeviceSnmp) -> Option<Manager> {
        Some(Manager {
            address: device.address.clone(),
            next_address: 0,
            access: *device.access.clone()?,
            timeout: device.timeout,
            retries: device.retries,
            user: None,
            session: None,
        })
    }

    /// Makes the next request open a session, at the host's next address: the last one was given up.
    pub fn reset(&mut self) {
        self.session = None;
        self.next_address = self.next_address.wrapping_add(1);
    }

    /// Where the agent is, for messages.
    fn place(&self) -> String {
        let (host, port) = &self.address;
        match host.contains(':') {
            true => format!("udp://[{host}]:{port}"),
            false => format!("udp://{host}:{port}"),
        }
    }

    /// The values of these objects, in their order; `None` for one that the device has not. They are asked for
    /// together, in as few requests as their answers fit into.
    ///
    /// # Errors
    /// When a request fails.
    pub async fn get_many(&mut self, oids: &[Oid]) -> Result<Vec<Option<Value>>, SnmpFailure> {
        let operation = Operation::SnmpGet;
        loop {
            let is_fresh = self.session.is_none();
            let reader = self.session(operation).await?.reader.clone();
            match reader.get_many(oids).await {
                Ok(answer) => {
                    let values = answer.varbinds.into_iter().map(|varbind| varbind.value);
                    return Ok(values.map(present).collect());
                }
                Err(error) => self.failed(operation, &error, is_fresh).await?,
            }
        }
    }

    /// The strings of actions of events, by the number of their object; those are left out that the device has not,
    /// or that are no text.
    ///
    /// # Errors
    /// When a request fails.
    pub async fn actions(&mut self, numbers: &[u32]) -> Result<BTreeMap<u32, String>, SnmpFailure> {
        let oids: Vec<Oid> = numbers.iter().map(|number| oids::actions(*number)).collect();
        let values = self.get_many(&oids).await?;
        let texts = numbers
            .iter()
            .zip(values)
            .filter_map(|(number, value)| match value {
                Some(Value::OctetString(octets)) => Some((*number, String::from_utf8(octets.to_vec()).ok()?)),
                _ => None,
            });
        Ok(texts.collect())
    }

    /// Sets the string of actions of an event, by the number of its object.
    ///
    /// # Errors
    /// When the device refuses it, or the request fails: then it may have been set.
    pub async fn set_actions(&mut self, number: u32, actions: &str) -> Result<(), SnmpFailure> {
        let operation = Operation::SnmpSet;
        loop {
            let is_fresh = self.session.is_none();
            let writer = self.session(operation).await?.writer.clone();
            match writer.set(&oids::actions(number), actions.into()).await {
                Ok(_) => return Ok(()),
                Err(error) => self.failed(operation, &error, is_fresh).await?,
            }
        }
    }

    /// How long setting one object may take in all: with the session that there is; then with another one, for which the address
    /// is looked up, and the agent is asked for its engine.
    pub fn longest_set(&self) -> Duration {
        self.timeout * (self.retries + 1) * 4
    }

    /// Prepares the command that lets changes take effect. It is sent, once, when what this gives is awaited, and that
    /// may take two minutes; other requests can be made meanwhile.
    ///
    /// # Errors
    /// When it cannot be prepared; then it has not been sent. While awaited: when the device refuses it, or gives no
    /// answer; then it may have been carried out.
    pub async fn apply(
        &mut self,
    ) -> Result<impl Future<Output = Result<(), SnmpFailure>> + Send + 'static, SnmpFailure> {
        let place = self.place();
        let client = self.session(Operation::SnmpSet).await?.applier.clone();
        Ok(async move {
            let sent = client.set(&oids::execute(), Value::Integer(APPLY_CHANGES)).await;
            sent.map(drop)
                .map_err(|error| SnmpFailure::of(&error, Operation::SnmpSet, &place))
        })
    }

    async fn session(&mut self, operation: Operation) -> Result<&Session, SnmpFailure> {
        let place = self.place();
        if self.session.is_none() {
            let (reader, writer) = self
                .logins()
                .await
                .map_err(|reason| SnmpFailure::local(ErrorKind::Internal, operation, &place, &reason))?;
            let address = (self.address.0.as_str(), self.address.1);
            let opened = Session::open(
                address,
                self.next_address,
                [reader, writer],
                self.timeout,
                self.retries,
            );
            let opened = opened
                .await
                .map_err(|reason| SnmpFailure::local(ErrorKind::Connect, operation, &place, &reason))?;
            self.session = Some(opened);
        }
        Ok(self.session.as_ref().expect("it was opened just now"))
    }

    /// For reading, and for writing.
    async fn logins(&mut self) -> Result<(Auth, Auth), String> {
        let user = match &self.access {
            SnmpAccess::Community { read, write } => {
                let auth = |community: &str| Auth::v2c(community.as_bytes());
                return Ok((auth(read.expose()), auth(write.expose())));
            }
            SnmpAccess::User(user) => user.clone(),
        };
        let keys = match &self.user {
            Some(keys) => keys.clone(),
            None => {
                let keys = spawn_blocking(move || crate::snmp::outbound(&user)).await;
                let keys = keys.map_err(|_| "keys cannot be made of the user's passwords".to_owned())?;
                keys.map_err(|error| format!("keys cannot be made of the user's passwords: {error}"))?
            }
        };
        self.user = Some(keys.clone());
        Ok((Auth::from(keys.clone()), Auth::from(keys)))
    }

    /// A request has failed. It is worth a retry, in a new session, if the old one may have been the
    /// reason.
    async fn failed(
        &mut self,
        operation: Operation,
        error: &async_snmp::Error,
        is_fresh: bool,
    ) -> Result<(), SnmpFailure> {
        let failure = SnmpFailure::of(error, operation, &self.place());
        if failure.is_refused {
            return Err(failure);
        }
        let session = self.session.take();
        if !is_fresh {
            return Ok(());
        }
        self.next_address = self.next_address.wrapping_add(1);
        // Whoever has the wrong keys gets no answer; but anybody gets the engine id.
        if let (Some(session), SnmpAccess::User(_)) = (session, &self.access)
            && error.kind() == async_snmp::ErrorKind::Timeout
            && session.reader.rediscover_engine().await.is_ok()
        {
            return Err(SnmpFailure::wrong_user(operation, &self.place()));
        }
        Err(failure)
    }
}

/// `None` where the device says that it has no such object.
fn present(value: Value) -> Option<Value> {
    match value {
        Value::NoSuchObject | Value::NoSuchInstance | Value::EndOfMibView => None,
        value => Some(value),
    }
}
