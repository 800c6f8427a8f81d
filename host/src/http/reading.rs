//! Who may read what a node knows of its clients (records, rejects, rates), and who
//! may change something.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::request::Parts;
use axum::http::uri::Authority;

use super::audited::{Action, address, refused};
use super::chosen::is_for;
use super::gate::{is_cross_site, is_of_other_origin};
use super::identity::identify;
use super::problem::Problem;
use sluice_access::{Access, Client, Scope};
use sluice_protocols::tokens::{Credentials, Protocol};
use sluice_types::host::Host;

/// What it is called in the audit log.
const READ: &str = "read";
/// What a proxy adds to a request. One on this machine would let everybody read, because
/// its requests come from here.
const OF_PROXIES: [&str; 3] = ["forwarded", "via", "x-real-ip"];
const OF_PROXIES_PREFIX: &str = "x-forwarded-";

/// Checks that a request may read from a stream. With `--tokens`, it needs a token
/// with that scope. Without, it must come from this machine and name this machine
/// as its host, and no proxy may have passed it on. A page of another site that a
/// browser on this machine shows fails the second, even if the site's name leads here.
/// Returns the client, with `--tokens`.
///
/// # Errors
/// [`Problem::Denied`] or [`Problem::Forbidden`], which say what to do.
pub(super) fn check(
    access: &Access,
    head: &Parts,
    stream: &str,
) -> Result<Option<Arc<Client>>, Problem> {
    is_for(stream, &head.headers)?;
    let forbidden = |text: &str| {
        refused(access, None, head, READ, text);
        Err(Problem::Forbidden(text.to_owned()))
    };
    // It could not see the answer, but make this node work.
    if is_cross_site(&head.headers) {
        return forbidden("a page of another site may not read this");
    }
    if access.has_scopes() {
        return with_scope(access, head, Scope::Read, (stream, READ)).map(Some);
    }
    let is_near = address(head).is_some_and(|client| client.to_canonical().is_loopback());
    match is_near && names_loopback(head) && !is_of_proxy(head) {
        true => Ok(None),
        false => forbidden(
            "without --tokens, this may only be read on the node's own machine, by a loopback \
             address such as http://127.0.0.1:3000 or the name localhost, and not through a \
             proxy; log in there, or forward the port with ssh -L 3000:127.0.0.1:3000",
        ),
    }
}

/// Checks that a request may do this action on a stream: it needs a token with the
/// scope `admin`, and no page of another origin may send it, whatever `--allow-origin`
/// says of records.
///
/// # Errors
/// [`Problem::Denied`] or [`Problem::Forbidden`], which say what to do.
pub(super) fn check_admin(
    access: &Arc<Access>,
    head: &Parts,
    stream: &str,
    what: &str,
) -> Result<Action, Problem> {
    is_for(stream, &head.headers)?;
    let forbidden = |text: &str| {
        refused(access, None, head, what, text);
        Err(Problem::Forbidden(text.to_owned()))
    };
    if is_of_other_origin(&head.headers) {
        return forbidden("a page of another site may not do this");
    }
    if !access.has_scopes() {
        return forbidden(
            "actions need a token with the scope admin, and this node has no --tokens",
        );
    }
    let client = with_scope(access, head, Scope::Admin, (stream, what))?;
    let who = client.name().to_string();
    Ok(Action::begin(access, who, address(head), what))
}

/// The client that sends the request.
fn with_scope(
    access: &Access,
    head: &Parts,
    scope: Scope,
    (stream, what): (&str, &str),
) -> Result<Arc<Client>, Problem> {
    let given = head.headers.get(AUTHORIZATION);
    let credentials = Credentials {
        authorization: given.map(|value| value.to_str().unwrap_or_default()),
        ..Credentials::default()
    };
    let names = head.extensions.get().cloned().unwrap_or_default();
    let protocol = Protocol::Native;
    let client = identify(access, protocol, &credentials, &names, scope, stream);
    client.map_err(|refusal| {
        refused(access, refusal.client(), head, what, refusal.to_string());
        Problem::Denied(refusal)
    })
}

