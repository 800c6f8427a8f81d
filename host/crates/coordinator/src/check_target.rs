//! Where a check may go: only to the machine that registered it. Otherwise a
//! client could have the coordinator ask hosts that only it can reach.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use reqwest::Url;
use thiserror::Error;

/// The address that a check was registered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Registrar(IpAddr);

/// Where the request of a check goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Address,
    /// A name, and the addresses that it leads to.
    Name(String, Vec<SocketAddr>),
}

/// Why a check is not made.
#[derive(Debug, Error)]
pub(super) enum TargetError {
    #[error("{0:?} is not a URL with http or https and a host")]
    Url(String),
    #[error(
        "the embedded coordinator asks only the machine that registers a check, here {registrar}, \
         and {target} is another one"
    )]
    Foreign { registrar: IpAddr, target: String },
    #[error("{0} has no address")]
    Unknown(String, #[source] std::io::Error),
}

impl Registrar {
    pub(super) const fn new(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }

    /// Refuses a URL that names another machine by its address. Where a name
    /// leads is seen when it is asked.
    pub(super) fn admit(self, url: &str) -> Result<(), TargetError> {
        let (host, _) = parts(url)?;
        match literal(&host) {
            Some(address) => self.admit_address(address),
            None => Ok(()),
        }
    }

    /// Finds out where the check's request goes.
    pub(super) async fn target(self, url: &str) -> Result<Target, TargetError> {
        let (host, port) = parts(url)?;
        if let Some(address) = literal(&host) {
            return self.admit_address(address).map(|()| Target::Address);
        }
        let found = tokio::net::lookup_host((host.as_str(), port)).await;
        let found = found.map_err(|cause| TargetError::Unknown(host.clone(), cause))?;
        let own: Vec<_> = found.filter(|found| self.may_ask(found.ip())).collect();
        match own.is_empty() {
            true => Err(self.foreign(host)),
            false => Ok(Target::Name(host, own)),
        }
    }

    fn admit_address(self, address: IpAddr) -> Result<(), TargetError> {
        match self.may_ask(address) {
            true => Ok(()),
            false => Err(self.foreign(address.to_string())),
        }
    }

    fn may_ask(self, target: IpAddr) -> bool {
        let target = target.to_canonical();
        target == self.0 || is_of_this_machine(self.0) && is_of_this_machine(target)
    }

    const fn foreign(self, target: String) -> TargetError {
        let registrar = self.0;
        TargetError::Foreign { registrar, target }
    }
}

fn parts(url: &str) -> Result<(String, u16), TargetError> {
    let invalid = || TargetError::Url(url.to_owned());
    let parsed = Url::parse(url).map_err(|_| invalid())?;
    let host = parsed.host_str().ok_or_else(invalid)?.to_owned();
    let is_http = ["http", "https"].contains(&parsed.scheme());
    let port = parsed.port_or_known_default().filter(|_| is_http);
    Ok((host, port.ok_or_else(invalid)?))
}

fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok()
}

/// Whether a socket of this machine can have this address.
fn is_of_this_machine(address: IpAddr) -> bool {
    let is_plain = !address.is_multicast();
    address.is_loopback() || is_plain && UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registrar(address: &str) -> Registrar {
        Registrar::new(address.parse().unwrap())
    }

    #[test]
    fn a_check_asks_the_machine_that_registered_it() {
        let local = registrar("127.0.0.1");
        for own in [
            "http://127.0.0.1:1/healthz",
            "http://[::1]/",
            "http://127.0.0.9:80",
        ] {
            local.admit(own).unwrap();
        }
        for foreign in [
            "http://192.0.2.1/",
            "http://169.254.169.254/latest/meta-data",
            "http://3221225985/",
            "http://[2001:db8::1]:80/",
            "http://224.0.0.1/",
        ] {
            let error = local.admit(foreign).unwrap_err();
            assert!(
                matches!(error, TargetError::Foreign { .. }),
                "{foreign}: {error}"
            );
        }
        let other = registrar("192.0.2.1");
        other.admit("http://192.0.2.1:3001/healthz").unwrap();
        registrar("::ffff:192.0.2.1")
            .admit("http://192.0.2.1/")
            .unwrap();
        for foreign in [
            "http://192.0.2.2/",
            "http://127.0.0.1:2375/",
            "http://[::1]/",
        ] {
            assert!(other.admit(foreign).is_err(), "{foreign}");
        }
        for none in ["", "file:///etc/passwd", "nonsense", "http://"] {
            assert!(
                matches!(local.admit(none), Err(TargetError::Url(_))),
                "{none}"
            );
        }
    }

    #[tokio::test]
    async fn a_name_is_held_to_where_it_leads() {
        let url = "http://localhost:81/";
        let found = registrar("127.0.0.1").target(url).await.unwrap();
        let Target::Name(name, addresses) = found else {
            panic!("{found:?}");
        };
        assert_eq!(name, "localhost");
        assert!(
            addresses
                .iter()
                .all(|found| found.ip().is_loopback() && found.port() == 81)
        );
        let foreign = registrar("192.0.2.1").target(url).await;
        assert!(
            matches!(foreign, Err(TargetError::Foreign { .. })),
            "{foreign:?}"
        );
    }
}
