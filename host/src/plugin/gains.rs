//! What a manifest may do that another one may not.

use std::collections::BTreeMap;

use super::permissions::{DirectoryWanted, Permissions};

/// One line for each permission that the new manifest has and the old one has not.
pub(crate) fn gains(new: &Permissions, old: &Permissions) -> Vec<String> {
    let mut gained = Vec::new();
    let had_origins: Vec<_> = old.http.iter().map(ToString::to_string).collect();
    let origins = new.http.iter().map(ToString::to_string);
    gained.extend(
        origins
            .filter(|origin| !had_origins.contains(origin))
            .map(|origin| format!("HTTP requests to {origin}")),
    );
    let endpoints = new
        .tcp
        .iter()
        .filter(|endpoint| !old.tcp.contains(endpoint));
    gained.extend(endpoints.map(|endpoint| format!("TCP connections to {endpoint}")));
    for (origin, headers) in &new.headers {
        let had = old.headers.get(origin);
        let is_new = |name: &&String| had.and_then(|had| had.get(*name)) != headers.get(*name);
        let names = headers.keys().filter(is_new);
        gained.extend(names.map(|name| format!("the header {name} with a secret for {origin}")));
    }
    let signed = changed(&new.sigv4, &old.sigv4);
    gained.extend(signed.map(|origin| format!("requests to {origin} signed with a secret")));
    let directories = new.dirs.iter().filter(|wanted| !has_directory(old, wanted));
    gained.extend(directories.map(|wanted| {
        let how = if wanted.write { "write" } else { "read" };
        format!(
            "the directory {}, to {how}, as {}",
            wanted.host, wanted.guest
        )
    }));
    let variables = changed(&new.env, &old.env);
    gained.extend(variables.map(|name| format!("the variable {name}")));
    gained
}

/// Whether the directory was there, and no less open.
fn has_directory(old: &Permissions, wanted: &DirectoryWanted) -> bool {
    old.dirs
        .iter()
        .any(|had| had.host == wanted.host && (had.write || !wanted.write))
}

fn changed<'a, V: PartialEq>(
    new: &'a BTreeMap<String, V>,
    old: &'a BTreeMap<String, V>,
) -> impl Iterator<Item = &'a String> {
    new.iter()
        .filter(|(name, value)| old.get(*name) != Some(value))
        .map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Manifest;

    fn permissions(json: &str) -> Permissions {
        let text = format!(r#"{{"source":"builtin:stdout","permissions":{json}}}"#);
        text.parse::<Manifest>().unwrap().permissions
    }

    #[test]
    fn what_is_new_or_more_open_is_named_and_nothing_else() {
        let old = permissions(
            r#"{"http":["https://a"],"dirs":[{"host":"x","guest":"/x"}],"env":{"A":"1"}}"#,
        );
        assert_eq!(gains(&old, &old), [""; 0]);
        assert_eq!(gains(&permissions("{}"), &old), [""; 0]);
        let new = permissions(
            r#"{"http":["https://a","https://b"],"tcp":["c:1"],
                "headers":{"https://b":{"Authorization":{"secret":"S"}}},
                "sigv4":{"https://a":{"secret":"K","region":"r"}},
                "dirs":[{"host":"x","guest":"/x","write":true},{"host":"y","guest":"/y"}],
                "env":{"A":"2","B":"1"}}"#,
        );
        let expected = [
            "HTTP requests to https://b",
            "TCP connections to c:1",
            "the header Authorization with a secret for https://b",
            "requests to https://a signed with a secret",
            "the directory x, to write, as /x",
            "the directory y, to read, as /y",
            "the variable A",
            "the variable B",
        ];
        assert_eq!(gains(&new, &old), expected);
    }
}
