//! A tiny web server, independent of the simulated devices: one function answers every request.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Request, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The server; stopped on drop.
pub struct WebServer {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Parts>>>,
    task: JoinHandle<()>,
}

impl WebServer {
    /// Serves on a free port of the loopback.
    pub async fn start(answer: impl Fn(&Parts) -> Response<Body> + Send + Sync + 'static) -> WebServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, notes) = (Arc::new(answer), Arc::clone(&seen));
        let app = Router::new().fallback(move |request: Request<Body>| {
            let (answer, notes) = (Arc::clone(&answer), Arc::clone(&notes));
            async move {
                let (parts, _) = request.into_parts();
                let response = answer(&parts);
                notes.lock().expect("nobody panics with it").push(parts);
                response
            }
        });
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        WebServer { address, seen, task }
    }

    /// Its URL, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests that it has answered.
    pub fn requests(&self) -> Vec<Parts> {
        self.seen.lock().expect("nobody panics with it").clone()
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An answer with that status and body.
pub fn answer(status: u16, body: impl Into<Body>) -> Response<Body> {
    Response::builder()
        .status(status)
        .body(body.into())
        .expect("a status of three digits")
}

/// What a request shows to log in.
pub fn authorization(parts: &Parts) -> &str {
    let value = parts.headers.get("authorization");
    value.and_then(|value| value.to_str().ok()).unwrap_or_default()
}
