//! What the manifest's `config` may say to this sink, and what its
//! `permissions` must say with it.

use std::io;

use serde::Deserialize;

/// Rotation adds 31 bytes of time, and file systems take names of 255.
const LONGEST_NAME: usize = 220;

/// The config object.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The file, as the sink knows it.
    pub(crate) path: String,
    #[serde(default = "default_max_mib")]
    max_mib: u64,
}

const fn default_max_mib() -> u64 {
    64
}

/// Where the file lies.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which of the permitted directories.
    pub(crate) directory: usize,
    /// The folder below that directory, without a slash at either end; empty
    /// for the directory itself.
    pub(crate) below: String,
    /// The file's name in that folder.
    pub(crate) name: String,
}

impl Config {
    /// Reads the JSON text that `open` is given.
    ///
    /// # Errors
    /// What is wrong with the text, in words for whoever wrote the manifest.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        // No config at all should read as the field that is missing.
        let text = if text.trim().is_empty() { "{}" } else { text };
        let config: Self = serde_json::from_str(text).map_err(|error| mistake(&error))?;
        config.check().map_err(mistake)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let Self { path, max_mib } = self;
        if *max_mib == 0 {
            return Err("max_mib is 0, and must be at least 1".to_owned());
        }
        if !path.starts_with('/') {
            return Err(format!("path {path:?} does not begin with a slash"));
        }
        if path.contains('\0') || path.split('/').any(|name| name == "..") {
            return Err(format!("path {path:?} holds a '..' or a zero byte"));
        }
        if path.ends_with('/') || path.ends_with("/.") {
            return Err(format!("path {path:?} names no file"));
        }
        let (_, name) = self.split();
        if name.len() > LONGEST_NAME {
            return Err(format!(
                "the file name in path has {} bytes, and may have {LONGEST_NAME}",
                name.len()
            ));
        }
        Ok(())
    }

    /// The names on the way to the file, and its own.
    fn split(&self) -> (Vec<&str>, &str) {
        let mut names = names(&self.path);
        let name = names.pop().unwrap_or_default();
        (names, name)
    }

    /// How large the file may get.
    pub(crate) const fn max_bytes(&self) -> u64 {
        self.max_mib.saturating_mul(1 << 20)
    }

    /// Finds the file in the permitted directories, given by the names that
    /// the sink knows them by; the nearest one counts.
    ///
    /// # Errors
    /// If it lies in none, the entry that the manifest lacks.
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
            "config: path {:?} is in no directory that the manifest permits (it permits \
             {permitted}); permissions.dirs lacks an entry for {}: {}",
            self.path,
            self.folder(),
            self.example()
        )
    }

    /// What to do about an error that [`is_mistake`] calls one.
    pub(crate) fn explain(&self, error: &io::Error) -> String {
        let folder = self.folder();
        let advice = match error.kind() {
            io::ErrorKind::PermissionDenied => format!(
                "the manifest must permit writing in {folder}: {}; and the node's user must be \
                 allowed to write in that directory of the host, with no link leading out of it",
                self.example()
            ),
            io::ErrorKind::NotFound => format!(
                "there is no directory {folder}: make it on the host, or permit it as one of its \
                 own, which is made if it is missing: {}",
                self.example()
            ),
            _ => "config: path must name a file, for example \"/logs/messages.ndjson\"".to_owned(),
        };
        format!("{}: {error}; {advice}", self.path)
    }

    /// The folder of the file.
    fn folder(&self) -> String {
        format!("/{}", self.split().0.join("/"))
    }

    /// The permission that the file needs.
    fn example(&self) -> String {
        let host = self.split().0.pop().unwrap_or("logs");
        format!(
            r#""permissions": {{"dirs": [{{"host": {host:?}, "guest": {:?}, "write": true}}]}}"#,
            self.folder()
        )
    }
}

fn mistake(what: impl std::fmt::Display) -> String {
    format!(
        "config: {what}; expected {{\"path\": \"/logs/messages.ndjson\", \"max_mib\": 64}}, where \
         max_mib may be left out"
    )
}

fn names(path: &str) -> Vec<&str> {
    path.split('/')
        .filter(|name| !name.is_empty() && *name != ".")
        .collect()
}

/// Whether an error of the first opening is the manifest's or the node's
/// owner's to mend; anything else may pass.
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

    fn at(path: &str) -> Config {
        Config::parse(&format!(r#"{{"path":{path:?}}}"#)).unwrap()
    }

    #[test]
    fn the_size_has_a_default() {
        assert_eq!(at("/logs/a").max_bytes(), 64 << 20);
        let config = Config::parse(r#"{"path":"/logs/a","max_mib":1}"#).unwrap();
        assert_eq!(config.max_bytes(), 1 << 20);
        let config = Config::parse(r#"{"path":"/logs/a","max_mib":18446744073709551615}"#);
        assert_eq!(config.unwrap().max_bytes(), u64::MAX);
    }

    #[test]
    fn mistakes_are_named_with_what_to_write() {
        let long = format!(r#"{{"path":"/logs/{}"}}"#, "x".repeat(LONGEST_NAME + 1));
        for (config, named) in [
            ("", "missing field `path`"),
            ("{}", "missing field `path`"),
            ("null", "invalid type"),
            (r#"{"path":"/logs/a","max":1}"#, "unknown field `max`"),
            (r#"{"path":"/logs/a","max_mib":0}"#, "at least 1"),
            (r#"{"path":"/logs/a","max_mib":-1}"#, "-1"),
            (r#"{"path":"/logs/a","max_mib":"64"}"#, "\"64\""),
            (r#"{"path":7}"#, "7"),
            (r#"{"path":""}"#, "begin with a slash"),
            (r#"{"path":"logs/a"}"#, "begin with a slash"),
            (r#"{"path":"/logs/../a"}"#, "'..'"),
            (r#"{"path":"/logs/a\u0000"}"#, "zero byte"),
            (r#"{"path":"/"}"#, "names no file"),
            (r#"{"path":"/logs/"}"#, "names no file"),
            (r#"{"path":"/logs/."}"#, "names no file"),
            (&long, "221 bytes"),
        ] {
            let error = Config::parse(config).unwrap_err();
            assert!(error.contains(named), "{config}: {error}");
            assert!(
                error.contains(r#"{"path": "/logs/messages.ndjson""#),
                "{error}"
            );
        }
    }

    #[test]
    fn the_nearest_permitted_directory_counts() {
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
    fn a_missing_permission_is_shown_as_it_should_be_written() {
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
    fn errors_of_the_first_opening_say_what_to_do() {
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
