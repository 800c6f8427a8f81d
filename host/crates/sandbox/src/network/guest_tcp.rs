//! The TCP connections of one instance, and the names that it looks up for them.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use sluice_types::endpoint::Endpoint;
use sluice_types::host::{Host, MAX_NAME};
use sluice_types::readable;
use wasmtime_wasi::sockets::SocketAddrUse;

use crate::refusals::{Refused, SinkRefusals};

use super::ceiling::Allowed;
use super::resolve::Resolve;

/// The most addresses that are remembered of what an instance looked up. It is
/// more than eight of each destination that a manifest can list.
const MAX_FOUND: usize = 1024;

/// What one instance may connect to.
#[derive(Clone)]
pub(crate) struct GuestTcp(Arc<Shared>);

struct Shared {
    /// What the manifest lists.
    endpoints: Vec<Endpoint>,
    /// What the node allows.
    allowed: Arc<Allowed<Endpoint>>,
    resolver: Arc<dyn Resolve>,
    refusals: SinkRefusals,
    /// The addresses that names stood for when they were looked up, and that may
    /// be connected to; the oldest first.
    found: Mutex<VecDeque<SocketAddr>>,
}

/// Why a name is not looked up, or has no addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAddress {
    Denied,
    Unknown,
    Later,
}

impl GuestTcp {
    pub(super) fn new(
        endpoints: Vec<Endpoint>,
        allowed: Arc<Allowed<Endpoint>>,
        resolver: Arc<dyn Resolve>,
        refusals: SinkRefusals,
    ) -> Self {
        Self(Arc::new(Shared {
            endpoints,
            allowed,
            resolver,
            refusals,
            found: Mutex::default(),
        }))
    }

    /// Whether a socket may be used so.
    pub(crate) fn may_use(&self, address: SocketAddr, purpose: SocketAddrUse) -> bool {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let may = match purpose {
            // Before each connection, to any free port.
            SocketAddrUse::TcpBind => address.ip().is_unspecified() && address.port() == 0,
            SocketAddrUse::TcpConnect => self.may_connect(address),
            _ => false,
        };
        if !may {
            let why = match purpose {
                SocketAddrUse::TcpConnect => {
                    "permissions.tcp must list it, and --allow-tcp too unless the address is public"
                }
                _ => "sinks connect, and do nothing else with sockets",
            };
            self.refuse(Refused::Tcp, &address.to_string(), why);
        }
        may
    }

    fn may_connect(&self, address: SocketAddr) -> bool {
        let found = self.0.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.contains(&address) {
            return true;
        }
        let host = Host::Address(address.ip());
        let mut listed = self.of_host(&host);
        listed.any(|endpoint| endpoint.port() == address.port() && self.reaches(endpoint, address))
    }

    fn of_host<'a>(&'a self, host: &'a Host) -> impl Iterator<Item = &'a Endpoint> {
        let endpoints = self.0.endpoints.iter();
        endpoints.filter(move |endpoint| endpoint.host() == host)
    }

    /// Whether the node allows this address of the endpoint.
    fn reaches(&self, endpoint: &Endpoint, address: SocketAddr) -> bool {
        let reach = self.0.allowed.reach(endpoint);
        reach.is_some_and(|reach| reach.includes(address.ip()))
    }

