//! The trace that something belongs to, and the span below which it happens.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::id::{SpanId, TraceId, digit};
use super::state::TraceState;

/// The header with trace, span and flags.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The header with what other systems have noted.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The span is recorded.
const SAMPLED: u8 = 1;
/// The flags that are handed on: that, and that the trace's id is random.
const KNOWN_FLAGS: u8 = 0b11;

/// A span, as others refer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// Its trace.
    pub trace: TraceId,
    /// Its own id.
    pub span: SpanId,
    /// Those of the header.
    pub flags: u8,
    /// What other systems have noted.
    pub state: Option<TraceState>,
}

impl TraceContext {
    /// The span that the headers name, if they are valid. Several headers
    /// `traceparent` are not.
    #[must_use]
    pub fn of_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let mut context = Self::of_traceparent(values.next()?.as_bytes())?;
        if values.next().is_some() {
            return None;
        }
        context.state = state(headers);
        Some(context)
    }

    /// The span in the value of a header `traceparent`, if that is valid.
    #[must_use]
    pub fn of_traceparent(value: &[u8]) -> Option<Self> {
        let mut fields = value.split(|byte| *byte == b'-');
        let version = fields.next()?;
        let trace = TraceId::from_hex(fields.next()?)?;
        let span = SpanId::from_hex(fields.next()?)?;
        let flags = byte(fields.next()?)?;
        // Later versions may have more fields, and 255 is none.
        match byte(version)? {
            0xFF => return None,
            0 if fields.next().is_some() => return None,
            _ => {}
        }
        Some(Self {
            trace,
            span,
            flags: flags & KNOWN_FLAGS,
            state: None,
        })
    }

    /// The first span of a new trace.
    #[must_use]
    pub fn root(trace: TraceId, is_sampled: bool) -> Self {
        Self {
            trace,
            span: SpanId::random(),
            flags: u8::from(is_sampled),
            state: None,
        }
    }

    /// A span below this one.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            span: SpanId::random(),
            ..self.clone()
        }
    }

    /// Whether the span is recorded.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The same with another decision about recording.
    #[must_use]
    pub fn sampled(mut self, is_sampled: bool) -> Self {
        self.flags = (self.flags & !SAMPLED) | u8::from(is_sampled);
        self
    }

    /// Puts it into the headers of a request, in place of any other.
    pub fn put_into(&self, headers: &mut HeaderMap) {
        let Self {
            trace, span, flags, ..
        } = self;
        let value = HeaderValue::try_from(format!("00-{trace}-{span}-{flags:02x}"));
        if let Ok(value) = value {
            headers.insert(TRACEPARENT, value);
            match &self.state {
                Some(state) => headers.insert(TRACESTATE, state.value().clone()),
                None => headers.remove(TRACESTATE),
            };
        }
    }
}

/// What other systems have noted, if that is one header.
fn state(headers: &HeaderMap) -> Option<TraceState> {
    let mut values = headers.get_all(TRACESTATE).iter();
    let first = values.next()?;
    let Some(second) = values.next() else {
        return TraceState::keep(first);
    };
    let mut joined = first.as_bytes().to_vec();
    for value in std::iter::once(second).chain(values) {
        joined.push(b',');
        joined.extend_from_slice(value.as_bytes());
    }
    TraceState::keep(&HeaderValue::from_bytes(&joined).ok()?)
}

/// The value of two digits in lower case.
fn byte(field: &[u8]) -> Option<u8> {
    match field {
        [high, low] => Some((digit(*high)? << 4) | digit(*low)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn of(value: &str) -> Option<TraceContext> {
        TraceContext::of_traceparent(value.as_bytes())
    }

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_valid_header_is_read() {
        let context = of(&format!("00-{TRACE}-{SPAN}-01")).unwrap();
        assert_eq!(context.trace.to_string(), TRACE);
        assert_eq!(context.span.to_string(), SPAN);
        assert!(context.is_sampled());
        let later = of(&format!("01-{TRACE}-{SPAN}-fe-more")).unwrap();
        assert_eq!((later.flags, later.is_sampled()), (2, false));
    }

    #[test]
    fn anything_else_is_no_trace() {
        let (zero_trace, upper) = ("0".repeat(32), TRACE.to_uppercase());
        for value in [
            "",
            TRACE,
            &format!("ff-{TRACE}-{SPAN}-01"),
            &format!("00-{TRACE}-{SPAN}-01-more"),
            &format!("00-{TRACE}-0000000000000000-01"),
            &format!("00-{zero_trace}-{SPAN}-01"),
            &format!("00-{upper}-{SPAN}-01"),
            &format!("00-{TRACE}-{SPAN}"),
            &format!("00-{TRACE}-{SPAN}-0x"),
            &format!("00-{TRACE}\"-{SPAN}-01"),
        ] {
            assert_eq!(of(value), None, "{value}");
        }
    }

    #[test]
    fn what_is_put_into_headers_is_read_again() {
        let parent = format!("00-{TRACE}-{SPAN}-01");
        let asked = headers(&[
            (TRACEPARENT, &parent),
            (TRACESTATE, "a=1"),
            (TRACESTATE, "b=2"),
        ]);
        let context = TraceContext::of_headers(&asked).unwrap();
        assert_eq!(context.state.as_ref().unwrap().text(), "a=1,b=2");
        let child = context.child().sampled(false);
        assert_ne!(child.span, context.span);
        let mut handed_on = headers(&[(TRACEPARENT, "of another"), (TRACESTATE, "c=3")]);
        child.put_into(&mut handed_on);
        assert_eq!(TraceContext::of_headers(&handed_on), Some(child.clone()));
        assert_eq!(child.trace, context.trace);
        assert!(!child.is_sampled());
        let root = TraceContext::root(TraceId::random(), true);
        root.put_into(&mut handed_on);
        assert!(!handed_on.contains_key(TRACESTATE));
    }

    #[test]
    fn two_parents_are_none() {
        let parent = format!("00-{TRACE}-{SPAN}-01");
        let asked = headers(&[(TRACEPARENT, &parent), (TRACEPARENT, &parent)]);
        assert_eq!(TraceContext::of_headers(&asked), None);
    }
}
