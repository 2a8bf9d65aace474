//! Documents that other firmware may send, from a web server that is no simulated device.

use std::sync::{Arc, Mutex};

use crate::common::Watcher;
use crate::common::mosquitto::Mosquitto;
use crate::common::site::{Entry, Site};
use crate::common::web_server::{WebServer, answer};
use crate::{json, word};

/// Of firmware 7.04, which has API 8, with a byte order mark, `nan`, a key twice, a control character, Latin-1 and NUL.
const MALFORMED: &[u8] = b"\xef\xbb\xbf{\"system-information\":{\"API Version\":\"LANTIME REST API V8.02.001\",
    \"version\":\"fw_7.04.008\",\"serial-number\":\"1\",\"hostname\":\"M\xfcnchen\x01\",\"model\":nan,\"model\":\"M500\"},
    \"data\":{\"system\":{\"uptime\":-inf},\"notification\":{\"events\":[
    {\"object-id\":\"ntp-not-sync\",\"type\":\"error\",\"triggered\":0,\"last-triggered\":\"2026-02-10 10:45:48+01:00[Europe/Berlin]\"},
    {\"object-id\":\"antenna-faulty\",\"type\":\"error\",\"triggered\":nan,\"last-triggered\":\"2026-02-10T09:45:48[Europe/Berlin]\"}]},
    \"chassis0\":{\"slots\":[{\"slot-id\":\"clk1\",\"module\":{\"info\":{\"model\":\"gps180\"},\"gns\":{\"antenna\":{\"connected\":true}},
    \"sync-status\":{\"est-time-quality\":nan(0x7ff8),\"clock-status\":{\"clock\":\"synchronized\"}}}},
    {\"slot-id\":\"io1\",\"module\":{\"info\":{\"model\":\"rel1000\"}}}]}}}\0\r\n\0";

/// Answers with what `body` holds.
async fn serve(body: &Arc<Mutex<Vec<u8>>>) -> WebServer {
    let body = Arc::clone(body);
    WebServer::start(move |request| match request.uri.path() {
        "/api/status" => answer(200, body.lock().expect("whole").clone()),
        _ => answer(404, "{}"),
    })
    .await
}

#[tokio::test]
async fn malformed_text_costs_its_field_and_not_the_device() {
    let server = serve(&Arc::new(Mutex::new(MALFORMED.to_vec()))).await;
    let broker = Mosquitto::start();
    let mut watcher = Watcher::connect(broker.address()).await;
    let site = Site::new(broker.address(), &[Entry::new("m500", &server.url())]);
    let _bridge = site.start();
    let seen = watcher
        .until("the device", |seen| {
            word(seen, "m500/state") == "online" && json(seen, "m500/io1/relay/a").is_object()
        })
        .await;
    let info = json(&seen, "m500/info");
    assert_eq!(info["profile"], "api-10", "{info}");
    assert_eq!(
        (&info["hostname"], &info["model"]),
        (&"M\u{fffd}nchen\u{1}".into(), &"M500".into())
    );
    assert_eq!(json(&seen, "m500/io1/relay/a")["position"], "NO");
    let detail = &json(&seen, "m500/io1/signal/clk1")["detail"];
    assert_eq!(detail.get("time_quality"), None, "{detail}");
    let known = json(&seen, "m500/event/ntp-not-sync");
    assert_eq!(known["last_triggered"], "2026-02-10T09:45:48.000Z", "{known}");
    let event = json(&seen, "m500/event/antenna-faulty");
    assert_eq!(event["triggered"], "unknown", "{event}");
    assert_eq!(event.get("last_triggered"), None, "{event}");
}
