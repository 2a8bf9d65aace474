//! The subscriber: notes when each change of an event arrives. A thread of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};

/// When the message with that topic said `triggered` that often changed.
#[derive(Default)]
pub(crate) struct Arrivals(Mutex<HashMap<String, Vec<Instant>>>);

impl Arrivals {
    /// The arrivals of messages on that topic, in order.
    pub(crate) fn of(&self, topic: &str) -> Vec<Instant> {
        self.0
            .lock()
            .map(|arrivals| arrivals.get(topic).cloned().unwrap_or_default())
            .unwrap_or_default()
    }

    /// Forgets what came so far.
    pub(crate) fn clear(&self) {
        if let Ok(mut arrivals) = self.0.lock() {
            arrivals.clear();
        }
    }
}

/// Subscribes to `filter` until the process ends.
pub(crate) fn subscribe(port: u16, filter: &str) -> anyhow::Result<Arc<Arrivals>> {
    let arrivals = Arc::new(Arrivals::default());
    let (noted, filter) = (Arc::clone(&arrivals), filter.to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let mut options = MqttOptions::new(format!("load-{port}"), "127.0.0.1", port);
            options.set_keep_alive(Duration::from_secs(60));
            let (client, mut events) = AsyncClient::new(options, 64);
            if client.subscribe(filter, QoS::AtMostOnce).await.is_err() {
                return;
            }
            while let Ok(event) = events.poll().await {
                let Event::Incoming(Packet::Publish(message)) = event else {
                    continue;
                };
                let now = Instant::now();
                if let Ok(mut arrivals) = noted.0.lock() {
                    arrivals.entry(message.topic).or_default().push(now);
                }
            }
        });
    });
    Ok(arrivals)
}
