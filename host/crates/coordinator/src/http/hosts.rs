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

/// The hosts by which this coordinator can be asked.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    listen: IpAddr,
    /// In lower case.
    names: Vec<String>,
}

impl Hosts {
    /// `listen` is the address that is listened on, `names` further hosts that
    /// clients use.
    pub(crate) fn new(listen: IpAddr, names: &[String]) -> Self {
        let lower = names.iter().map(|name| plain(name));
        Self {
            listen: listen.to_canonical(),
            names: lower.collect(),
        }
    }

    /// Refuses what a web page sends, and what is meant for another host. `local`
    /// is the address of this machine that the client has connected to.
    pub(super) fn check<T>(&self, request: &Request<T>, local: IpAddr) -> Result<(), Problem> {
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
        match hosts.iter().find(|host| !self.is_own(host, local)) {
            None => Ok(()),
            Some(host) => Err(refused(format!(
                "the embedded coordinator does not answer to the host {:?}: connect to it by its \
                 address, or name the host with --host (for a node, --coordinator-host)",
                without_port(host)
            ))),
        }
    }

    fn is_own(&self, authority: &str, local: IpAddr) -> bool {
        let host = plain(without_port(authority));
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
            Ok(ip) if ip.is_loopback() || ip == self.listen || ip == local => true,
            _ => LOOPBACK_NAMES.contains(&&*host) || self.names.contains(&host),
        }
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

    fn check(listen: &str, local: &str, head: &[(&str, &str)]) -> bool {
        let hosts = Hosts::new(listen.parse().unwrap(), &["Consul.internal".to_owned()]);
        let request = head
            .iter()
            .fold(Request::get("/v1/kv/a"), |request, (name, value)| {
                request.header(*name, *value)
            });
        let request = request.body(()).unwrap();
        hosts.check(&request, local.parse().unwrap()).is_ok()
    }

    #[test]
    fn only_its_own_hosts_are_answered() {
        for host in [
            "localhost:8500",
            "LOCALHOST",
            "localhost.:80",
            "127.0.0.1:8500",
            "127.9.9.9",
            "[::1]:8500",
            "[::1]",
            "[::ffff:127.0.0.1]:1",
            "10.0.0.5:8500",
            "10.0.0.6:8500",
            "consul.internal:8500",
        ] {
            assert!(check("10.0.0.5", "10.0.0.6", &[("host", host)]), "{host}");
        }
        for host in [
            "evil.example:8500",
            "evil.example",
            "10.0.0.7:8500",
            "0.0.0.0:8500",
            "localhost.evil.example:8500",
            "127.0.0.1.evil.example",
            "consul:8500",
            "evil.example:127.0.0.1",
            "user@localhost",
            "",
        ] {
            assert!(!check("10.0.0.5", "10.0.0.6", &[("host", host)]), "{host}");
        }
        let twice = [("host", "localhost"), ("host", "localhost")];
        assert!(!check("127.0.0.1", "127.0.0.1", &twice));
        // No browser leaves it out.
        assert!(check("127.0.0.1", "127.0.0.1", &[]));
        assert!(check("0.0.0.0", "127.0.0.1", &[("host", "0.0.0.0:8500")]));
    }

    #[test]
    fn no_web_page_is_answered() {
        let asked = |name, value| {
            let head = [("host", "localhost:8500"), (name, value)];
            check("127.0.0.1", "127.0.0.1", &head)
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
        let hosts = Hosts::new("127.0.0.1".parse().unwrap(), &[]);
        let check = |uri: &str| {
            let request = Request::get(uri).header("host", "localhost").body(());
            hosts
                .check(&request.unwrap(), "127.0.0.1".parse().unwrap())
                .is_ok()
        };
        assert!(check("http://127.0.0.1:8500/v1/kv/a"));
        assert!(!check("http://evil.example/v1/kv/a"));
    }
}
