//! Where a sink posts to, and which traces its requests belong to.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::any;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// A destination that runs.
pub(super) struct Destination {
    pub(super) origin: String,
    shared: Arc<Shared>,
}

struct Shared {
    /// `traceparent` and `tracestate` of each request; empty without one.
    seen: Mutex<Vec<(String, String)>>,
    /// How many requests may be answered.
    answers: Semaphore,
}

/// Remembers the trace, and answers with it.
async fn take(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> String {
    let text = |name: &str| {
        let values: Vec<_> = headers.get_all(name).iter().collect();
        let texts: Vec<_> = values.iter().map(|v| v.to_str().unwrap()).collect();
        texts.join(" and ")
    };
    let seen = (text("traceparent"), text("tracestate"));
    shared.seen.lock().unwrap().push(seen.clone());
    shared.answers.acquire().await.unwrap().forget();
    seen.0
}

impl Destination {
    /// Answers at once.
    pub(super) async fn start() -> Self {
        Self::holding(Semaphore::MAX_PERMITS).await
    }

    /// Answers so many requests, and others when [`Self::release`] is called.
    pub(super) async fn holding(answers: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            answers: Semaphore::new(answers),
        });
        let router = Router::new()
            .route("/logs", any(take))
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { origin, shared }
    }

    pub(super) fn release(&self) {
        self.shared.answers.add_permits(1000);
    }

    pub(super) fn seen(&self) -> Vec<(String, String)> {
        self.shared.seen.lock().unwrap().clone()
    }
}
