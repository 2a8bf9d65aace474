//! A script in Debian's Chromium. It says what it has done line by line, and waits for a word to go on.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

const CHROMIUM: &str = "/usr/bin/chromium";
/// How long a step may take; a browser's first start is slow.
const STEP: Duration = Duration::from_secs(90);

pub(crate) struct Script {
    child: Child,
    stdin: ChildStdin,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Script {
    /// Starts `tests/web/NAME` for the page at that URL.
    pub(crate) fn start(name: &str, url: &str) -> Script {
        let project = Path::new(env!("CARGO_MANIFEST_DIR"));
        let npm: PathBuf = project.join("target/npm");
        assert!(
            Path::new(CHROMIUM).exists(),
            "these tests need {CHROMIUM} (Debian: apt-get install --no-install-recommends chromium)"
        );
        assert!(
            npm.join("node_modules/playwright-core").exists(),
            "these tests need playwright-core: tests/run installs it, or: mkdir -p target/npm && cp tests/npm/*.json target/npm && (cd target/npm && npm ci)"
        );
        let mut child = Command::new("node")
            .arg(project.join("tests/web").join(name))
            .env("NPM", format!("{}/", npm.display()))
            .env("CHROMIUM", CHROMIUM)
            .env("PAGE", url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("these tests need node (Debian: apt-get install nodejs)");
        let stdin = child.stdin.take().expect("piped");
        let (sender, lines) = mpsc::unbounded_channel();
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let mut errors = child.stderr.take().expect("piped");
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
            let mut text = String::new();
            let _ = errors.read_to_string(&mut text);
            if !text.is_empty() {
                let _ = sender.send(format!("failed: {text}"));
            }
        });
        Script { child, stdin, lines }
    }

    /// Waits until it says `word`; gives what stands after it.
    pub(crate) async fn says(&mut self, word: &str) -> String {
        let line = timeout(STEP, self.lines.recv()).await;
        let line = line.unwrap_or_else(|_| panic!("{word}: not said in {STEP:?}"));
        let line = line.unwrap_or_else(|| panic!("{word}: the script has ended"));
        let rest = line.strip_prefix(word);
        rest.unwrap_or_else(|| panic!("{word}: it said {line}"))
            .trim()
            .to_owned()
    }

    /// Lets it go on.
    pub(crate) fn go_on(&mut self) {
        self.stdin.write_all(b"go on\n").expect("it reads");
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // By the end of its input it knows that it is not needed any more, and closes the browser.
        let _ = self.stdin.write_all(b"end\n");
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
