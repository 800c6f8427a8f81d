//! Names and numbers of severities.

use crate::Severity;

impl Severity {
    /// The name in lower case, and an empty one for
    /// [`Unspecified`](Self::Unspecified).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "",
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    /// OpenTelemetry's `SeverityNumber`: the first of the range, 0 for none.
    /// <https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber>
    #[must_use]
    pub const fn otel_number(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::Trace => 1,
            Self::Debug => 5,
            Self::Info => 9,
            Self::Warn => 13,
            Self::Error => 17,
            Self::Fatal => 21,
        }
    }

    /// Syslog's severity (RFC 5424, 6.2.1): 6, informational, for none.
    #[must_use]
    pub const fn syslog_number(self) -> u8 {
        match self {
            Self::Trace | Self::Debug => 7,
            Self::Unspecified | Self::Info => 6,
            Self::Warn => 4,
            Self::Error => 3,
            Self::Fatal => 2,
        }
    }
}
