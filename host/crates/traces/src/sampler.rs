//! Which traces are recorded.

use sluice_types::trace::{TraceContext, TraceId};

use crate::variables::{ConfigError, Variables};

/// What `OTEL_TRACES_SAMPLER` may be.
const EXPECTED: &str = "always_on, always_off, traceidratio, parentbased_always_on, \
                        parentbased_always_off or parentbased_traceidratio";
/// The bits of a trace's id that a share is compared with.
const BITS: u32 = 63;

/// Decides whether a trace is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sampler {
    /// Whether the span above decides, if there is one.
    is_parent_based: bool,
    /// Of 2^63 ids, those below this are recorded.
    below: u64,
}

impl Sampler {
    pub(crate) fn from_variables<F: Fn(&'static str) -> Option<String>>(
        variables: &Variables<F>,
    ) -> Result<Self, ConfigError> {
        let name = "OTEL_TRACES_SAMPLER";
        let value = variables.text(name);
        let value = value.as_deref().unwrap_or("parentbased_always_on");
        let (is_parent_based, root) = match value.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, value),
        };
        let share = match root {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => variables.share("OTEL_TRACES_SAMPLER_ARG")?.unwrap_or(1.0),
            _ => {
                return Err(ConfigError {
                    name,
                    value: value.to_owned(),
                    expected: EXPECTED,
                });
            }
        };
        Ok(Self::new(is_parent_based, share))
    }

    /// Records this share of the traces, from 0 to 1.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of 2^63 needs no more digits than a float has"
    )]
    pub(crate) fn new(is_parent_based: bool, share: f64) -> Self {
        Self {
            is_parent_based,
            below: (share * (1_u64 << BITS) as f64) as u64,
        }
    }

    /// Whether a span is recorded that begins this trace.
    pub(crate) fn records(self, trace: TraceId) -> bool {
        // As OpenTelemetry's own crates decide, so that a trace with spans of others is
        // whole.
        let [_, _, _, _, _, _, _, _, low @ ..] = trace.to_bytes();
        u64::from_be_bytes(low) >> 1 < self.below
    }

    /// Whether a span below this one is recorded.
    pub(crate) fn records_below(self, parent: &TraceContext) -> bool {
        match self.is_parent_based {
            true => parent.is_sampled(),
            false => self.records(parent.trace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, arg: &str) -> Result<Sampler, ConfigError> {
        let get = |asked| match asked {
            "OTEL_TRACES_SAMPLER" => Some(name.to_owned()),
            "OTEL_TRACES_SAMPLER_ARG" => Some(arg.to_owned()),
            _ => None,
        };
        Sampler::from_variables(&Variables::new(get))
    }

    fn share(sampler: Sampler) -> usize {
        let ids = std::iter::repeat_with(TraceId::random).take(10_000);
        ids.filter(|id| sampler.records(*id)).count()
    }

    #[test]
    fn a_share_of_the_traces_is_recorded() {
        assert_eq!(share(of("", "").unwrap()), 10_000);
        assert_eq!(share(of("always_on", "0").unwrap()), 10_000);
        assert_eq!(share(of("always_off", "1").unwrap()), 0);
        assert_eq!(share(of("traceidratio", "0").unwrap()), 0);
        assert_eq!(share(of("traceidratio", "1").unwrap()), 10_000);
        let some = share(of("parentbased_traceidratio", "0.1").unwrap());
        assert!((800..1200).contains(&some), "{some}");
    }

    #[test]
    fn the_span_above_decides_if_it_is_asked() {
        let sampled = TraceContext::root(TraceId::random(), true);
        let other = sampled.clone().sampled(false);
        for (name, with_sampled, with_other) in [
            ("", true, false),
            ("parentbased_always_off", true, false),
            ("always_on", true, true),
            ("always_off", false, false),
        ] {
            let sampler = of(name, "").unwrap();
            assert_eq!(sampler.records_below(&sampled), with_sampled, "{name}");
            assert_eq!(sampler.records_below(&other), with_other, "{name}");
        }
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let error = of("jaeger_remote", "").unwrap_err();
        assert_eq!(error.name, "OTEL_TRACES_SAMPLER");
        for arg in ["1.1", "-0.1", "NaN", "all"] {
            let error = of("traceidratio", arg).unwrap_err();
            assert_eq!(error.name, "OTEL_TRACES_SAMPLER_ARG", "{arg}");
        }
    }
}
