//! The address that others reach this node by.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;

use super::heartbeat::Heartbeat;
use sluice_consul::Client;
use sluice_types::error_chain::chain;

/// The pause before an agent that did not answer is asked again.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// The host that others reach this node by: the local address of the route to
/// Consul or, if that is loopback, the address of the agent itself. Tries until
/// it succeeds, and keeps the heartbeat beating meanwhile.
pub(super) async fn own_host(client: &Client, heartbeat: &Heartbeat) -> String {
    let mut has_warned = false;
    loop {
        heartbeat.beat();
        let error = match try_own_host(client).await {
            Ok(host) => return host,
            Err(error) => error,
        };
        if !has_warned {
            has_warned = true;
            let consul = &client.config().url;
            tracing::warn!(
                consul,
                error,
                "Consul does not answer; still trying (or give --advertise)"
            );
        }
        tokio::time::sleep(RETRY_INTERVAL).await;
    }
}

async fn try_own_host(client: &Client) -> Result<String, String> {
    if let Some(ip) = local_address(client).await.map_err(|e| e.to_string())? {
        return Ok(bracketed(ip));
    }
    let address = client.member_address().await.map_err(|e| chain(&e))?;
    Ok(address.parse().map_or(address, bracketed))
}

/// The local end of the route to Consul; `None` if that is loopback or a Unix
/// socket.
async fn local_address(client: &Client) -> io::Result<Option<IpAddr>> {
    let Some(authority) = &client.config().authority else {
        return Ok(None);
    };
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in tokio::net::lookup_host(authority).await? {
        match local_end(address).await {
            Ok(ip) => return Ok((!ip.is_loopback()).then_some(ip)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Connecting a datagram socket sends nothing; it finds the route.
async fn local_end(address: SocketAddr) -> io::Result<IpAddr> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(address).await?;
    Ok(socket.local_addr()?.ip())
}

/// An IP address as the host of a URL.
pub(super) fn bracketed(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}
