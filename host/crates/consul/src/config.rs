//! How to reach Consul, as its own standard environment variables say.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use thiserror::Error;

/// How to reach an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The base URL, without a trailing slash.
    pub url: String,
    /// The host and the port of the URL, to find the route to it; `None` for a
    /// Unix socket.
    pub authority: Option<String>,
    /// The Unix socket, if the address is one.
    pub socket: Option<PathBuf>,
    /// The ACL token.
    pub token: Option<String>,
    /// User and password for HTTP basic authentication.
    pub basic: Option<(String, Option<String>)>,
    /// The name that the agent's certificate must have, if not the address's.
    pub server_name: Option<String>,
    /// PEM files of authorities to trust instead of the system's.
    pub ca: Vec<PathBuf>,
    /// PEM files of the client's certificate and key.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// Whether the agent's certificate is checked.
    pub verify: bool,
    /// The namespace, for Consul Enterprise.
    pub namespace: Option<String>,
}

/// A variable that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The value is not of the expected form.
    #[error("read the variable {name}: {value:?} is not {expected}")]
    Invalid {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// The expected form.
        expected: &'static str,
    },
    /// A file that the variable names cannot be read.
    #[error("read {}, which {name} names", .file.display())]
    File {
        /// The variable.
        name: &'static str,
        /// The file.
        file: PathBuf,
        /// The error of the file system.
        #[source]
        cause: std::io::Error,
    },
    /// Only one of a certificate and its key is given.
    #[error("use the variables CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY: only one of them is set")]
    HalfAPair,
}

impl Config {
    /// Reads the `CONSUL_*` variables of this process.
    ///
    /// # Errors
    /// Names the variable that cannot be used.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// Reads the variables from `get`.
    ///
    /// # Errors
    /// Names the variable that cannot be used.
    pub fn from_variables(
        get: impl Fn(&'static str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let get = |name| get(name).filter(|value| !value.is_empty());
        let address = get("CONSUL_HTTP_ADDR").unwrap_or_else(|| "127.0.0.1:8500".to_owned());
        let flag = |name: &'static str, default| match get(name) {
            None => Ok(default),
            Some(value) => parse_flag(&value).ok_or(ConfigError::Invalid {
                name,
                value,
                expected: "true or false",
            }),
        };
        let ssl = flag("CONSUL_HTTP_SSL", false)?;
        let (mut url, authority, socket) = locate(&address, ssl)?;
        let server_name = get("CONSUL_TLS_SERVER_NAME").filter(|_| url.starts_with("https:"));
        if let (Some(name), Some(authority)) = (&server_name, &authority) {
            // The client connects to this name, which resolves to the address.
            let port = authority.rsplit_once(':').map_or("443", |(_, port)| port);
            url = format!("https://{name}:{port}");
        }
        let client_certificate = match (get("CONSUL_CLIENT_CERT"), get("CONSUL_CLIENT_KEY")) {
            (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
            (None, None) => None,
            _ => return Err(ConfigError::HalfAPair),
        };
        let token = match get("CONSUL_HTTP_TOKEN_FILE") {
            Some(file) => Some(read_token(file.into())?),
            None => get("CONSUL_HTTP_TOKEN"),
        };
        let basic = get("CONSUL_HTTP_AUTH").map(|auth| match auth.split_once(':') {
            Some((user, password)) => (user.to_owned(), Some(password.to_owned())),
            None => (auth, None),
        });
        Ok(Self {
            url,
            authority,
            socket,
            token,
            basic,
            server_name,
            ca: authorities(get("CONSUL_CACERT"), get("CONSUL_CAPATH"))?,
            client_certificate,
            verify: flag("CONSUL_HTTP_SSL_VERIFY", true)?,
            namespace: get("CONSUL_NAMESPACE"),
        })
    }
}

impl Config {
    /// The loopback address at which the agent is reached, or would be in place
    /// of its Unix socket; `None` if it is on another address.
    #[must_use]
    pub fn loopback(&self) -> Option<IpAddr> {
        const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let Some(authority) = &self.authority else {
            return Some(LOCALHOST);
        };
        match authority.parse::<SocketAddr>() {
            Ok(address) => Some(address.ip()).filter(IpAddr::is_loopback),
            Err(_) => {
                let (host, _) = authority.rsplit_once(':')?;
                host.eq_ignore_ascii_case("localhost").then_some(LOCALHOST)
            }
        }
    }
}

type Location = (String, Option<String>, Option<PathBuf>);

fn locate(address: &str, ssl: bool) -> Result<Location, ConfigError> {
    let (scheme, rest) = match address.split_once("://") {
        Some(("unix", path)) => {
            return Ok(("http://localhost".to_owned(), None, Some(path.into())));
        }
        Some((scheme @ ("http" | "https"), rest)) => (scheme, rest),
        Some(_) => {
            return Err(ConfigError::Invalid {
                name: "CONSUL_HTTP_ADDR",
                value: address.to_owned(),
                expected: "host:port, http://host:port, https://host:port or unix:///path",
            });
        }
        None => ("http", address),
    };
    let scheme = if ssl { "https" } else { scheme };
    let rest = rest.trim_end_matches('/');
    let authority = rest.split('/').next().unwrap_or_default();
    // Consul's own clients accept an address without a host.
    let authority = if authority.starts_with(':') {
        format!("127.0.0.1{authority}")
    } else {
        authority.to_owned()
    };
    let path = rest
        .split_once('/')
        .map_or_else(String::new, |(_, path)| format!("/{path}"));
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let with_port = match (has_port, scheme) {
        (true, _) => authority.clone(),
        (false, "https") => format!("{authority}:443"),
        (false, _) => format!("{authority}:80"),
    };
    Ok((
        format!("{scheme}://{authority}{path}"),
        Some(with_port),
        None,
    ))
}

fn parse_flag(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "t" | "true" => Some(true),
        "0" | "f" | "false" => Some(false),
        _ => None,
    }
}

