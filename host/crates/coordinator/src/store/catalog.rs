//! Services and their checks, all of one node: this machine.

use std::collections::{BTreeMap, HashMap};

use super::{Interest, Moment, Seen, Store};

/// The check that stands for the node itself; it never fails, because this
/// process answers.
const SERF: &str = "serfHealth";

/// A registered service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) service: NewService,
    pub(crate) create_index: u64,
    pub(crate) modify_index: u64,
}

/// A service as it is registered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewService {
    /// Unique on the node.
    pub id: String,
    /// Shared by the instances of a service.
    pub name: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its metadata.
    pub meta: BTreeMap<String, String>,
    /// The host that clients reach it by.
    pub address: String,
    /// The port that clients reach it by.
    pub port: i64,
    /// How much of the load it should get.
    pub weights: Weights,
    /// As it was given; it has no effect.
    pub enable_tag_override: bool,
}

/// How much of the load an instance should get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    /// While its checks pass.
    pub passing: i64,
    /// While one of them warns.
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

/// A check as it is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCheck {
    /// Unique on the node.
    pub id: String,
    /// For people.
    pub name: String,
    /// For people.
    pub notes: String,
    /// Its status until it is first reported.
    pub status: CheckStatus,
}

/// What a check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckStatus {
    /// All is well.
    Passing,
    /// Something may be wrong.
    Warning,
    /// Sessions that are bound to the check end.
    Critical,
}

/// A check, of the node if it has no service.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) notes: String,
    pub(crate) status: CheckStatus,
    /// What the last one said whose status was another than that before.
    pub(crate) output: String,
    /// What the last one said.
    pub(crate) latest_output: String,
    /// Its id, name and tags.
    pub(crate) service: Option<(String, String, Vec<String>)>,
    pub(crate) create_index: u64,
    pub(crate) modify_index: u64,
}

impl Check {
    fn is_of(&self, service: &str) -> bool {
        matches!(&self.service, Some((id, ..)) if id == service)
    }
}

#[derive(Debug)]
pub(super) struct Catalog {
    services: BTreeMap<String, Service>,
    checks: BTreeMap<String, Check>,
    /// Of the latest change to any service, and to any check.
    latest_service: u64,
    latest_check: u64,
    /// Of the latest change to a service of this name or to a check of it.
    by_name: HashMap<String, u64>,
    /// When a service last lost its last instance.
    last_extinction: Option<u64>,
    /// When the node was registered.
    node: u64,
}

impl Catalog {
    pub(super) fn new(node: &str, index: u64) -> Self {
        let own = Check {
            id: SERF.to_owned(),
            name: "Serf Health Status".to_owned(),
            notes: String::new(),
            status: CheckStatus::Passing,
            output: format!("{node} answers"),
            latest_output: format!("{node} answers"),
            service: None,
            create_index: index,
            modify_index: index,
        };
        let consul = NewService {
            id: "consul".to_owned(),
            name: "consul".to_owned(),
            ..NewService::default()
        };
        let consul = Service {
            service: consul,
            create_index: index,
            modify_index: index,
        };
        Self {
            services: BTreeMap::from([("consul".to_owned(), consul)]),
            checks: BTreeMap::from([(SERF.to_owned(), own)]),
            latest_service: index,
            latest_check: index,
            by_name: HashMap::from([("consul".to_owned(), index)]),
            last_extinction: None,
            node: index,
        }
    }

    pub(super) fn check(&self, id: &str) -> Option<&Check> {
        self.checks.get(id)
    }
}

/// Changes.
impl Store {
    /// Registers a service with these checks, or registers it anew. Checks
    /// that exist keep their state.
    pub fn register(&mut self, service: NewService, checks: Vec<NewCheck>) {
        let index = self.step();
        let (id, name) = (service.id.clone(), service.name.clone());
        let existing = self.catalog.services.get(&id);
        if existing.is_none_or(|existing| existing.service != service) {
            let create_index = existing.map_or(index, |existing| existing.create_index);
            let renamed = existing.map(|existing| existing.service.name.clone());
            for name in renamed.into_iter().filter(|before| *before != name) {
                self.touch_service(&name);
            }
            let service = Service {
                service: service.clone(),
                create_index,
                modify_index: index,
            };
            self.catalog.services.insert(id.clone(), service);
            self.touch_service(&name);
        }
        for check in checks {
            let existing = self.catalog.checks.get(&check.id);
            let owner = (id.clone(), name.clone(), service.tags.clone());
            let is_same = existing.is_some_and(|existing| {
                (&existing.name, &existing.notes, &existing.service)
                    == (&check.name, &check.notes, &Some(owner.clone()))
            });
            if is_same {
                continue;
            }
            let kept = existing.map(|existing| {
                let Check {
                    status,
                    output,
                    latest_output,
                    create_index,
                    ..
                } = existing.clone();
                (status, output, latest_output, create_index)
            });
            let fresh = (check.status, String::new(), String::new(), index);
            let (status, output, latest_output, create_index) = kept.unwrap_or(fresh);
            let check = Check {
                id: check.id,
                name: check.name,
                notes: check.notes,
                status,
                output,
                latest_output,
                service: Some(owner),
                create_index,
                modify_index: index,
            };
            self.catalog.checks.insert(check.id.clone(), check);
            self.touch_check(Some(&name));
        }
        self.settle();
    }

