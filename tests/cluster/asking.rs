//! What an operator asks a bridge, by its command line and its API.

use serde_json::Value;

use crate::members::Member;
use crate::support::http::{Answer, ask_socket, get_at};
use crate::support::program::{End, run};
use crate::support::wait;

impl Member {
    /// Runs `lantime2mqtt cluster ..` for its bridge, which ends with that code.
    pub(crate) async fn cluster(&self, arguments: &[&str], code: i32) -> String {
        let config = self.site.config().display().to_string();
        let arguments = [&["cluster"], arguments, &["--config", &config]].concat();
        let End { code: found, output } = run(&arguments).await;
        assert_eq!(found, Some(code), "{output:?}");
        assert_eq!(output.stderr.is_empty(), code == 0, "{output:?}");
        output.stdout + &output.stderr
    }

    pub(crate) async fn text(&self, path: &str) -> String {
        let answer = get_at(&self.site.socket(), path).await;
        answer.expect("it answers").body
    }

    /// What its API shows at that path.
    pub(crate) async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.text(path).await).expect("JSON")
    }

    /// Sends a command.
    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        let length = body.len();
        let rest = format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}");
        let answer = ask_socket(&self.site.socket(), head + &rest).await;
        answer.expect("it answers")
    }

    /// Waits until its API shows the cluster so.
    pub(crate) async fn shows(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        wait::for_value(what, async || {
            let shown = self.json("/api/cluster").await;
            if condition(&shown) { Ok(shown) } else { Err(shown) }
        })
        .await
    }
}
