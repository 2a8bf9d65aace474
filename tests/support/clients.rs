//! mosquitto's command line clients, as a user runs them: `mosquitto_pub`, `mosquitto_rr`, `mosquitto_sub`.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::PATIENCE;

/// How `mosquitto_sub` writes a message: topic, retain flag, correlation data, expiry, payload in hexadecimal.
const FORMAT: &str = "%t\\t%r\\t%D\\t%E\\t%x";
/// A retained topic of the tests' own. It comes last to a new subscriber: then the others are in force.
const READY: &str = "ready-to-see";

/// Runs the clients at one broker.
#[derive(Debug, Clone, Copy)]
pub struct Clients(SocketAddr);

/// A message that a subscriber has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its topic.
    pub topic: String,
    /// Its retain flag, as its sender set it.
    pub retained: bool,
    /// Its correlation data; empty for none.
    pub correlation: String,
    /// Its expiry in seconds; empty for none.
    pub expiry: String,
    /// Its payload; what is no text is replaced.
    pub payload: String,
}

/// A `mosquitto_sub` that runs; ended on drop.
pub struct Subscriber {
    child: Child,
    messages: watch::Receiver<Vec<Message>>,
}

impl Clients {
    /// The clients of that broker.
    pub fn of(broker: SocketAddr) -> Clients {
        Clients(broker)
    }

    fn command(self, program: &str) -> Command {
        let mut command = Command::new(program);
        let (host, port) = (self.0.ip().to_string(), self.0.port().to_string());
        command.args(["-h", &host, "-p", &port, "-q", "1"]);
        command
    }

    /// `mosquitto_pub -q 1 -t TOPIC`, with the payload and more arguments; the broker has it when this returns.
    pub async fn publish(self, topic: &str, payload: impl AsRef<[u8]>, arguments: &[&str]) {
        let mut command = self.command("mosquitto_pub");
        // Of an empty input it would make no message.
        let payload = payload.as_ref();
        let source = if payload.is_empty() { "-n" } else { "-s" };
        command.args(["-t", topic, source]).args(arguments);
        let output = run(command, payload).await;
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "mosquitto_pub: {output:?}"
        );
    }

    /// `mosquitto_pub -q 1 -t TOPIC -l`: each line is a message.
    pub async fn publish_lines(self, topic: &str, lines: &str) {
        let mut command = self.command("mosquitto_pub");
        command.args(["-t", topic, "-l"]);
        let output = run(command, lines.as_bytes()).await;
        assert!(output.status.success(), "mosquitto_pub: {output:?}");
    }

    /// `mosquitto_rr -V 5 -q 1 -t TOPIC -e RESPONSE`, with the payload and more arguments; gives the reply.
    pub async fn request(self, topic: &str, response: &str, payload: &str, arguments: &[&str]) -> Message {
        let mut command = self.command("mosquitto_rr");
        let patience = PATIENCE.as_secs().to_string();
        command
            .args(["-V", "5", "-t", topic, "-e", response, "-W", &patience])
            .args(["-m", payload, "-F", FORMAT])
            .args(arguments);
        let output = run(command, &[]).await;
        let line = String::from_utf8_lossy(&output.stdout);
        Message::read(line.trim_end_matches('\n'))
            .unwrap_or_else(|| panic!("mosquitto_rr, {topic}: no reply; {output:?}"))
    }

    /// `mosquitto_sub -V 5 -q 1 -t FILTER..`; what is published from now on comes to it.
    pub async fn subscribe(self, filters: &[&str]) -> Subscriber {
        self.publish(READY, "yes", &["-r"]).await;
        let mut command = self.command("mosquitto_sub");
        command.args(["-V", "5", "--retain-as-published", "-F", FORMAT]);
        for filter in filters.iter().chain([&READY]) {
            command.args(["-t", filter]);
        }
        let mut subscriber = Subscriber::start(command);
        subscriber
            .until("the subscription", |messages| {
                messages.iter().any(|message| message.topic == READY)
            })
            .await;
        subscriber
    }
}

impl Message {
    fn read(line: &str) -> Option<Message> {
        let mut parts = line.split('\t');
        let mut next = || parts.next();
        let (topic, retained, correlation) = (next()?, next()?, next()?);
        let (expiry, payload) = (next()?, next()?);
        let byte = |at: usize| u8::from_str_radix(payload.get(at..at + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..payload.len()).step_by(2).map(byte).collect();
        Some(Message {
            topic: topic.to_owned(),
            retained: retained == "1",
            correlation: correlation.to_owned(),
            expiry: expiry.to_owned(),
            payload: String::from_utf8_lossy(&bytes?).into_owned(),
        })
    }

    /// Its payload as JSON; null where it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.payload).unwrap_or_default()
    }
}

impl Subscriber {
    fn start(mut command: Command) -> Subscriber {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("these tests need mosquitto_sub (Debian: apt-get install mosquitto-clients)");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let (sender, messages) = watch::channel(Vec::new());
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let message = Message::read(&line).unwrap_or_else(|| panic!("mosquitto_sub wrote {line:?}"));
                sender.send_modify(|messages| messages.push(message));
            }
        });
        Subscriber { child, messages }
    }

    /// Waits until what has come fulfils `condition`; panics with `what` when it never does.
    pub async fn until(&mut self, what: &str, condition: impl FnMut(&[Message]) -> bool) -> Vec<Message> {
        self.within(PATIENCE, what, condition).await
    }

    /// The same, with another patience.
    pub async fn within(
        &mut self,
        patience: Duration,
        what: &str,
        mut condition: impl FnMut(&[Message]) -> bool,
    ) -> Vec<Message> {
        let seen = self.messages.wait_for(|messages| condition(messages));
        if let Ok(Ok(messages)) = timeout(patience, seen).await {
            return messages.clone();
        }
        let messages = self.now();
        let last = messages.iter().rev().take(40).rev().map(|message| {
            let payload: String = message.payload.chars().take(300).collect();
            format!("\n{} {payload}", message.topic)
        });
        let last: String = last.collect();
        panic!("{what}: never seen; {} messages, the last:{last}", messages.len());
    }

    /// Everything that has come so far, in order.
    pub fn now(&self) -> Vec<Message> {
        self.messages.borrow().clone()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a client to its end, with that standard input.
async fn run(mut command: Command, input: &[u8]) -> Output {
    let input = input.to_vec();
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let ended = spawn_blocking(move || {
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take().expect("piped");
        // A client that has no use for it does not read it.
        let _ = stdin.write_all(&input);
        drop(stdin);
        child.wait_with_output()
    });
    ended
        .await
        .expect("it does not panic")
        .expect("these tests need mosquitto-clients (Debian: apt-get install mosquitto-clients)")
}
