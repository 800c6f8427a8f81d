//! The component, which keeps its config and stdout between calls.

use std::cell::RefCell;

use wasip2::cli::stdout::get_stdout;
use wasip2::io::streams::{OutputStream, StreamError};

use crate::bindings::exports::sluice::sink::sink::Guest;
use crate::bindings::sluice::sink::types::{Delivery, Failure, LogRecord, Refusal, Retry};
use crate::config::{Config, Format};
use crate::line;

struct Stdout {
    format: Format,
    stream: OutputStream,
    /// Kept between calls to reuse its memory.
    lines: Vec<u8>,
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
            lines: Vec::new(),
        }));
        Ok(())
    }

    fn write(_delivery: Delivery, batch: Vec<LogRecord>) -> Result<Vec<Refusal>, Failure> {
        STDOUT.with_borrow_mut(|stdout| match stdout {
            Some(stdout) => stdout.write(&batch),
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
    fn write(&mut self, batch: &[LogRecord]) -> Result<Vec<Refusal>, Failure> {
        self.lines.clear();
        for record in batch {
            match self.format {
                Format::Text => line::text(record, &mut self.lines),
                Format::Json => line::json(record, &mut self.lines)
                    .map_err(|error| Failure::Permanent(error.to_string()))?,
            }
        }
        write_all(&self.stream, &self.lines).map_err(|error| {
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
