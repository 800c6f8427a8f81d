//! Reads the variables that OpenTelemetry defines.

use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

/// A variable that cannot be used.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("use the variable {name}: {value:?} is not {expected}")]
pub struct ConfigError {
    /// The variable.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// What it may be.
    pub expected: &'static str,
}

/// Where variables come from. Empty ones count as not set.
pub(crate) struct Variables<F>(F);

impl<F: Fn(&'static str) -> Option<String>> Variables<F> {
    pub(crate) const fn new(get: F) -> Self {
        Self(get)
    }

    /// The value of a variable without the spaces around it.
    pub(crate) fn text(&self, name: &'static str) -> Option<String> {
        let value = (self.0)(name)?.trim().to_owned();
        (!value.is_empty()).then_some(value)
    }

    /// The first of these variables that is set.
    pub(crate) fn first(&self, names: [&'static str; 2]) -> Option<(&'static str, String)> {
        names
            .into_iter()
            .find_map(|name| Some((name, self.text(name)?)))
    }

    /// Whether a variable is `true`; anything else is false.
    pub(crate) fn is_true(&self, name: &'static str) -> bool {
        self.text(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// A number above 0.
    pub(crate) fn count(&self, name: &'static str, default: usize) -> Result<usize, ConfigError> {
        let count = self.parsed(name, "a number above 0", |count| *count > 0)?;
        Ok(count.unwrap_or(default))
    }

    /// A time in milliseconds.
    pub(crate) fn millis(
        &self,
        name: &'static str,
        default: Duration,
    ) -> Result<Duration, ConfigError> {
        let millis = self.parsed(name, "a number of milliseconds above 0", |ms| *ms > 0)?;
        Ok(millis.map_or(default, Duration::from_millis))
    }

    /// A share from 0 to 1.
    pub(crate) fn share(&self, name: &'static str) -> Result<Option<f64>, ConfigError> {
        let is_share = |share: &f64| (0.0..=1.0).contains(share);
        self.parsed(name, "a share from 0 to 1, such as 0.01", is_share)
    }

    fn parsed<T: FromStr>(
        &self,
        name: &'static str,
        expected: &'static str,
        is_valid: impl FnOnce(&T) -> bool,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.text(name) else {
            return Ok(None);
        };
        match value.parse().ok().filter(is_valid) {
            Some(parsed) => Ok(Some(parsed)),
            None => Err(ConfigError {
                name,
                value,
                expected,
            }),
        }
    }
}
