//! The component, which keeps its config and stdout between calls.

use std::cell::RefCell;

use wasip2::cli::stdout::get_stdout;
use wasip2::io::streams::{OutputStream, StreamError};

use crate::bindings::exports::sluice::sink::sink::Guest;
use crate::bindings::sluice::sink::types::{Batch, Delivery, Failure, Refusal, Retry};
use crate::config::{Config, Format};

struct Stdout {
    format: Format,
    stream: OutputStream,
}

thread_local! {
    static STDOUT: RefCell<Option<Stdout>> = const { RefCell::new(None) };
}

pub(crate) struct Component;

impl Guest for Component {
    fn open(config: String) -> Result<(), Failure> {
        let Config { format } = Config::parse(&config).map_err(Failure::Permanent)?;
        STDOUT.set(Some(Stdout {
            format,
            stream: get_stdout(),
        }));
        Ok(())
    }

    fn write(_delivery: Delivery, batch: &Batch) -> Result<Vec<Refusal>, Failure> {
        STDOUT.with_borrow(|stdout| match stdout {
            Some(stdout) => stdout.write(batch),
            None => Err(Failure::Permanent(
                "write was called before open".to_owned(),
            )),
        })
    }

    fn close() {
        STDOUT.set(None);
    }
}

impl Stdout {
    fn write(&self, batch: &Batch) -> Result<Vec<Refusal>, Failure> {
        let lines = match self.format {
            Format::Text => batch.text_lines(),
            Format::Json => batch.json_lines(),
        };
        write_all(&self.stream, &lines).map_err(|error| {
            Failure::Retryable(Retry {
                reason: format!("stdout: {error}"),
                after_ms: None,
            })
        })?;
        Ok(Vec::new())
    }
}

/// Writes as much as the stream permits at a time, and waits for more permits.
fn write_all(stream: &OutputStream, mut bytes: &[u8]) -> Result<(), StreamError> {
    while !bytes.is_empty() {
        let permit = usize::try_from(stream.check_write()?).unwrap_or(usize::MAX);
        if permit == 0 {
            stream.subscribe().block();
            continue;
        }
        let (now, later) = bytes.split_at(permit.min(bytes.len()));
        stream.write(now)?;
        bytes = later;
    }
    Ok(())
}
