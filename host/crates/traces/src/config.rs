//! What is exported where, as OpenTelemetry's variables say.

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;

use crate::sampler::Sampler;
use crate::variables::{ConfigError, Variables};

/// For all kinds of telemetry; a path is appended to it.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// For traces, as it is.
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const PATH: &str = "v1/traces";
/// The only protocol.
const PROTOCOL: &str = "http/protobuf";

/// How spans are sampled and exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracesConfig {
    /// Where spans are sent.
    pub(crate) endpoint: String,
    pub(crate) sampler: Sampler,
    /// How many spans may wait.
    pub(crate) queue: usize,
    /// The most spans of a request.
    pub(crate) batch: usize,
    /// How long the first of a request waits for others.
    pub(crate) delay: Duration,
    /// How long an export may take, with all attempts.
    pub(crate) export_limit: Duration,
    /// How long a request may take.
    pub(crate) request_limit: Duration,
    /// The only authorities, in PEM, that the receiver's certificate may come from.
    pub(crate) authorities: Option<PathBuf>,
}

impl TracesConfig {
    /// Reads the variables of this process; `None` if they ask for no traces.
    ///
    /// # Errors
    /// Names the variable that cannot be used.
    pub fn from_env() -> Result<Option<Self>, ConfigError> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// Reads the variables from `get`.
    ///
    /// # Errors
    /// Names the variable that cannot be used.
    pub fn from_variables(
        get: impl Fn(&'static str) -> Option<String>,
    ) -> Result<Option<Self>, ConfigError> {
        let variables = Variables::new(get);
        let Some((name, value)) = variables.first([TRACES_ENDPOINT, ENDPOINT]) else {
            return Ok(None);
        };
        if variables.is_true("OTEL_SDK_DISABLED") || !exports(&variables)? {
            return Ok(None);
        }
        let endpoint = endpoint(name, value)?;
        check_protocol(&variables)?;
        let queue = variables.count("OTEL_BSP_MAX_QUEUE_SIZE", 2048)?;
        let batch = variables.count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512)?;
        let limit = variables.first([
            "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
            "OTEL_EXPORTER_OTLP_TIMEOUT",
        ]);
        let limit_name = limit.map_or("OTEL_EXPORTER_OTLP_TIMEOUT", |(name, _)| name);
        let authorities = variables.first([
            "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
            "OTEL_EXPORTER_OTLP_CERTIFICATE",
        ]);
        Ok(Some(Self {
            endpoint,
            sampler: Sampler::from_variables(&variables)?,
            queue,
            batch: batch.min(queue),
            delay: variables.millis("OTEL_BSP_SCHEDULE_DELAY", Duration::from_secs(5))?,
            export_limit: variables.millis("OTEL_BSP_EXPORT_TIMEOUT", Duration::from_secs(30))?,
            request_limit: variables.millis(limit_name, Duration::from_secs(10))?,
            authorities: authorities.map(|(_, file)| file.into()),
        }))
    }

    /// Whether the receiver's certificate is to be checked against the authorities that
    /// the node trusts otherwise.
    #[must_use]
    pub fn needs_authorities(&self) -> bool {
        self.endpoint.starts_with("https:") && self.authorities.is_none()
    }
}

/// Whether traces are to be exported by OTLP.
fn exports<F: Fn(&'static str) -> Option<String>>(
    variables: &Variables<F>,
) -> Result<bool, ConfigError> {
    let name = "OTEL_TRACES_EXPORTER";
    match variables.text(name) {
        None => Ok(true),
        Some(value) if value == "none" => Ok(false),
        Some(value) if value.split(',').any(|exporter| exporter.trim() == "otlp") => Ok(true),
        Some(value) => Err(ConfigError {
            name,
            value,
            expected: "otlp or none",
        }),
    }
}

/// The URL that requests go to.
fn endpoint(name: &'static str, value: String) -> Result<String, ConfigError> {
    let is_url = value.parse::<Uri>().is_ok_and(|uri| {
        let scheme = uri.scheme_str();
        matches!(scheme, Some("http" | "https")) && uri.host().is_some()
    });
    if !is_url {
        return Err(ConfigError {
            name,
            value,
            expected: "a URL such as http://collector.example.com:4318",
        });
    }
    Ok(match name {
        TRACES_ENDPOINT => value,
        _ => format!("{}/{PATH}", value.trim_end_matches('/')),
    })
}

fn check_protocol<F: Fn(&'static str) -> Option<String>>(
    variables: &Variables<F>,
) -> Result<(), ConfigError> {
    let names = [
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
    ];
    match variables.first(names) {
        Some((name, value)) if value != PROTOCOL => Err(ConfigError {
            name,
            value,
            expected: "http/protobuf, the only protocol that spans are exported by",
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Option<TracesConfig>, ConfigError> {
        TracesConfig::from_variables(|asked| {
            let found = variables.iter().find(|(name, _)| *name == asked);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn without_an_endpoint_there_are_no_traces() {
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]), Ok(None));
        assert_eq!(of(&[(ENDPOINT, " ")]), Ok(None));
        let endpoint = (ENDPOINT, "http://localhost:4318");
        for off in [
            ("OTEL_SDK_DISABLED", "true"),
            ("OTEL_TRACES_EXPORTER", "none"),
        ] {
            assert_eq!(of(&[endpoint, off]), Ok(None), "{off:?}");
        }
    }

    #[test]
    fn the_endpoint_of_all_telemetry_gets_a_path() {
        let url = |variables: &[_]| of(variables).unwrap().unwrap().endpoint;
        for general in ["http://localhost:4318", "http://localhost:4318/"] {
            assert_eq!(
                url(&[(ENDPOINT, general)]),
                "http://localhost:4318/v1/traces"
            );
        }
        let both = [
            (ENDPOINT, "http://localhost:4318"),
            (TRACES_ENDPOINT, "https://example.com/in"),
        ];
        assert_eq!(url(&both), "https://example.com/in");
        assert!(of(&both).unwrap().unwrap().needs_authorities());
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let endpoint = (ENDPOINT, "http://localhost:4318");
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_BSP_SCHEDULE_DELAY", "5s"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1"),
            ("OTEL_TRACES_SAMPLER", "xray"),
        ] {
            let error = of(&[endpoint, (name, value)]).unwrap_err();
            assert_eq!((error.name, error.value.as_str()), (name, value));
        }
        for value in ["localhost:4318", "/v1/traces", "ftp://localhost"] {
            assert_eq!(of(&[(ENDPOINT, value)]).unwrap_err().name, ENDPOINT);
        }
    }
}
