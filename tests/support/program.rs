//! The real program as a process of its own: what it writes, the signals it gets, and how it ends.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::PATIENCE;

/// Variables that would make a run depend on the machine that it runs on.
const NOT_INHERITED: [&str; 8] = [
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
];

/// The program, which was built with the tests.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_lantime2mqtt");

/// What a program has written so far.
#[derive(Debug, Clone, Default)]
pub struct Output {
    /// Its answers.
    pub stdout: String,
    /// Its log and its errors.
    pub stderr: String,
}

/// How a program has ended.
#[derive(Debug, Clone)]
pub struct End {
    /// Its exit code; none when a signal has killed it.
    pub code: Option<i32>,
    /// Everything that it has written.
    pub output: Output,
}

/// A running program; killed on drop.
pub struct Program {
    pid: u32,
    output: watch::Receiver<Output>,
    ended: watch::Receiver<Option<ExitStatus>>,
}

impl Program {
    /// Starts `lantime2mqtt` with these arguments.
    pub fn start(arguments: &[&str]) -> Program {
        Program::start_with(arguments, &[])
    }

    /// Starts it with variables in its environment as well.
    pub fn start_with(arguments: &[&str], variables: &[(&str, &str)]) -> Program {
        Program::start_by(Command::new(PROGRAM), arguments, variables)
    }

    /// Starts it with limits of its own, in the words of `prlimit`: `--nofile=64:1024`.
    pub fn start_limited(limit: &str, arguments: &[&str]) -> Program {
        let mut command = Command::new("prlimit");
        command.args([limit, PROGRAM]);
        Program::start_by(command, arguments, &[])
    }

    /// Starts it by another command, which ends in becoming the program, as `exec` does.
    pub fn start_by(mut command: Command, arguments: &[&str], variables: &[(&str, &str)]) -> Program {
        NOT_INHERITED.iter().for_each(|name| {
            command.env_remove(name);
        });
        let mut child = command
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program was built with the tests");
        let pid = child.id();
        let (sender, output) = watch::channel(Output::default());
        let stdout = collect(child.stdout.take().expect("piped"), sender.clone(), |output| {
            &mut output.stdout
        });
        let stderr = collect(child.stderr.take().expect("piped"), sender, |output| {
            &mut output.stderr
        });
        let (end, ended) = watch::channel(None);
        thread::spawn(move || {
            let _ = (stdout.join(), stderr.join());
            // Last, since its number may be given to another process from now on.
            end.send_replace(child.wait().ok());
        });
        Program { pid, output, ended }
    }

    /// Its number, for `/proc`.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends it a signal: `TERM`, `HUP`, `KILL`.
    pub fn signal(&self, name: &str) {
        if !self.has_ended() {
            let _ = Command::new("kill")
                .args([format!("-{name}"), self.pid.to_string()])
                .stderr(Stdio::null())
                .status();
        }
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// What it has written so far.
    pub fn output(&self) -> Output {
        self.output.borrow().clone()
    }

    /// Waits until what it has written fulfils `condition`.
    pub async fn until(&mut self, what: &str, condition: impl FnMut(&Output) -> bool) -> Output {
        if let Ok(Ok(output)) = timeout(PATIENCE, self.output.wait_for(condition)).await {
            return output.clone();
        }
        panic!("{what}: never written; {:#?}", self.output());
    }

    /// Waits for its end.
    pub async fn end(mut self, within: Duration) -> End {
        self.ended(within).await
    }

    /// Waits for its end, and keeps it at hand.
    pub async fn ended(&mut self, within: Duration) -> End {
        let ended = timeout(within, self.ended.wait_for(Option::is_some)).await;
        let Ok(Ok(Some(status))) = ended.map(|status| status.map(|status| *status)) else {
            panic!("still running after {within:?}; {:#?}", self.output());
        };
        End {
            code: status.code(),
            output: self.output(),
        }
    }

    /// Sends it a signal and waits for its end.
    pub async fn stop(self, signal: &str) -> End {
        self.signal(signal);
        self.end(PATIENCE).await
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.signal("KILL");
    }
}

/// Runs the program to its end.
pub async fn run(arguments: &[&str]) -> End {
    Program::start(arguments).end(PATIENCE).await
}

fn collect(
    from: impl Read + Send + 'static,
    to: watch::Sender<Output>,
    part: fn(&mut Output) -> &mut String,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            to.send_modify(|output| {
                let text = part(output);
                text.push_str(&line);
                text.push('\n');
            });
        }
    })
}
