//! A program at a terminal, by script(1) of util-linux: who sits there sees what it writes, and types.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::support::PATIENCE;
use crate::support::program::PROGRAM;

pub(crate) struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    screen: Receiver<Vec<u8>>,
    /// All that was ever shown.
    shown: String,
    /// Of that, what no answer has been given to.
    unread: String,
}

impl Terminal {
    /// Starts the program with these arguments, none of which needs quotes.
    pub(crate) fn start(arguments: &[&str]) -> Terminal {
        let command = format!("{PROGRAM} {}", arguments.join(" "));
        let mut child = Command::new("script")
            .args(["--quiet", "--return", "--command", &command, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("these tests need script (Debian: apt-get install bsdutils)");
        let keyboard = child.stdin.take().expect("piped");
        let mut output = child.stdout.take().expect("piped");
        let (sender, screen) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut bytes) {
                let _ = sender.send(bytes[..read].to_vec());
            }
        });
        Terminal {
            child,
            keyboard,
            screen,
            shown: String::new(),
            unread: String::new(),
        }
    }

    /// Waits for a question, and types the answer.
    pub(crate) fn answer(&mut self, question: &str, answer: &str) {
        let at = loop {
            if let Some(at) = self.unread.find(question) {
                break at + question.len();
            }
            self.read(question);
        };
        self.unread.drain(..at);
        writeln!(self.keyboard, "{answer}").expect("it reads");
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        while let Ok(bytes) = self.screen.recv_timeout(PATIENCE) {
            self.shown += &String::from_utf8_lossy(&bytes);
        }
        (self.child.wait().expect("it ends"), self.shown.clone())
    }

    fn read(&mut self, question: &str) {
        let bytes = self.screen.recv_timeout(PATIENCE);
        let bytes = bytes.unwrap_or_else(|_| panic!("{question}: never asked; {}", self.shown));
        let text = String::from_utf8_lossy(&bytes);
        self.shown += &text;
        self.unread += &text;
    }
}