fn is_of_proxy(head: &Parts) -> bool {
    let mut names = head.headers.keys().map(|name| name.as_str());
    names.any(|name| OF_PROXIES.contains(&name) || name.starts_with(OF_PROXIES_PREFIX))
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
    use crate::http::client_address::ClientAddress;
    use axum::http::Request;
    use sluice_access::{Audit, Tokens};

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
        let access = Access::without_file(Tokens::default(), Audit::discarded());
        check(&access, &head, "default").is_ok()
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
    fn no_proxy_on_this_machine_reads_for_others() {
        for (name, is_read) in [
            ("forwarded", false),
            ("Via", false),
            ("X-Forwarded-For", false),
            ("x-forwarded-host", false),
            ("x-real-ip", false),
            ("x-forward", true),
        ] {
            let request = Request::builder().uri("/a").header(HOST, "localhost");
            let request = request.header(name, "10.0.0.7").body(()).unwrap();
            let (mut head, ()) = request.into_parts();
            let near = "127.0.0.1".parse().unwrap();
            head.extensions.insert(ClientAddress(near));
            let access = Access::without_file(Tokens::default(), Audit::discarded());
            assert_eq!(check(&access, &head, "default").is_ok(), is_read, "{name}");
        }
    }

    #[test]
    fn no_page_of_another_site_reads() {
        for (site, is_read) in [("same-origin", true), ("none", true), ("cross-site", false)] {
            let request = Request::builder().uri("/a").header(HOST, "localhost");
            let request = request.header("sec-fetch-site", site).body(()).unwrap();
            let (mut head, ()) = request.into_parts();
            let near = "127.0.0.1".parse().unwrap();
            head.extensions.insert(ClientAddress(near));
            let access = Access::without_file(Tokens::default(), Audit::discarded());
            let read = check(&access, &head, "default");
            assert_eq!(read.is_ok(), is_read, "{site}");
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

    #[test]
    fn with_a_file_of_tokens_only_their_scopes_count() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens.toml");
        // The digests of "reads" and "rules".
        let client = |name: &str, scope: &str, digest: &str| {
            format!("[[token]]\nname = \"{name}\"\nsha256 = \"{digest}\"\nscopes = [\"{scope}\"]\n")
        };
        let digest = |token: &str| hex::encode(<sha2::Sha256 as sha2::Digest>::digest(token));
        let content =
            client("r", "read", &digest("reads")) + &client("a", "admin", &digest("rules"));
        std::fs::write(&file, content).unwrap();
        let config = sluice_access::AccessConfig {
            tokens: Some(file),
            ..Default::default()
        };
        let (access, _keeper) = config.build().unwrap();
        let access = Arc::new(access);
        let head = |token: Option<&str>| {
            let mut request = Request::builder().uri("/a").header(HOST, "localhost");
            if let Some(token) = token {
                request = request.header(AUTHORIZATION, format!("Bearer {token}"));
            }
            let (mut head, ()) = request.body(()).unwrap().into_parts();
            head.extensions.insert(ClientAddress([127, 0, 0, 1].into()));
            head
        };
        for (token, may_read, may_act) in [
            (Some("reads"), true, false),
            (Some("rules"), false, true),
            (Some("other"), false, false),
            (None, false, false),
        ] {
            let head = head(token);
            let reads = check(&access, &head, "default").is_ok();
            let acts = check_admin(&access, &head, "default", "step down").is_ok();
            assert_eq!((reads, acts), (may_read, may_act), "{token:?}");
        }
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("origin", "https://app.example.com"),
        ] {
            let mut head = head(Some("rules"));
            head.headers.insert(name, value.parse().unwrap());
            let acts = check_admin(&access, &head, "default", "step down");
            assert!(acts.is_err(), "{name}");
        }
    }
}
