//! Connects to the broker once, as a client of its own: whether it takes these credentials, and what its limits are.
//! Nothing is published, and nothing subscribed to.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::connection::{ConnectionError, Event, Limits, Purpose, connect};
use crate::config::Mqtt;

/// Where the broker's name has several addresses, so many of them are tried.
const ATTEMPTS: usize = 2;
/// How long the broker may take to close the connection.
const CLOSED_WITHIN: Duration = Duration::from_secs(2);

/// The limits that the broker announces to a client with these settings, how long it keeps the session of commands
/// included.
///
/// # Errors
/// Why it does not take the client.
pub async fn limits(settings: &Mqtt) -> Result<Limits, ConnectionError> {
    let mut attempt = 0;
    let limits = loop {
        match connect_once(settings, true, attempt).await {
            Err(error) if attempt + 1 < ATTEMPTS && !error.is_refused_login() => attempt += 1,
            Err(error) => return Err(error),
            Ok(limits) => break limits,
        }
    };
    // Without it the broker would keep the session of the first one for a while.
    connect_once(settings, false, attempt).await?;
    Ok(limits)
}

async fn connect_once(
    settings: &Mqtt,
    wants_session: bool,
    attempt: usize,
) -> Result<Limits, ConnectionError> {
    let (client, mut events) = connect(settings, &Purpose::Probing { wants_session }, attempt);
    let mut limits = Limits::default();
    let mut closed_at = None;
    loop {
        let event = match closed_at {
            None => events.recv().await,
            Some(at) => timeout_at(at, events.recv()).await.unwrap_or(None),
        };
        match event {
            Some(Event::Connected(announced)) => {
                limits = announced;
                client.disconnect();
                closed_at = Some(Instant::now() + CLOSED_WITHIN);
            }
            // It has taken us: how the connection ends does not matter.
            Some(Event::Closed(Err(error))) if closed_at.is_none() => return Err(error),
            Some(Event::Closed(_)) | None => return Ok(limits),
            Some(_) => {}
        }
    }
}
