//! A bound on how long a connection may take, its TLS included.

use std::error::Error;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use sluice_types::sink::BoxFuture;
use tower_service::Service;

/// The time for a connection: looking the name up, trying its addresses, and TLS.
const LIMIT: Duration = Duration::from_secs(30);

/// Makes connections as another does, in time.
#[derive(Clone, Debug)]
pub(super) struct ConnectLimit<C>(pub(super) C);

type BoxError = Box<dyn Error + Send + Sync>;

impl<C> Service<Uri> for ConnectLimit<C>
where
    C: Service<Uri, Error = BoxError>,
    C::Future: Send + 'static,
    C::Response: 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<C::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let connecting = tokio::time::timeout(LIMIT, self.0.call(target));
        Box::pin(async move {
            connecting
                .await
                .map_err(|elapsed| BoxError::from(io::Error::from(elapsed)))?
        })
    }
}
