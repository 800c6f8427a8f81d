//! The manifest's `config` for this sink, and the `permissions` that it needs.

use std::io;
use std::num::NonZero;

use serde::Deserialize;
use sluice_sink::Failure;

/// The longest file name in bytes. Rotation adds 31 bytes for the time, and file
/// systems take names of 255.
const MAX_NAME: usize = 220;

const EXAMPLE: &str = "a path such as \"/logs/messages.ndjson\"";

/// The config object.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The file's path inside the sandbox.
    pub(crate) path: String,
    #[serde(default = "default_max_mib")]
    max_mib: NonZero<u64>,
}

const fn default_max_mib() -> NonZero<u64> {
    NonZero::<u64>::MIN.saturating_add(63)
}

/// The location of the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The index of the permitted directory.
    pub(crate) directory: usize,
    /// The folder below that directory, without a slash at either end; empty
    /// for the directory itself.
    pub(crate) below: String,
    /// The file's name in that folder.
    pub(crate) name: String,
}

impl Config {
    /// Checks what the types do not.
    ///
    /// # Errors
    /// What is wrong with the path, for the author of the manifest.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.check_path()
            .map_err(|wrong| Failure::config("path", format!("{wrong}; expected {EXAMPLE}")))
    }

    fn check_path(&self) -> Result<(), String> {
        let path = &self.path;
        if !path.starts_with('/') {
            return Err(format!("{path:?} does not start with a slash"));
        }
        if path.contains('\0') || path.split('/').any(|name| name == "..") {
            return Err(format!("{path:?} contains '..' or a zero byte"));
        }
        if path.ends_with('/') || path.ends_with("/.") {
            return Err(format!("{path:?} names no file"));
        }
        let (_, name) = self.split();
        if name.len() > MAX_NAME {
            return Err(format!(
                "the file name has {} bytes; at most {MAX_NAME} are allowed",
                name.len()
            ));
        }
        Ok(())
    }

    /// The names of the folders, and that of the file.
    fn split(&self) -> (Vec<&str>, &str) {
        let mut names = names(&self.path);
        let name = names.pop().unwrap_or_default();
        (names, name)
    }

    /// The size at which the file is rotated.
    pub(crate) const fn max_bytes(&self) -> u64 {
        self.max_mib.get().saturating_mul(1 << 20)
    }

    /// Finds the permitted directory of the file, by the directories' paths
    /// inside the sandbox. Of several, the innermost one counts.
    ///
    /// # Errors
    /// The file is in none of them. The error shows the missing entry.
    pub(crate) fn place(&self, guests: &[&str]) -> Result<Place, String> {
        let (folder, name) = self.split();
        let (directory, below) = guests
            .iter()
            .map(|guest| folder.strip_prefix(names(guest).as_slice()))
            .enumerate()
            .filter_map(|(directory, below)| Some((directory, below?)))
            .min_by_key(|(_, below)| below.len())
            .ok_or_else(|| self.not_permitted(guests))?;
        Ok(Place {
            directory,
            below: below.join("/"),
            name: name.to_owned(),
        })
    }

    fn not_permitted(&self, guests: &[&str]) -> String {
        let permitted = if guests.is_empty() {
            "none".to_owned()
        } else {
            guests.join(", ")
        };
        format!(
            "config.path: {:?} is in no directory that the manifest permits (it permits \
             {permitted}); permissions.dirs lacks an entry for {}: {}",
            self.path,
            self.folder(),
            self.example()
        )
    }

    /// Says what to do about an error for which [`is_mistake`] is true.
    pub(crate) fn explain(&self, error: &io::Error) -> String {
        let folder = self.folder();
        let advice = match error.kind() {
            io::ErrorKind::PermissionDenied => format!(
                "the manifest must permit writing in {folder}: {}; and the node's user must be \
                 allowed to write to that directory on the host, with no symbolic link leading \
                 out of it",
                self.example()
            ),
            io::ErrorKind::NotFound => format!(
                "there is no directory {folder}: create it on the host, or permit it by an entry of \
                 its own, for which it is created: {}",
                self.example()
            ),
            _ => format!("config.path must name a file: expected {EXAMPLE}"),
        };
        format!("{}: {error}; {advice}", self.path)
    }

    fn folder(&self) -> String {
        format!("/{}", self.split().0.join("/"))
    }

    /// The permission that the file needs, as the manifest would say it.
    fn example(&self) -> String {
        let host = self.split().0.pop().unwrap_or("logs");
        format!(
            r#""permissions": {{"dirs": [{{"host": {host:?}, "guest": {:?}, "write": true}}]}}"#,
            self.folder()
        )
    }
}

fn names(path: &str) -> Vec<&str> {
    path.split('/')
        .filter(|name| !name.is_empty() && *name != ".")
        .collect()
}

