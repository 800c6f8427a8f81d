use std::collections::BTreeMap;

/// A registered service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// What was registered.
    pub service: NewService,
    /// The index of the change that created the service.
    pub create_index: u64,
    /// The index of the latest change to the service.
    pub modify_index: u64,
}

/// A service to register.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewService {
    /// Unique on the node.
    pub id: String,
    /// The name that all instances share.
    pub name: String,
    /// Labels, in their order.
    pub tags: Vec<String>,
    /// Named values.
    pub meta: BTreeMap<String, String>,
    /// The host of the instance; empty for the node's own.
    pub address: String,
    /// The port of the instance.
    pub port: i64,
    /// How much of the load the instance should get.
    pub weights: Weights,
    /// Kept for answers only.
    pub enable_tag_override: bool,
}

/// How much of the load an instance should get, by the state of its checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    /// While all checks pass.
    pub passing: i64,
    /// While a check warns.
    pub warning: i64,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            passing: 1,
            warning: 1,
        }
    }
}
