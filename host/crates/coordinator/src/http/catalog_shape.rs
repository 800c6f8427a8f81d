//! The JSON of nodes, services and checks, with Consul's fields.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;

use super::context::{DATACENTER, NodeIdentity};
use crate::store::{Check, CheckStatus, Service};

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NodeShape<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    node: &'a str,
    address: &'a str,
    datacenter: &'static str,
    tagged_addresses: BTreeMap<&'static str, &'a str>,
    meta: BTreeMap<&'static str, &'static str>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> NodeShape<'a> {
    pub(super) fn new(node: &'a NodeIdentity, index: u64) -> Self {
        Self {
            id: &node.id,
            node: &node.name,
            address: &node.address,
            datacenter: DATACENTER,
            tagged_addresses: node_addresses(node),
            meta: node_meta(),
            create_index: index,
            modify_index: index,
        }
    }
}

fn node_addresses(node: &NodeIdentity) -> BTreeMap<&'static str, &str> {
    let names = match is_v6(&node.address) {
        true => ["lan", "lan_ipv6", "wan", "wan_ipv6"],
        false => ["lan", "lan_ipv4", "wan", "wan_ipv4"],
    };
    names.map(|name| (name, node.address.as_str())).into()
}

fn node_meta() -> BTreeMap<&'static str, &'static str> {
    [("consul-network-segment", "")].into()
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AddressShape<'a> {
    address: &'a str,
    port: i64,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WeightsShape {
    passing: i64,
    warning: i64,
}

type Addresses<'a> = BTreeMap<&'static str, AddressShape<'a>>;

fn addresses(service: &Service) -> Addresses<'_> {
    let address = service.service.address.as_str();
    let shape = AddressShape {
        address,
        port: service.service.port,
    };
    match address.parse::<IpAddr>() {
        Err(_) => Addresses::new(),
        Ok(IpAddr::V4(_)) => [("lan_ipv4", shape.clone()), ("wan_ipv4", shape)].into(),
        Ok(IpAddr::V6(_)) => [("lan_ipv6", shape.clone()), ("wan_ipv6", shape)].into(),
    }
}

fn weights(service: &Service) -> WeightsShape {
    WeightsShape {
        passing: service.service.weights.passing,
        warning: service.service.weights.warning,
    }
}

fn is_v6(address: &str) -> bool {
    address.parse().is_ok_and(|ip: IpAddr| ip.is_ipv6())
}

/// A service as the agent's routes show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AgentServiceShape<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    service: &'a str,
    tags: &'a [String],
    meta: &'a BTreeMap<String, String>,
    port: i64,
    address: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tagged_addresses: Addresses<'a>,
    weights: WeightsShape,
    enable_tag_override: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_hash: Option<String>,
}

impl<'a> AgentServiceShape<'a> {
    pub(super) fn new(service: &'a Service) -> Self {
        Self {
            id: &service.service.id,
            service: &service.service.name,
            tags: &service.service.tags,
            meta: &service.service.meta,
            port: service.service.port,
            address: &service.service.address,
            tagged_addresses: addresses(service),
            weights: weights(service),
            enable_tag_override: service.service.enable_tag_override,
            content_hash: None,
        }
    }

    pub(super) fn with_hash(service: &'a Service, hash: String) -> Self {
        Self {
            content_hash: Some(hash),
            ..Self::new(service)
        }
    }
}

/// A service as the catalog shows it, with its node.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CatalogServiceShape<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    node: &'a str,
    address: &'a str,
    datacenter: &'static str,
    tagged_addresses: BTreeMap<&'static str, &'a str>,
    node_meta: BTreeMap<&'static str, &'static str>,
    service_kind: &'static str,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
    service_name: &'a str,
    service_tags: &'a [String],
    service_address: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    service_tagged_addresses: Addresses<'a>,
    service_weights: WeightsShape,
    service_meta: &'a BTreeMap<String, String>,
    service_port: i64,
    service_enable_tag_override: bool,
    service_proxy: ProxyShape,
    service_connect: EmptyShape,
    create_index: u64,
    modify_index: u64,
}

