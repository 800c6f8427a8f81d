//! The values of flags that need more than a type.

use std::fs;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::cli::units;
use crate::minisign::PublicKey;
use sluice_delivery::Ack;
use sluice_sandbox::{SecretFile, SecretUse};
use sluice_types::documents::LeaderValue;

/// The address at which Consul's clients expect an agent.
pub(super) const COORDINATOR: &str = "127.0.0.1:8500";

/// The smallest journal that works, in bytes.
const SMALLEST_JOURNAL: usize = 1 << 20;

/// The least memory with which a small sink compiles, in bytes.
const LEAST_COMPILE_MEMORY: usize = 64 << 20;

/// The bounds of a lease: shorter ones would be lost to ordinary pauses, longer
/// ones make every fail-over as slow.
const LEASES: RangeInclusive<Duration> = Duration::from_millis(200)..=Duration::from_secs(60);

/// A host, and a port if it is another than the one that is listened on.
pub(super) type Advertise = (String, Option<u16>);

pub(super) fn advertise(text: &str) -> Result<Advertise, String> {
    // A bare IPv6 address has colons of its own.
    if let Ok(ip) = text.parse::<std::net::Ipv6Addr>() {
        return Ok((format!("[{ip}]"), None));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') && !port.ends_with(']') => {
            let port = port
                .parse()
                .map_err(|_| format!("{port:?} is not a port"))?;
            (host, Some(port))
        }
        _ => (text, None),
    };
    match host.is_empty() {
        true => Err("expected host or host:port".to_owned()),
        false => Ok((host.to_owned(), port)),
    }
}

/// What a flag allows: a destination, or all that have public addresses.
#[derive(Clone, Debug)]
pub(super) enum Allow<T> {
    Named(T),
    Public,
}

pub(super) fn allow<T: FromStr>(text: &str) -> Result<Allow<T>, T::Err> {
    match text {
        "*" => Ok(Allow::Public),
        text => text.parse().map(Allow::Named),
    }
}

/// A secret's name and file, whether it signs, and the origins that it is for, if they
/// are given.
pub(super) fn secret(text: &str) -> Result<SecretFile, String> {
    let (name, rest) = text.split_once('=').ok_or_else(no_secret)?;
    let mut parts = rest.split(',').peekable();
    let file = parts.next().unwrap_or_default();
    if name.is_empty() || file.is_empty() {
        return Err(no_secret());
    }
    let used = match parts.next_if_eq(&"sigv4") {
        Some(_) => SecretUse::ToSign,
        None => SecretUse::InHeaders,
    };
    let origin = |text: &str| text.parse().map_err(|error| format!("{text:?}: {error}"));
    Ok(SecretFile {
        name: name.to_owned(),
        file: file.into(),
        used,
        origins: parts.map(origin).collect::<Result<_, _>>()?,
    })
}

fn no_secret() -> String {
    "expected NAME=FILE,https://origin, or NAME=FILE,sigv4,https://origin for keys that sign"
        .to_owned()
}

/// A public key, or the file that holds it.
pub(super) fn trusted_key(text: &str) -> Result<PublicKey, String> {
    if let Ok(key) = text.parse() {
        return Ok(key);
    }
    let expected =
        "expected the public key of minisign or `sluice plugin keygen`, or the file with it";
    let content = fs::read_to_string(text).map_err(|error| format!("{expected}: {error}"))?;
    content
        .parse()
        .map_err(|error| format!("{expected}: {error}"))
}

/// A name that becomes a part of Consul's keys and services.
pub(super) fn name(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match !text.is_empty() && text.len() <= 128 && text.bytes().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err("expected letters, digits, '.', '_' or '-'".to_owned()),
    }
}

/// Three numbers, as releases of Elasticsearch are numbered.
pub(super) fn elasticsearch_version(text: &str) -> Result<String, String> {
    let numbers: Vec<_> = text.split('.').map(str::parse::<u16>).collect();
    match numbers.len() == 3 && numbers.iter().all(Result::is_ok) {
        true => Ok(text.to_owned()),
        false => Err("expected a version such as 8.17.0".to_owned()),
    }
}

pub(super) fn leader_value() -> impl TypedValueParser<Value = LeaderValue> {
    let help = |form: LeaderValue| match form {
        LeaderValue::Json => r#"`{"node":…,"address":"host:port"}`"#,
        LeaderValue::Host => {
            "The bare host name, for first-generation producers, who post to port 3000 there"
        }
    };
    let forms = LeaderValue::ALL.map(|form| PossibleValue::new(form.name()).help(help(form)));
    PossibleValuesParser::new(forms).try_map(|name| name.parse::<LeaderValue>())
}

pub(super) fn key(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    let is_path = !text.starts_with('/') && !text.ends_with('/') && !text.contains("//");
    match !text.is_empty() && is_path && text.bytes().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err("expected a key like service/logger/leader".to_owned()),
    }
}

/// Variables and the file need a value: `true` stands for the default.
pub(super) fn coordinator(text: &str) -> Result<SocketAddr, String> {
    let address = if text == "true" { COORDINATOR } else { text };
    address
        .parse()
        .map_err(|_| format!("expected an IP address and a port like {COORDINATOR}"))
}

pub(super) fn journal_size(text: &str) -> Result<usize, String> {
    units::size(text).and_then(|size| match size >= SMALLEST_JOURNAL {
        true => Ok(size),
        false => Err("expected 1MiB or more".to_owned()),
    })
}

pub(super) fn compile_memory(text: &str) -> Result<usize, String> {
    units::size(text).and_then(|size| match size >= LEAST_COMPILE_MEMORY {
        true => Ok(size),
        false => Err("expected 64MiB or more".to_owned()),
    })
}

pub(super) fn lease(text: &str) -> Result<Duration, String> {
    units::duration(text).and_then(|lease| match LEASES.contains(&lease) {
        true => Ok(lease),
        false => Err("expected 200ms to 60s".to_owned()),
    })
}

/// Parses `--ack`, and shows its values in the help.
pub(super) fn ack() -> impl TypedValueParser<Value = Ack> {
    let values = [
        PossibleValue::new("sink").help("The sink has confirmed it"),
        PossibleValue::new("journal")
            .help("It is in the journal: on this node's disk, or on a majority of servers"),
    ];
    PossibleValuesParser::new(values).try_map(|ack| ack.parse::<Ack>())
}
