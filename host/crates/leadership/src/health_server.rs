//! Serves the health port.

use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::health::Health;
use super::health_places::{Agent, Places, Proof};

/// The time for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(1);
/// The wait after the system had no descriptor or no memory for a connection.
const EXHAUSTED_WAIT: Duration = Duration::from_millis(50);

/// Answers `GET /healthz` until it is dropped.
pub(super) async fn serve(listener: TcpListener, health: Health) {
    let mut tasks = JoinSet::new();
    let mut places = Places::default();
    loop {
        while tasks.try_join_next().is_some() {}
        let (stream, address) = match listener.accept().await {
            Ok((stream, address)) => (stream, address.ip().to_canonical()),
            Err(error) => {
                tracing::warn!(%error, "could not accept a health check");
                tokio::time::sleep(EXHAUSTED_WAIT).await;
                continue;
            }
        };
        let asker = Asker {
            address,
            agent: places.agent(),
            proof: Proof::default(),
        };
        let proof = asker.proof.clone();
        let task = tasks.spawn(serve_one(stream, asker, health.clone()));
        places.add(address, task, proof);
        // Reads what has arrived on this connection before another one can take
        // its place: in a flood, the agent's request is there already.
        tokio::task::yield_now().await;
    }
}

/// Who asks on a connection.
#[derive(Debug)]
struct Asker {
    address: IpAddr,
    agent: Agent,
    proof: Proof,
}

async fn serve_one(stream: TcpStream, asker: Asker, health: Health) {
    let service = service_fn(|request: Request<Incoming>| {
        let is_agents = health.secret.is_in(request.headers());
        if is_agents {
            asker.proof.give();
            asker.agent.is_at(asker.address);
        }
        let complaint = health.complaint(is_agents);
        async move { Ok::<_, Infallible>(answer(&request, complaint)) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        tracing::debug!(%error, "a health check ended with an error");
    }
}

fn answer(request: &Request<Incoming>, complaint: Option<&'static str>) -> Response<Full<Bytes>> {
    let (status, text) = match (request.uri().path(), complaint) {
        ("/healthz", None) => (StatusCode::OK, "OK"),
        ("/healthz", Some(complaint)) => (StatusCode::SERVICE_UNAVAILABLE, complaint),
        _ => (StatusCode::NOT_FOUND, "only /healthz is here"),
    };
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task::JoinHandle;

    use crate::health_places::PLACES;
    use crate::health_secret::HEADER;
    use crate::heartbeat::Heartbeat;

    async fn connect(address: SocketAddr, said: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        stream
    }

    async fn first_line(mut stream: TcpStream) -> String {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.lines().next().unwrap_or_default().to_owned()
    }

    async fn get(address: SocketAddr, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        first_line(connect(address, &request).await).await
    }

    async fn serving(heartbeat: &Arc<Heartbeat>) -> (SocketAddr, Health, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let health = Health::fake(heartbeat);
        let task = tokio::spawn(serve(listener, health.clone()));
        (address, health, task)
    }

    #[tokio::test]
    async fn the_route_answers_by_the_heartbeat() {
        let heartbeat = Arc::new(Heartbeat::default());
        let (address, _, serving) = serving(&heartbeat).await;
        let unhealthy = "HTTP/1.1 503 Service Unavailable";
        assert_eq!(get(address, "/healthz").await, unhealthy);
        heartbeat.beat();
        assert_eq!(get(address, "/healthz").await, "HTTP/1.1 200 OK");
        assert_eq!(get(address, "/other").await, "HTTP/1.1 404 Not Found");
        serving.abort();
    }

    #[tokio::test]
    async fn a_flood_ends_the_oldest_connections_and_not_the_agents() {
        let heartbeat = Arc::new(Heartbeat::default());
        heartbeat.beat();
        let (address, health, serving) = serving(&heartbeat).await;
        let check = format!(
            "GET /healthz HTTP/1.1\r\nhost: a\r\n{HEADER}: {}\r\n\r\n",
            health.secret.value()
        );
        let (begun, rest) = check.split_at(20);
        let mut held = Vec::new();
        for round in 0..3 {
            for _ in 0..PLACES {
                held.push(connect(address, "GET /healthz HTTP/1.1\r\n").await);
            }
            // All at once, and in two parts while some others come.
            let whole = connect(address, &check).await;
            let mut halved = connect(address, begun).await;
            for _ in 0..PLACES / 2 {
                held.push(connect(address, "").await);
            }
            halved.write_all(rest.as_bytes()).await.unwrap();
            for agents in [whole, halved] {
                assert_eq!(first_line(agents).await, "HTTP/1.1 200 OK", "{round}");
            }
        }
        let mut oldest = held.swap_remove(0);
        assert_eq!(oldest.read(&mut [0; 1]).await.unwrap_or(0), 0);
        serving.abort();
    }
}
