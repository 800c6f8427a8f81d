//! The tables of services and checks, all of one node: this machine.

use std::collections::{BTreeMap, HashMap};

use super::change::{Changes, Interest};
use super::check::{Check, CheckStatus, NewCheck};
use super::refusal::Refusal;
use super::service::{NewService, Service};
use super::snapshot::Snapshot;
use super::weight;

/// The check of the node itself. It always passes, because this process
/// answers.
const SERF: &str = "serfHealth";

#[derive(Debug)]
pub(super) struct Catalog {
    services: BTreeMap<String, Service>,
    checks: BTreeMap<String, Check>,
    /// The index of the latest change to any service.
    latest_service: u64,
    /// The index of the latest change to any check.
    latest_check: u64,
    /// The index of the latest change to each service, checks included, by the
    /// service's name.
    by_name: HashMap<String, u64>,
    /// The index at which a service last lost its last instance.
    last_extinction: Option<u64>,
    /// The index at which the node was registered.
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
}

/// Changes. Each takes the index of the change in progress.
impl Catalog {
    pub(super) fn register_service(
        &mut self,
        index: u64,
        changes: &mut Changes,
        service: &NewService,
    ) {
        let existing = self.services.get(&service.id);
        if existing.is_some_and(|existing| existing.service == *service) {
            return;
        }
        let create_index = existing.map_or(index, |existing| existing.create_index);
        let name_before = existing.map(|existing| existing.service.name.clone());
        let renamed = name_before.filter(|before| *before != service.name);
        let registered = Service {
            service: service.clone(),
            create_index,
            modify_index: index,
        };
        self.services.insert(service.id.clone(), registered);
        if let Some(before) = renamed {
            self.lost_instance(index, changes, &before);
        }
        self.touch_service(index, changes, &service.name);
    }

    /// Notes that a service of this name is gone, perhaps the last one.
    fn lost_instance(&mut self, index: u64, changes: &mut Changes, name: &str) {
        self.touch_service(index, changes, name);
        let mut others = self.services.values();
        if !others.any(|other| other.service.name == name) {
            self.by_name.remove(name);
            self.last_extinction = Some(index);
        }
    }

    /// A check that exists keeps its status and outputs.
    pub(super) fn register_check(
        &mut self,
        index: u64,
        changes: &mut Changes,
        service: &NewService,
        check: NewCheck,
    ) {
        let owner = (
            service.id.clone(),
            service.name.clone(),
            service.tags.clone(),
        );
        let new = Check {
            id: check.id,
            name: check.name,
            notes: check.notes,
            status: check.status,
            output: String::new(),
            latest_output: String::new(),
            service: Some(owner),
            create_index: index,
            modify_index: index,
        };
        let check = match self.checks.get(&new.id).cloned() {
            Some(old)
                if (&old.name, &old.notes, &old.service)
                    == (&new.name, &new.notes, &new.service) =>
            {
                return;
            }
            Some(old) => Check {
                name: new.name,
                notes: new.notes,
                service: new.service,
                modify_index: index,
                ..old
            },
            None => new,
        };
        self.checks.insert(check.id.clone(), check);
        self.touch_check(index, changes, Some(&service.name));
    }

    /// Removes a service and its checks, and returns the checks' ids. Returns
    /// nothing if there is no such service.
    pub(super) fn deregister_service(
        &mut self,
        index: u64,
        changes: &mut Changes,
        id: &str,
    ) -> Option<Vec<String>> {
        let name = self.services.remove(id)?.service.name;
        let removed = self.checks.extract_if(.., |_, check| check.is_of(id));
        let removed = removed.map(|(id, _)| id).collect();
        self.touch_check(index, changes, None);
        self.lost_instance(index, changes, &name);
        Some(removed)
    }

    /// Removes a check of a service, and returns whether there was one.
    pub(super) fn deregister_check(&mut self, index: u64, changes: &mut Changes, id: &str) -> bool {
        let of_a_service = |check: &&Check| check.service.is_some();
        let Some(name) = self.checks.get(id).filter(of_a_service).map(owner_name) else {
            return false;
        };
        self.checks.remove(id);
        self.touch_check(index, changes, name.as_deref());
        true
    }

    /// Notes the result of a check, and returns whether its status changed.
    pub(super) fn report(
        &mut self,
        index: u64,
        changes: &mut Changes,
        id: &str,
        (status, output): (CheckStatus, String),
    ) -> bool {
        let Some(check) = self.checks.get_mut(id) else {
            return false;
        };
        check.latest_output.clone_from(&output);
        if check.status == status {
            return false;
        }
        check.status = status;
        check.output = output;
        check.modify_index = index;
        let name = owner_name(check);
        self.touch_check(index, changes, name.as_deref());
        true
    }

