//! Requests whose answers nobody waits for.

use sluice_sink::Failure;
use sluice_sink::http::Url;
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    Fields, FutureIncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
};

/// The requests that are under way.
#[derive(Default)]
pub(crate) struct Requests(Vec<FutureIncomingResponse>);

impl Requests {
    /// Posts bytes over plain HTTP.
    pub(crate) fn send(&mut self, url: &Url, body: &[u8]) -> Result<(), Failure> {
        // Those before have their answers by now.
        self.0.clear();
        self.0.push(begin(url, body).map_err(Failure::permanent)?);
        Ok(())
    }
}

fn begin(url: &Url, body: &[u8]) -> Result<FutureIncomingResponse, String> {
    let request = OutgoingRequest::new(Fields::new());
    let set = request
        .set_method(&Method::Post)
        .and_then(|()| request.set_scheme(Some(&Scheme::Http)))
        .and_then(|()| request.set_authority(Some(url.authority())))
        .and_then(|()| request.set_path_with_query(Some(url.path())));
    set.map_err(|()| "not a valid target")?;
    let sent = request.body().map_err(|()| "no body")?;
    let answer = handle(request, None).map_err(|error| format!("{error:?}"))?;
    let stream = sent.write().map_err(|()| "no stream")?;
    for part in body.chunks(4096) {
        let written = stream.blocking_write_and_flush(part);
        written.map_err(|error| format!("{error:?}"))?;
    }
    drop(stream);
    OutgoingBody::finish(sent, None).map_err(|error| format!("{error:?}"))?;
    Ok(answer)
}