/// Whether the manifest or the host has to be changed after this error of the
/// first opening. Other errors can be temporary.
pub(crate) fn is_mistake(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidFilename
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sink::testing::config;

    fn parse(text: &str) -> Result<Config, Failure> {
        let config: Config = config(text)?;
        config.check()?;
        Ok(config)
    }

    fn at(path: &str) -> Config {
        parse(&format!(r#"{{"path":{path:?}}}"#)).unwrap()
    }

    #[test]
    fn the_size_has_a_default() {
        assert_eq!(at("/logs/a").max_bytes(), 64 << 20);
        let small = parse(r#"{"path":"/logs/a","max_mib":1}"#).unwrap();
        assert_eq!(small.max_bytes(), 1 << 20);
        let large = parse(r#"{"path":"/logs/a","max_mib":18446744073709551615}"#);
        assert_eq!(large.unwrap().max_bytes(), u64::MAX);
    }

    #[test]
    fn an_error_names_the_field_and_what_is_expected() {
        let long = format!(r#"{{"path":"/logs/{}"}}"#, "x".repeat(MAX_NAME + 1));
        for (text, field, named) in [
            ("", "config: ", "missing field `path`"),
            ("{}", "config: ", "missing field `path`"),
            ("null", "config: ", "invalid type"),
            (
                r#"{"path":"/logs/a","max":1}"#,
                "config: ",
                "`path` or `max_mib`",
            ),
            (
                r#"{"path":"/logs/a","max_mib":0}"#,
                "config.max_mib: ",
                "nonzero",
            ),
            (
                r#"{"path":"/logs/a","max_mib":-1}"#,
                "config.max_mib: ",
                "-1",
            ),
            (
                r#"{"path":"/logs/a","max_mib":"64"}"#,
                "config.max_mib: ",
                "\"64\"",
            ),
            (r#"{"path":7}"#, "config.path: ", "7"),
            (r#"{"path":""}"#, "config.path: ", "start with a slash"),
            (
                r#"{"path":"logs/a"}"#,
                "config.path: ",
                "start with a slash",
            ),
            (r#"{"path":"/logs/../a"}"#, "config.path: ", "'..'"),
            (r#"{"path":"/logs/a\u0000"}"#, "config.path: ", "zero byte"),
            (r#"{"path":"/"}"#, "config.path: ", "names no file"),
            (r#"{"path":"/logs/"}"#, "config.path: ", "names no file"),
            (r#"{"path":"/logs/."}"#, "config.path: ", "names no file"),
            (&long, "config.path: ", "221 bytes"),
        ] {
            let error = parse(text).unwrap_err();
            let reason = error.reason();
            assert!(reason.starts_with(field), "{text}: {reason}");
            assert!(reason.contains(named), "{text}: {reason}");
        }
    }

    #[test]
    fn the_innermost_permitted_directory_counts() {
        let place = |path: &str, guests: &[&str]| {
            let Place {
                directory,
                below,
                name,
            } = at(path).place(guests).unwrap();
            (directory, below, name)
        };
        let found =
            |directory, below: &str, name: &str| (directory, below.to_owned(), name.to_owned());
        assert_eq!(place("/logs/a.b", &["/logs"]), found(0, "", "a.b"));
        assert_eq!(place("//logs/./a", &["/x", "/logs/"]), found(1, "", "a"));
        assert_eq!(place("/logs/x/y/a", &["/logs"]), found(0, "x/y", "a"));
        assert_eq!(
            place("/logs/x/y/a", &["/logs", "/logs/x", "/"]),
            found(1, "y", "a")
        );
        assert_eq!(place("/a", &["/"]), found(0, "", "a"));
    }

    #[test]
    fn an_error_shows_the_missing_permission() {
        let config = at("/var/audit/a.ndjson");
        let none = config.place(&[]).unwrap_err();
        assert!(none.contains("permits none"), "{none}");
        assert!(
            none.contains(r#"{"dirs": [{"host": "audit", "guest": "/var/audit", "write": true}]}"#),
            "{none}"
        );
        let others = config.place(&["/var/aud", "/logs"]).unwrap_err();
        assert!(others.contains("permits /var/aud, /logs"), "{others}");
        let root = at("/a").place(&["/logs"]).unwrap_err();
        assert!(root.contains(r#""guest": "/", "#), "{root}");
    }

    #[test]
    fn an_error_of_the_first_opening_says_what_to_do() {
        let config = at("/logs/a");
        let denied = config.explain(&io::ErrorKind::PermissionDenied.into());
        assert!(
            denied.contains(r#""guest": "/logs", "write": true"#),
            "{denied}"
        );
        let missing = config.explain(&io::ErrorKind::NotFound.into());
        assert!(missing.contains("no directory /logs"), "{missing}");
        let directory = config.explain(&io::ErrorKind::IsADirectory.into());
        assert!(directory.contains("name a file"), "{directory}");
        assert!(!is_mistake(&io::ErrorKind::StorageFull.into()));
    }
}
