//! The query of a URL.

use sluice_protocols::query;

/// The parts of a query, decoded.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(query: Option<&str>) -> Self {
        let pairs = query::pairs(query.unwrap_or_default());
        let owned = pairs.map(|(name, value)| (name.into_owned(), value.into_owned()));
        Self(owned.collect())
    }

    /// The value of this name, if there is one that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(given, _)| given == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// The number of this name, or else the default, at most `most`.
    pub(super) fn number(&self, name: &str, default: usize, most: usize) -> usize {
        let given = self.get(name).and_then(|value| value.parse().ok());
        given.unwrap_or(default).clamp(1, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_decoded() {
        let query = Query::of(Some("a=x%20%26+y&b=&limit=7&bad=%ff"));
        assert_eq!(query.get("a"), Some("x & y"));
        assert_eq!(query.get("b"), None);
        assert_eq!(query.get("c"), None);
        assert_eq!(query.number("limit", 3, 5), 5);
        assert_eq!(query.number("limit", 3, 10), 7);
        assert_eq!(query.number("a", 3, 10), 3);
        assert_eq!(Query::of(None).get("a"), None);
    }
}