    fn touch_service(&mut self, index: u64, changes: &mut Changes, name: &str) {
        self.latest_service = index;
        self.by_name.insert(name.to_owned(), index);
        changes.service(name);
    }

    fn touch_check(&mut self, index: u64, changes: &mut Changes, service: Option<&str>) {
        self.latest_check = index;
        match service {
            Some(name) => {
                // A check may outlive the service that it was registered with.
                if let Some(latest) = self.by_name.get_mut(name) {
                    *latest = index;
                }
                changes.service(name);
            }
            None => changes.catalog(),
        }
    }
}

/// Weights, in bytes.
impl Catalog {
    /// Refuses a registration that would make services and checks take more than
    /// they may.
    pub(super) fn admit(&self, service: &NewService, checks: &[NewCheck]) -> Result<(), Refusal> {
        let known = checks.iter().filter_map(|check| self.checks.get(&check.id));
        let replaced = self.services.get(&service.id);
        let replaced = replaced.map_or(0, |before| weight::of_service(&before.service))
            + known.map(weight::of_check).sum::<usize>();
        let new = checks
            .iter()
            .map(|check| weight::of_new_check(service, check));
        let new = weight::of_service(service) + new.sum::<usize>();
        let after = self.weight().saturating_sub(replaced) + new;
        match new > replaced && after > weight::CATALOG_MAX {
            true => Err(Refusal::CatalogFull),
            false => Ok(()),
        }
    }

    /// What services and checks take, with what the checks may still say.
    fn weight(&self) -> usize {
        let services = self.services.values();
        let services = services.map(|service| weight::of_service(&service.service));
        let checks = self.checks.values().map(weight::of_check);
        services.chain(checks).sum()
    }
}

/// Reads.
impl Catalog {
    /// About how many bytes an answer with everything has, counted until they are
    /// more than `most`.
    pub(super) fn length(&self, most: usize) -> usize {
        let services = self.services.values();
        let services = services.map(|service| weight::of_service(&service.service));
        let mut lengths = services.chain(self.checks.values().map(weight::of_shown_check));
        weight::sum_up_to(most, &mut lengths)
    }

    pub(super) fn check(&self, id: &str) -> Option<&Check> {
        self.checks.get(id)
    }

    pub(super) fn service(&self, id: &str) -> Option<&Service> {
        self.services.get(id)
    }

    pub(super) fn services(&self, name: Option<&str>) -> Snapshot<Vec<Service>> {
        let of_name = |service: &&Service| name.is_none_or(|name| service.service.name == name);
        let found = self.services.values().filter(of_name).cloned().collect();
        match name {
            None => self.snapshot(self.latest_service, found),
            Some(name) => self.snapshot_service(name, self.latest_service.max(self.node), found),
        }
    }

    pub(super) fn instances(&self, name: &str) -> Snapshot<Vec<(Service, Vec<Check>)>> {
        let services = self.services(Some(name)).value;
        let found = services
            .into_iter()
            .map(|service| {
                let checks = self.checks.values();
                let own =
                    |check: &&Check| check.service.is_none() || check.is_of(&service.service.id);
                let checks = checks.filter(own).cloned().collect();
                (service, checks)
            })
            .collect();
        self.snapshot_service(name, self.latest_service.max(self.latest_check), found)
    }

    pub(super) fn checks(&self, are: impl Fn(&Check) -> bool) -> Snapshot<Vec<Check>> {
        let found = self.checks.values().filter(|check| are(check));
        self.snapshot(self.latest_check, found.cloned().collect())
    }

    pub(super) fn node(&self) -> Snapshot<u64> {
        self.snapshot(self.node, self.node)
    }

    /// `otherwise` is the index if no service was ever lost and there is none
    /// of this name.
    fn snapshot_service<T>(&self, name: &str, otherwise: u64, value: Vec<T>) -> Snapshot<Vec<T>> {
        let own = self.by_name.get(name).copied();
        let own = own.filter(|_| !value.is_empty());
        Snapshot {
            index: own.or(self.last_extinction).unwrap_or(otherwise),
            interest: match own {
                Some(_) => Interest::Service(name.to_owned()),
                None => Interest::Catalog,
            },
            value,
        }
    }

    fn snapshot<T>(&self, index: u64, value: T) -> Snapshot<T> {
        Snapshot {
            index,
            value,
            interest: Interest::Catalog,
        }
    }
}

fn owner_name(check: &Check) -> Option<String> {
    check.service_name().map(str::to_owned)
}
