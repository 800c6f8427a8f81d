//! What other systems have noted with a trace: the header `tracestate`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderValue;

/// The longest text that is kept, in bytes. W3C asks for at least as much.
pub const MAX_STATE: usize = 512;
/// The most bytes that all texts of a process take together. They wait in queues that
/// do not count them; a trace can do without.
const MAX_BYTES: usize = 1 << 20;

static KEPT: AtomicUsize = AtomicUsize::new(0);

/// The text of a header `tracestate`, which is handed on as it is.
#[derive(Clone, PartialEq, Eq)]
pub struct TraceState(Arc<Kept>);

/// A text that counts for as long as it lives.
#[derive(PartialEq, Eq)]
struct Kept(HeaderValue);

impl TraceState {
    /// Keeps a text; `None` if it is empty, no text or too long, or if too many are
    /// kept.
    #[must_use]
    pub fn keep(value: &HeaderValue) -> Option<Self> {
        let length = value.len();
        if length == 0 || length > MAX_STATE || value.to_str().is_err() {
            return None;
        }
        if KEPT.fetch_add(length, Ordering::Relaxed) + length > MAX_BYTES {
            KEPT.fetch_sub(length, Ordering::Relaxed);
            return None;
        }
        // A value of its own: that of a request keeps the whole head.
        let own = HeaderValue::from_bytes(value.as_bytes());
        match own {
            Ok(own) => Some(Self(Arc::new(Kept(own)))),
            Err(_) => {
                KEPT.fetch_sub(length, Ordering::Relaxed);
                None
            }
        }
    }

    /// The header's value.
    #[must_use]
    pub fn value(&self) -> &HeaderValue {
        &self.0.0
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.0.to_str().unwrap_or_default()
    }
}

impl fmt::Debug for TraceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.0.fmt(f)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        KEPT.fetch_sub(self.0.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_texts_together_are_bounded() {
        let text = HeaderValue::from_str(&"x".repeat(MAX_STATE)).unwrap();
        let fit = MAX_BYTES / MAX_STATE;
        let kept: Vec<_> = (0..fit + 10)
            .map_while(|_| TraceState::keep(&text))
            .collect();
        // Other tests may keep some meanwhile.
        assert!((fit - 10..=fit).contains(&kept.len()), "{}", kept.len());
        drop(kept);
        let again = TraceState::keep(&text);
        assert_eq!(again.unwrap().text().len(), MAX_STATE);
    }

    #[test]
    fn what_is_no_text_or_too_long_is_not_kept() {
        let long = "x".repeat(MAX_STATE + 1);
        for value in ["".as_bytes(), long.as_bytes(), b"a=\xFF"] {
            assert!(TraceState::keep(&HeaderValue::from_bytes(value).unwrap()).is_none());
        }
    }
}
