//! Who may read what a node knows of its clients: records, rejects, rates.

use std::net::IpAddr;

use axum::http::header::HOST;
use axum::http::request::Parts;
use axum::http::uri::Authority;

use super::client_address::ClientAddress;
use super::gate::is_cross_site;
use super::problem::Problem;
use sluice_types::host::Host;

/// Checks that a request may read: it comes from this machine and names this
/// machine as its host. A page of another site that a browser on this machine
/// shows fails the second, even if the site's name leads here.
///
/// # Errors
/// [`Problem::Forbidden`], which says what to do.
pub(super) fn check(head: &Parts) -> Result<(), Problem> {
    // It could not see the answer, but make this node work.
    if is_cross_site(&head.headers) {
        let text = "a page of another site may not read this";
        return Err(Problem::Forbidden(text.to_owned()));
    }
    let client = head.extensions.get();
    let is_near = client.is_some_and(|ClientAddress(client)| client.to_canonical().is_loopback());
    match is_near && names_loopback(head) {
        true => Ok(()),
        false => Err(Problem::Forbidden(
            "this may only be read on the node's own machine, by a loopback address such as \
             http://127.0.0.1:3000 or the name localhost; log in there, or forward the port with \
             ssh -L 3000:127.0.0.1:3000"
                .to_owned(),
        )),
    }
}

/// Checks that a request may change something. There is no way to yet: an action
/// needs a token, so that no page of another site and no other user of this machine
/// can act by the address alone.
///
/// # Errors
/// [`Problem::Forbidden`], which says what is missing.
pub(super) fn check_admin(_head: &Parts) -> Result<(), Problem> {
    Err(Problem::Forbidden(
        "actions need a token of scope admin in --tokens, which this version does not have yet; \
         use the command line: sluice dlq, sluice plugin rollback, sluice step-down"
            .to_owned(),
    ))
}

/// Whether the request was sent to an address or name of this machine alone.
/// HTTP/2 has it in the target, HTTP/1.1 in one header `Host`.
fn names_loopback(head: &Parts) -> bool {
    let mut given = head.headers.get_all(HOST).iter();
    let header = match (given.next(), given.next()) {
        (Some(host), None) => host.to_str().ok().and_then(|host| host.parse().ok()),
        _ => None,
    };
    let is_loopback = |authority: &Authority| match authority.host().parse() {
        Ok(Host::Address(address)) => IpAddr::is_loopback(&address),
        Ok(Host::Name(name)) => name == "localhost",
        Err(_) => false,
    };
    match (head.uri.authority(), head.headers.contains_key(HOST)) {
        (Some(target), false) => is_loopback(target),
        (Some(target), true) => is_loopback(target) && header.as_ref().is_some_and(is_loopback),
        (None, _) => header.as_ref().is_some_and(is_loopback),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn may_read(client: Option<&str>, target: &str, hosts: &[&str]) -> bool {
        let mut request = Request::builder().uri(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        if let Some(client) = client {
            head.extensions
                .insert(ClientAddress(client.parse().unwrap()));
        }
        check(&head).is_ok()
    }

    #[test]
    fn only_this_machine_reads_by_a_name_of_its_own() {
        let near = Some("127.0.0.1");
        for host in [
            "127.0.0.1:3000",
            "127.8.9.1",
            "localhost",
            "LocalHost:3000",
            "[::1]:3000",
        ] {
            assert!(may_read(near, "/a", &[host]), "{host}");
            assert!(may_read(Some("::1"), "/a", &[host]), "{host}");
            assert!(may_read(Some("::ffff:127.0.0.1"), "/a", &[host]), "{host}");
            assert!(!may_read(Some("10.0.0.1"), "/a", &[host]), "{host}");
            assert!(!may_read(None, "/a", &[host]), "{host}");
        }
        for host in [
            "node.example.com:3000",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "10.0.0.1:3000",
            "user@127.0.0.1@evil.example.com",
            "0.0.0.0",
            "",
        ] {
            assert!(!may_read(near, "/a", &[host]), "{host}");
        }
        assert!(!may_read(near, "/a", &[]));
        assert!(!may_read(near, "/a", &["localhost", "localhost"]));
    }

    #[test]
    fn no_page_of_another_site_reads() {
        for (site, is_read) in [("same-origin", true), ("none", true), ("cross-site", false)] {
            let request = Request::builder().uri("/a").header(HOST, "localhost");
            let request = request.header("sec-fetch-site", site).body(()).unwrap();
            let (mut head, ()) = request.into_parts();
            let near = "127.0.0.1".parse().unwrap();
            head.extensions.insert(ClientAddress(near));
            assert_eq!(check(&head).is_ok(), is_read, "{site}");
        }
    }

    #[test]
    fn a_host_in_the_target_counts_too() {
        let near = Some("127.0.0.1");
        assert!(may_read(near, "http://localhost:3000/a", &[]));
        assert!(!may_read(near, "http://evil.example.com/a", &[]));
        assert!(!may_read(near, "http://evil.example.com/a", &["localhost"]));
        assert!(!may_read(near, "http://localhost/a", &["evil.example.com"]));
        assert!(may_read(near, "http://localhost/a", &["localhost"]));
    }
}