/// Stands for parts of Consul that the coordinator does not have.
#[derive(Debug, Default, Serialize)]
pub(super) struct EmptyShape {}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ProxyShape {
    mesh_gateway: EmptyShape,
    expose: EmptyShape,
}

impl<'a> CatalogServiceShape<'a> {
    pub(super) fn new(node: &'a NodeIdentity, service: &'a Service) -> Self {
        Self {
            id: &node.id,
            node: &node.name,
            address: &node.address,
            datacenter: DATACENTER,
            tagged_addresses: node_addresses(node),
            node_meta: node_meta(),
            service_kind: "",
            service_id: &service.service.id,
            service_name: &service.service.name,
            service_tags: &service.service.tags,
            service_address: &service.service.address,
            service_tagged_addresses: addresses(service),
            service_weights: weights(service),
            service_meta: &service.service.meta,
            service_port: service.service.port,
            service_enable_tag_override: service.service.enable_tag_override,
            service_proxy: ProxyShape::default(),
            service_connect: EmptyShape::default(),
            create_index: service.create_index,
            modify_index: service.modify_index,
        }
    }
}

/// A service of a node, as the catalog and the health routes show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NodeServiceShape<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    service: &'a str,
    tags: &'a [String],
    address: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tagged_addresses: Addresses<'a>,
    /// Null if it is empty.
    meta: Option<&'a BTreeMap<String, String>>,
    port: i64,
    weights: WeightsShape,
    enable_tag_override: bool,
    proxy: ProxyShape,
    connect: EmptyShape,
    create_index: u64,
    modify_index: u64,
}

impl<'a> NodeServiceShape<'a> {
    pub(super) fn new(service: &'a Service) -> Self {
        Self {
            id: &service.service.id,
            service: &service.service.name,
            tags: &service.service.tags,
            address: &service.service.address,
            tagged_addresses: addresses(service),
            meta: Some(&service.service.meta).filter(|meta| !meta.is_empty()),
            port: service.service.port,
            weights: weights(service),
            enable_tag_override: service.service.enable_tag_override,
            proxy: ProxyShape::default(),
            connect: EmptyShape::default(),
            create_index: service.create_index,
            modify_index: service.modify_index,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CheckShape<'a> {
    node: &'a str,
    #[serde(rename = "CheckID")]
    check_id: &'a str,
    name: &'a str,
    status: &'static str,
    notes: &'a str,
    output: &'a str,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
    service_name: &'a str,
    service_tags: &'a [String],
    #[serde(rename = "Type")]
    kind: &'static str,
    definition: EmptyShape,
    create_index: u64,
    modify_index: u64,
}

impl<'a> CheckShape<'a> {
    pub(super) fn new(node: &'a str, check: &'a Check) -> Self {
        let (service_id, service_name, service_tags) = match &check.service {
            Some((id, name, tags)) => (id.as_str(), name.as_str(), tags.as_slice()),
            None => ("", "", [].as_slice()),
        };
        Self {
            node,
            check_id: &check.id,
            name: &check.name,
            status: status_name(check.status),
            notes: &check.notes,
            output: &check.output,
            service_id,
            service_name,
            service_tags,
            kind: if check.service.is_some() { "http" } else { "" },
            definition: EmptyShape::default(),
            create_index: check.create_index,
            modify_index: check.modify_index,
        }
    }

    /// The check as the agent's routes show it: with its latest output and
    /// without indexes.
    pub(super) fn of_agent(node: &'a str, check: &'a Check) -> Self {
        Self {
            output: &check.latest_output,
            create_index: 0,
            modify_index: 0,
            ..Self::new(node, check)
        }
    }
}

pub(super) const fn status_name(status: CheckStatus) -> &'static str {
    match status {
        CheckStatus::Passing => "passing",
        CheckStatus::Warning => "warning",
        CheckStatus::Critical => "critical",
    }
}
