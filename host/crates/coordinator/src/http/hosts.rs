//! Keeps web pages away. A page that a browser on this machine shows can send
//! requests here, and, if its own name is made to lead here (DNS rebinding), also
//! read the answers. Its requests name it as their origin, or its name as their
//! host.

use std::net::IpAddr;

use hyper::header::{HOST, HeaderName, ORIGIN};
use hyper::{HeaderMap, Request, StatusCode};

use super::problem::Problem;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Names that lead to this machine wherever they are looked up.
const LOOPBACK_NAMES: [&str; 3] = ["localhost", "ip6-localhost", "ip6-loopback"];

/// The names by which this coordinator can be asked. It can be asked by any
/// address: what a browser asks by an address is that machine, or what stands
/// before it, and no page can make an address lead elsewhere as it can a name.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    /// In lower case.
    names: Vec<String>,
}

impl Hosts {
    /// `names` are names that clients use besides those of loopback.
    pub(crate) fn new(names: &[String]) -> Self {
        let names = names.iter().map(|name| plain(without_port(name)));
        Self {
            names: names.collect(),
        }
    }

    /// Refuses what a web page sends, and what names another host.
    pub(super) fn check<T>(&self, request: &Request<T>) -> Result<(), Problem> {
        let headers = request.headers();
        refuse_pages(headers)?;
        let mut hosts = Vec::new();
        for host in headers.get_all(HOST) {
            let text = host.to_str();
            hosts.push(text.map_err(|_| Problem::bad_request("the header Host is not plain"))?);
        }
        if hosts.len() > 1 {
            return Err(Problem::bad_request("the header Host is repeated"));
        }
        // A proxy's request names its host in the first line too.
        hosts.extend(
            request
                .uri()
                .authority()
                .map(|authority| authority.as_str()),
        );
        match hosts.iter().find(|host| !self.is_own(host)) {
            None => Ok(()),
            Some(host) => Err(refused(format!(
                "the embedded coordinator does not answer to the host {:?}: connect to it by its \
                 address, or name the host with --host (for a node, --coordinator-host)",
                without_port(host)
            ))),
        }
    }

    fn is_own(&self, authority: &str) -> bool {
        let host = plain(without_port(authority));
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<IpAddr>().is_ok()
            || LOOPBACK_NAMES.contains(&&*host)
            || self.names.contains(&host)
    }
}

/// Refuses requests that a browser marks as sent by a page. Only a page's own
/// reads carry no such mark, and those name the page's host.
fn refuse_pages(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.contains_key(ORIGIN) {
        return Err(refused(
            "the embedded coordinator answers no request with an Origin",
        ));
    }
    let mut sites = headers.get_all(SEC_FETCH_SITE).into_iter();
    match sites.all(|site| site == "none") {
        true => Ok(()),
        false => Err(refused(
            "the embedded coordinator answers no request of a web page",
        )),
    }
}

fn refused(text: impl Into<String>) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, text)
}

fn plain(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// The host of `host:port` or `[::1]:port`.
fn without_port(authority: &str) -> &str {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    match authority.rsplit_once(':') {
        Some((host, port)) if is_port(port) && (!host.contains(':') || host.ends_with(']')) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &[(&str, &str)]) -> bool {
        let names = ["Consul.internal", "coordinator:8500"].map(str::to_owned);
        let hosts = Hosts::new(&names);
        let request = head
            .iter()
            .fold(Request::get("/v1/kv/a"), |request, (name, value)| {
                request.header(*name, *value)
            });
        hosts.check(&request.body(()).unwrap()).is_ok()
    }

    #[test]
    fn only_addresses_and_its_own_names_are_answered() {
        for host in [
            "localhost:8500",
            "LOCALHOST",
            "localhost.:80",
            "127.0.0.1:8500",
            "127.9.9.9",
            "[::1]:8500",
            "[::1]",
            "[::ffff:127.0.0.1]:1",
            "[fe80::1]:8500",
            // By another address than the one that is connected to: published
            // ports of containers, and gateways.
            "10.0.0.7:8500",
            "0.0.0.0:8500",
            "consul.internal:8500",
            "coordinator",
        ] {
            assert!(check(&[("host", host)]), "{host}");
        }
        for host in [
            "evil.example:8500",
            "evil.example",
            "localhost.evil.example:8500",
            "127.0.0.1.evil.example",
            "127.0.0.1.nip.io",
            "consul:8500",
            "evil.example:127.0.0.1",
            "user@localhost",
            "user@127.0.0.1",
            "",
        ] {
            assert!(!check(&[("host", host)]), "{host}");
        }
        assert!(!check(&[("host", "localhost"), ("host", "localhost")]));
        // No browser leaves it out.
        assert!(check(&[]));
    }

    #[test]
    fn no_web_page_is_answered() {
        let asked = |name, value| {
            let head = [("host", "localhost:8500"), (name, value)];
            check(&head)
        };
        for origin in ["http://evil.example", "http://localhost:8500", "null", ""] {
            assert!(!asked("origin", origin), "{origin}");
        }
        for site in ["cross-site", "same-site", "same-origin"] {
            assert!(!asked("sec-fetch-site", site), "{site}");
        }
        // Somebody typed the address.
        assert!(asked("sec-fetch-site", "none"));
    }

    #[test]
    fn a_request_in_absolute_form_is_held_to_its_first_line() {
        let hosts = Hosts::new(&[]);
        let check = |uri: &str| {
            let request = Request::get(uri).header("host", "localhost").body(());
            hosts.check(&request.unwrap()).is_ok()
        };
        assert!(check("http://127.0.0.1:8500/v1/kv/a"));
        assert!(!check("http://evil.example/v1/kv/a"));
    }
}