fn read_token(file: PathBuf) -> Result<String, ConfigError> {
    match std::fs::read_to_string(&file) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(cause) => Err(ConfigError::File {
            name: "CONSUL_HTTP_TOKEN_FILE",
            file,
            cause,
        }),
    }
}

fn authorities(file: Option<String>, folder: Option<String>) -> Result<Vec<PathBuf>, ConfigError> {
    if let Some(file) = file {
        return Ok(vec![file.into()]);
    }
    let Some(folder) = folder.map(PathBuf::from) else {
        return Ok(Vec::new());
    };
    let entries = std::fs::read_dir(&folder)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|cause| ConfigError::File {
            name: "CONSUL_CAPATH",
            file: folder,
            cause,
        })?;
    Ok(entries.into_iter().map(|entry| entry.path()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_variables(|name| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    fn url(address: &str) -> String {
        config(&[("CONSUL_HTTP_ADDR", address)]).unwrap().url
    }

    #[test]
    fn addresses_are_read_as_consul_reads_them() {
        assert_eq!(config(&[]).unwrap().url, "http://127.0.0.1:8500");
        assert_eq!(url("consul:8500"), "http://consul:8500");
        assert_eq!(url(":8500"), "http://127.0.0.1:8500");
        assert_eq!(
            url("https://consul.example.com/"),
            "https://consul.example.com"
        );
        let unix = config(&[("CONSUL_HTTP_ADDR", "unix:///run/consul.sock")]).unwrap();
        assert_eq!(unix.socket, Some("/run/consul.sock".into()));
        assert!(config(&[("CONSUL_HTTP_ADDR", "ftp://consul")]).is_err());
    }

    #[test]
    fn ssl_and_the_authority_behind_the_url() {
        let ssl = config(&[("CONSUL_HTTP_ADDR", "c:8501"), ("CONSUL_HTTP_SSL", "true")]).unwrap();
        assert_eq!(ssl.url, "https://c:8501");
        let port = config(&[("CONSUL_HTTP_ADDR", "https://c")]).unwrap();
        assert_eq!(port.authority.as_deref(), Some("c:443"));
        assert!(config(&[("CONSUL_HTTP_SSL", "yes")]).is_err());
    }

    #[test]
    fn an_agent_on_loopback_is_known_by_its_address() {
        let loopback = |address| {
            let config = config(&[("CONSUL_HTTP_ADDR", address)]).unwrap();
            config.loopback().map(|ip| ip.to_string())
        };
        for local in [
            "",
            "127.0.0.1:8500",
            "LocalHost:8500",
            "https://localhost",
            ":8500",
        ] {
            assert_eq!(loopback(local).as_deref(), Some("127.0.0.1"), "{local}");
        }
        assert_eq!(
            loopback("unix:///run/consul.sock").as_deref(),
            Some("127.0.0.1")
        );
        assert_eq!(
            loopback("http://127.0.0.2:8500/path").as_deref(),
            Some("127.0.0.2")
        );
        assert_eq!(loopback("[::1]:8500").as_deref(), Some("::1"));
        for other in [
            "consul:8500",
            "10.0.0.1:8500",
            "[2001:db8::1]:8500",
            "localhost.a:1",
        ] {
            assert_eq!(loopback(other), None, "{other}");
        }
    }

    #[test]
    fn a_certificate_needs_its_key() {
        assert!(matches!(
            config(&[("CONSUL_CLIENT_CERT", "a")]),
            Err(ConfigError::HalfAPair)
        ));
    }
}