    /// Forgets a service and its checks: the checks' ids.
    pub(crate) fn deregister(&mut self, now: Moment, id: &str) -> Vec<String> {
        let Some(service) = self.catalog.services.remove(id) else {
            return Vec::new();
        };
        let name = service.service.name;
        let checks = &mut self.catalog.checks;
        let gone = checks.extract_if(.., |_, check| check.is_of(id));
        let gone: Vec<String> = gone.map(|(id, _)| id).collect();
        for check in &gone {
            self.end_sessions_of(now, check);
        }
        self.touch_check(None);
        self.touch_service(&name);
        let mut others = self.catalog.services.values();
        if !others.any(|other| other.service.name == name) {
            self.catalog.by_name.remove(&name);
            self.catalog.last_extinction = Some(self.step());
        }
        self.settle();
        gone
    }

    /// Forgets a check, and ends the sessions that are bound to it.
    pub(crate) fn deregister_check(&mut self, now: Moment, id: &str) {
        let is_of_a_service = |check: &Check| check.service.is_some();
        if !self.catalog.checks.get(id).is_some_and(is_of_a_service) {
            return;
        }
        let service = self
            .catalog
            .checks
            .remove(id)
            .and_then(|check| check.service);
        self.end_sessions_of(now, id);
        self.touch_check(service.as_ref().map(|(_, name, _)| name.as_str()));
        self.settle();
    }

    /// What a check has found. Critical ends the sessions that are bound to
    /// it.
    pub fn report(&mut self, now: Moment, id: &str, status: CheckStatus, output: String) {
        let index = self.step();
        let Some(check) = self.catalog.checks.get_mut(id) else {
            return;
        };
        check.latest_output.clone_from(&output);
        if check.status == status {
            return;
        }
        check.status = status;
        check.output = output;
        check.modify_index = index;
        let name = check.service.as_ref().map(|(_, name, _)| name.clone());
        self.touch_check(name.as_deref());
        if status == CheckStatus::Critical {
            self.end_sessions_of(now, id);
        }
        self.settle();
    }

    fn touch_service(&mut self, name: &str) {
        self.catalog.latest_service = self.step();
        self.catalog.by_name.insert(name.to_owned(), self.step());
        self.changes.service(name);
    }

    fn touch_check(&mut self, service: Option<&str>) {
        self.catalog.latest_check = self.step();
        match service {
            Some(name) => {
                self.catalog.by_name.insert(name.to_owned(), self.step());
                self.changes.service(name);
            }
            None => self.changes.catalog(),
        }
    }
}

/// Reads.
impl Store {
    /// All services; those of the name, if one is given.
    pub(crate) fn services(&self, name: Option<&str>) -> Seen<Vec<Service>> {
        let of_name = |service: &&Service| name.is_none_or(|name| service.service.name == name);
        let found: Vec<_> = self
            .catalog
            .services
            .values()
            .filter(of_name)
            .cloned()
            .collect();
        match name {
            None => self.seen(self.catalog.latest_service, found),
            Some(name) => {
                let nodes_and_services = self.catalog.latest_service.max(self.catalog.node);
                self.seen_service(name, nodes_and_services, found)
            }
        }
    }

    /// The instances of a service, each with its checks and those of the node.
    pub(crate) fn instances(&self, name: &str) -> Seen<Vec<(Service, Vec<Check>)>> {
        let services = self.services(Some(name)).value;
        let found = services
            .into_iter()
            .map(|service| {
                let checks = self.catalog.checks.values();
                let own =
                    |check: &&Check| check.service.is_none() || check.is_of(&service.service.id);
                let checks = checks.filter(own).cloned().collect();
                (service, checks)
            })
            .collect();
        let any = self.catalog.latest_service.max(self.catalog.latest_check);
        self.seen_service(name, any, found)
    }

    pub(crate) fn service(&self, id: &str) -> Option<Service> {
        self.catalog.services.get(id).cloned()
    }

    /// All checks that `are` so.
    pub(crate) fn checks(&self, are: impl Fn(&Check) -> bool) -> Seen<Vec<Check>> {
        let found = self.catalog.checks.values().filter(|check| are(check));
        self.seen(self.catalog.latest_check, found.cloned().collect())
    }

    /// When the node was registered.
    pub(crate) fn node(&self) -> Seen<u64> {
        self.seen(self.catalog.node, self.catalog.node)
    }

    fn seen_service<T>(&self, name: &str, any: u64, value: Vec<T>) -> Seen<Vec<T>> {
        let own = self.catalog.by_name.get(name).copied();
        let own = own.filter(|_| !value.is_empty());
        Seen {
            index: own.or(self.catalog.last_extinction).unwrap_or(any),
            interest: match own {
                Some(_) => Interest::Service(name.to_owned()),
                None => Interest::Catalog,
            },
            value,
        }
    }

    fn seen<T>(&self, index: u64, value: T) -> Seen<T> {
        Seen {
            index,
            value,
            interest: Interest::Catalog,
        }
    }
}