    /// The addresses of a host that the manifest lists. An address needs no
    /// look-up, and is checked when it is connected to.
    pub(crate) async fn look_up(self, name: String) -> Result<Vec<IpAddr>, NoAddress> {
        if let Ok(address) = name.parse() {
            return Ok(vec![address]);
        }
        let host = name.parse::<Host>().ok();
        let listed = host.and_then(|host| {
            let endpoints: Vec<_> = self.of_host(&host).cloned().collect();
            (!endpoints.is_empty()).then_some((host, endpoints))
        });
        let Some((host, endpoints)) = listed else {
            let why = "permissions.tcp of its manifest does not list this name";
            self.refuse(Refused::Lookup, &readable::line(&name, MAX_NAME), why);
            return Err(NoAddress::Denied);
        };
        let resolving = self.0.resolver.resolve(&host, 0);
        let found = resolving.await.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => NoAddress::Later,
            _ => NoAddress::Unknown,
        })?;
        let mut addresses = Vec::new();
        for address in found {
            let address = address.ip().to_canonical();
            if self.remember(address, &endpoints) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            let why = "none of its addresses is public, and --allow-tcp does not name it";
            self.refuse(Refused::Lookup, &name, why);
            return Err(NoAddress::Denied);
        }
        Ok(addresses)
    }

    /// Notes the ports of an address that may be connected to; true if there are
    /// some.
    fn remember(&self, address: IpAddr, endpoints: &[Endpoint]) -> bool {
        let mut is_allowed = false;
        let mut found = self.0.found.lock().unwrap_or_else(PoisonError::into_inner);
        for endpoint in endpoints {
            let address = SocketAddr::new(address, endpoint.port());
            if !self.reaches(endpoint, address) {
                continue;
            }
            is_allowed = true;
            if !found.contains(&address) {
                found.push_back(address);
            }
        }
        while found.len() > MAX_FOUND {
            found.pop_front();
        }
        is_allowed
    }

    /// Whether the manifest lists anything at all.
    pub(super) fn lists_any(&self) -> bool {
        !self.0.endpoints.is_empty()
    }

    /// Counts and logs what this instance may not do.
    pub(crate) fn refuse(&self, refused: Refused, what: &str, why: &str) {
        self.0.refusals.report(refused, what, why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusals::Refusals;
    use sluice_types::sink::BoxFuture;

    /// Answers each look-up with the next of these.
    struct Answers(Mutex<VecDeque<Vec<SocketAddr>>>);

    impl Resolve for Answers {
        fn resolve(&self, _: &Host, _: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
            let next = self.0.lock().unwrap().pop_front();
            Box::pin(async move { next.ok_or_else(|| io::ErrorKind::TimedOut.into()) })
        }
    }

    fn guest(listed: &[&str], named: &[&str], public: bool, answers: &[&[&str]]) -> GuestTcp {
        let endpoints = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let answer = |texts: &&[&str]| {
            let addresses = texts
                .iter()
                .map(|text| format!("{text}:0").parse().unwrap());
            addresses.collect()
        };
        let named = endpoints(named);
        let answers = answers.iter().map(answer).collect();
        GuestTcp::new(
            endpoints(listed),
            Arc::new(Allowed { named, public }),
            Arc::new(Answers(Mutex::new(answers))),
            Refusals::new(|_| ()).of("test"),
        )
    }

    fn connects(guest: &GuestTcp, address: &str) -> bool {
        guest.may_use(address.parse().unwrap(), SocketAddrUse::TcpConnect)
    }

    #[test]
    fn a_listed_address_is_connected_to_on_its_port_only() {
        let listed = ["127.0.0.1:601", "1.1.1.1:601", "[::1]:601"];
        let guest = guest(&listed, &listed[..1], true, &[]);
        assert!(connects(&guest, "127.0.0.1:601"));
        assert!(connects(&guest, "[::ffff:127.0.0.1]:601"));
        assert!(connects(&guest, "1.1.1.1:601"));
        for other in ["127.0.0.1:602", "127.0.0.2:601", "1.1.1.1:53", "[::1]:601"] {
            assert!(!connects(&guest, other), "{other}");
        }
    }

    #[test]
    fn sockets_connect_and_do_nothing_else() {
        let guest = guest(&["1.1.1.1:601"], &[], true, &[]);
        let may = |address: &str, purpose| guest.may_use(address.parse().unwrap(), purpose);
        assert!(may("0.0.0.0:0", SocketAddrUse::TcpBind));
        assert!(may("[::]:0", SocketAddrUse::TcpBind));
        assert!(!may("0.0.0.0:3000", SocketAddrUse::TcpBind));
        assert!(!may("127.0.0.1:0", SocketAddrUse::TcpBind));
        for purpose in [
            SocketAddrUse::TcpListen,
            SocketAddrUse::TcpAccept,
            SocketAddrUse::UdpBind,
            SocketAddrUse::UdpSend,
            SocketAddrUse::UdpReceive,
        ] {
            assert!(!may("1.1.1.1:601", purpose), "{purpose:?}");
        }
    }

    #[tokio::test]
    async fn a_name_is_connected_to_at_the_addresses_that_it_had() {
        let answers: [&[&str]; 3] = [&["1.1.1.1", "10.0.0.1"], &["127.0.0.1"], &[]];
        let guest = guest(&["a.example:601"], &[], true, &answers);
        assert!(!connects(&guest, "1.1.1.1:601"), "not looked up");
        let found = guest.clone().look_up("A.example.".to_owned()).await;
        assert_eq!(found.unwrap(), ["1.1.1.1".parse::<IpAddr>().unwrap()]);
        assert!(connects(&guest, "1.1.1.1:601"));
        assert!(!connects(&guest, "1.1.1.1:602"));
        assert!(!connects(&guest, "10.0.0.1:601"));
        // The second look-up leads to this machine.
        let found = guest.clone().look_up("a.example".to_owned()).await;
        assert_eq!(found, Err(NoAddress::Denied));
        assert!(!connects(&guest, "127.0.0.1:601"));
    }

    #[tokio::test]
    async fn only_listed_names_are_looked_up() {
        let guest = guest(
            &["a.example:601"],
            &["a.example:601"],
            false,
            &[&["10.0.0.1"]],
        );
        for name in ["b.example", "secret.a.example", "a.example:601", ""] {
            let found = guest.clone().look_up(name.to_owned()).await;
            assert_eq!(found, Err(NoAddress::Denied), "{name}");
        }
        let address = "10.0.0.1".parse::<IpAddr>().unwrap();
        let found = guest.clone().look_up("a.example".to_owned()).await;
        assert_eq!(found.unwrap(), [address]);
        assert!(connects(&guest, "10.0.0.1:601"));
        let found = guest.clone().look_up("a.example".to_owned()).await;
        assert_eq!(found, Err(NoAddress::Later));
        // An address is no name.
        let found = guest.look_up("127.0.0.1".to_owned()).await;
        assert_eq!(found.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn what_is_remembered_has_a_bound() {
        let addresses: Vec<String> = (0..8).map(|last| format!("1.1.1.{last}")).collect();
        let answer: Vec<_> = addresses.iter().map(String::as_str).collect();
        let listed: Vec<String> = (1..200).map(|port| format!("a.example:{port}")).collect();
        let listed: Vec<_> = listed.iter().map(String::as_str).collect();
        let guest = guest(&listed, &[], true, &[&answer]);
        guest.clone().look_up("a.example".to_owned()).await.unwrap();
        assert_eq!(guest.0.found.lock().unwrap().len(), MAX_FOUND);
        assert!(connects(&guest, "1.1.1.7:199"));
    }
}
