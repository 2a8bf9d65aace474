//! A server that takes one step after the other, whatever it is asked.

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::simulator::self_signed;

/// What a server does with a request.
#[derive(Clone)]
pub(super) enum Step {
    /// Answers so, byte for byte.
    Answer(String),
    /// Answers so, and closes the connection.
    Last(String),
    /// Closes the connection (FIN).
    Close,
    /// Resets the connection (RST).
    Reset,
}

/// Takes one step for each request, on whatever connection it comes; closes when there are none left.
pub(super) struct Script {
    pub(super) url: String,
    steps: Arc<Mutex<VecDeque<Step>>>,
    /// The number of the connection and the head of each request.
    seen: Arc<Mutex<Vec<(usize, String)>>>,
}

impl Script {
    pub(super) async fn start(steps: impl IntoIterator<Item = Step>) -> Script {
        Script::start_with(steps, None).await
    }

    /// Over https, where connections are kept.
    pub(super) async fn start_kept(steps: impl IntoIterator<Item = Step>) -> Script {
        Script::start_with(steps, Some(self_signed(Ipv4Addr::LOCALHOST.into()).unwrap().1)).await
    }

    async fn start_with(steps: impl IntoIterator<Item = Step>, tls: Option<TlsAcceptor>) -> Script {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let script = Script {
            url: format!(
                "{}://{}",
                if tls.is_some() { "https" } else { "http" },
                listener.local_addr().unwrap()
            ),
            steps: Arc::new(Mutex::new(steps.into_iter().collect())),
            seen: Arc::default(),
        };
        let (steps, seen) = (Arc::clone(&script.steps), Arc::clone(&script.seen));
        tokio::spawn(async move {
            let mut connection = 0;
            while let Ok((stream, _)) = listener.accept().await {
                connection += 1;
                let (steps, seen, tls) = (Arc::clone(&steps), Arc::clone(&seen), tls.clone());
                tokio::spawn(async move {
                    let Some(tls) = tls else {
                        return play(stream, |stream| SockRef::from(stream), connection, steps, seen).await;
                    };
                    let stream = tls.accept(stream).await.unwrap();
                    play(
                        stream,
                        |stream| SockRef::from(stream.get_ref().0),
                        connection,
                        steps,
                        seen,
                    )
                    .await
                });
            }
        });
        script
    }

    pub(super) fn client(&self) -> RestClient {
        let is_kept = self.url.starts_with("https");
        client(&self.url, if is_kept { "tls.insecure = true" } else { "" })
    }

    pub(super) fn connections(&self) -> Vec<usize> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|(connection, _)| *connection).collect()
    }

    pub(super) fn heads(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|(_, head)| head.clone()).collect()
    }
}

async fn play<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    socket: impl Fn(&S) -> SockRef<'_>,
    connection: usize,
    steps: Arc<Mutex<VecDeque<Step>>>,
    seen: Arc<Mutex<Vec<(usize, String)>>>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await.ok()? == 0 {
                return None;
            }
        }
        seen.lock().unwrap().push((connection, head));
        let step = steps.lock().unwrap().pop_front();
        match step? {
            Step::Answer(answer) => stream.write_all(answer.as_bytes()).await.ok()?,
            Step::Last(answer) => return stream.write_all(answer.as_bytes()).await.ok(),
            Step::Close => return None,
            Step::Reset => {
                // Nothing lingers: that is a reset on close.
                socket(stream.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
                return None;
            }
        }
    }
}
