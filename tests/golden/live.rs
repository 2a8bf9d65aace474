//! What `/api/live` begins with: an event for the bridge, one for the list of devices, and one for each device.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::capture::get;
use crate::expected::Found;
use crate::fleet::DEVICES;
use crate::normalise;
use crate::scene::Scene;
use crate::support::PATIENCE;

/// How many there are at first.
const EVENTS: usize = 2 + DEVICES;

/// The events in their order. Of a device only what differs from `/api/devices/{device}`.
pub(crate) async fn live(scene: &Scene) -> Found {
    let text = first_events(scene).await;
    let mut found = Found::new();
    let events = text.split("\n\n").take(EVENTS);
    for (number, event) in events.enumerate() {
        let (name, data) = event.split_once("\ndata: ").expect("an event has data");
        let data: Value = serde_json::from_str(data).expect("the data is JSON");
        let data = normalise::json(data);
        let value = match name {
            "event: device" => of_device(scene, data).await,
            _ => data.to_string(),
        };
        found.insert(format!("/api/live {:02} {name}", number + 1), value);
    }
    found
}

async fn of_device(scene: &Scene, event: Value) -> String {
    let path = format!("/api/devices/{}", event["id"].as_str().unwrap_or_default());
    let mut shown = normalise::json(get(scene, &path).await.json());
    let fields = shown.as_object_mut().expect("an object");
    fields.retain(|name, _| !name.starts_with("http_"));
    match shown == event {
        true => format!("as {path}, without http_stats and http_sessions"),
        false => event.to_string(),
    }
}

/// As many events as there are at first.
async fn first_events(scene: &Scene) -> String {
    let mut stream = TcpStream::connect(scene.site.http()).await.unwrap();
    // HTTP/1.0, so that the events come as they are and not in chunks.
    let request = format!("GET /api/live HTTP/1.0\r\nHost: {}\r\n\r\n", scene.site.http());
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    let events = async {
        let mut buffer = vec![0; 65536];
        while text.matches("\n\n").count() < EVENTS {
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "it ends: {text}");
            text.push_str(std::str::from_utf8(&buffer[..read]).expect("it is ASCII"));
        }
    };
    let come = tokio::time::timeout(PATIENCE, events).await;
    come.expect("all events come");
    let (_, events) = text.split_once("\r\n\r\n").expect("the head has an end");
    events.to_owned()
}
