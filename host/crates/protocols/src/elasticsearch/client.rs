//! Which answer makes which client send again what was not taken.

/// What a client takes for "not now". Every other answer that is not a success
/// makes it lose the documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotNow {
    /// Status 503. Fluent Bit, Filebeat, Logstash, Vector, syslog-ng and the
    /// libraries for Python, JavaScript and Go send again after it. After 429 the
    /// bulk helper for JavaScript, and pino-elasticsearch with it, would not.
    Unavailable,
    /// Status 429. The exporter of OpenTelemetry's collector sends again after
    /// this one only, unless it is configured to do more.
    TooManyRequests,
    /// No answer, and the end of the connection. rsyslog's omelasticsearch of
    /// 8.2302 takes any answer for the end of the matter, but keeps its batch when
    /// there is none. Later versions do the same with a connection that ends.
    NoAnswer,
}

/// The content type that omelasticsearch sends. It sends no `User-Agent`.
const RSYSLOG_CONTENT_TYPE: &str = "application/json; charset=utf-8";
/// Parts of the `User-Agent` of the collector's distributions, which is the name
/// of the distribution, in lower case.
const COLLECTORS: [&str; 3] = ["opentelemetry", "otel", "collector"];
/// No longer `User-Agent` is searched, in bytes.
const USER_AGENT_BYTES_MAX: usize = 1024;

impl NotNow {
    /// What the client that sent these headers understands.
    #[must_use]
    pub fn of(user_agent: Option<&str>, content_type: Option<&str>) -> Self {
        let Some(user_agent) = user_agent.filter(|name| !name.is_empty()) else {
            let is_rsyslog = content_type.is_some_and(|content_type| {
                content_type.eq_ignore_ascii_case(RSYSLOG_CONTENT_TYPE)
            });
            return match is_rsyslog {
                true => Self::NoAnswer,
                false => Self::Unavailable,
            };
        };
        let user_agent = user_agent.get(..USER_AGENT_BYTES_MAX).unwrap_or(user_agent);
        let user_agent = user_agent.to_ascii_lowercase();
        match COLLECTORS.iter().any(|part| user_agent.contains(part)) {
            true => Self::TooManyRequests,
            false => Self::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_gets_what_it_sends_again_after() {
        let ndjson = Some("application/x-ndjson");
        for (user_agent, content_type, expected) in [
            (Some("Fluent-Bit"), ndjson, NotNow::Unavailable),
            (
                Some("elasticsearch-js/9.4.3 (linux 6.1.0-x64; Node.js 20.20.2; Transport 9.4.0)"),
                Some("application/vnd.elasticsearch+x-ndjson; compatible-with=9"),
                NotNow::Unavailable,
            ),
            (
                Some("elasticsearch-py/9.5.1 (Python/3.11.7; elastic-transport/9.4.2)"),
                ndjson,
                NotNow::Unavailable,
            ),
            (
                Some(
                    "Elastic-Filebeat/8.17.0 (linux; amd64; 0000000; 2026-01-01 00:00:00 +0000 UTC)",
                ),
                Some("application/json"),
                NotNow::Unavailable,
            ),
            (
                Some("syslog-ng 3.38.1/libcurl 7.88.1"),
                ndjson,
                NotNow::Unavailable,
            ),
            (
                Some("OpenTelemetry Collector Contrib/0.130.0 (linux/amd64)"),
                ndjson,
                NotNow::TooManyRequests,
            ),
            (
                Some("otelcol-custom/1.0 (linux/arm64)"),
                ndjson,
                NotNow::TooManyRequests,
            ),
            (
                None,
                Some("application/json; charset=utf-8"),
                NotNow::NoAnswer,
            ),
            (None, ndjson, NotNow::Unavailable),
            (None, None, NotNow::Unavailable),
            (
                Some("curl/8.0"),
                Some("application/json; charset=utf-8"),
                NotNow::Unavailable,
            ),
        ] {
            assert_eq!(
                NotNow::of(user_agent, content_type),
                expected,
                "{user_agent:?}"
            );
        }
    }

    #[test]
    fn a_long_name_is_not_searched_to_its_end() {
        let long = "é".repeat(1 << 20);
        assert_eq!(NotNow::of(Some(&long), None), NotNow::Unavailable);
        let late = format!("{}otel", " ".repeat(USER_AGENT_BYTES_MAX));
        assert_eq!(NotNow::of(Some(&late), None), NotNow::Unavailable);
    }
}
