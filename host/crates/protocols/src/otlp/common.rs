//! What the records of a scope have in common.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::rc::Rc;

use super::invalid::{ATTRIBUTES_MAX, Invalid, charge};
use crate::json::fields::merge_repeated;
use crate::meter::Meter;
use sluice_types::attributes::{Attribute, Attributes, SharedAttributes};
use sluice_types::record::{Text, Value, keep_last_of_repeated};

/// Before the name of each attribute of a resource.
pub(super) const RESOURCE: &str = "resource.";
/// Before the name of each attribute of a scope.
pub(super) const SCOPE: &str = "scope.";
/// The name of a scope, and its version.
const SCOPE_NAME: Text = Text::from_static("scope.name");
const SCOPE_VERSION: Text = Text::from_static("scope.version");

/// What a shared attribute takes in addition to its texts, in bytes: as much as
/// a record's own.
const ATTRIBUTE_BYTES: usize = 128;
/// Among so few names, comparing each is faster than a table of them.
const FEW: usize = 16;

/// The attributes of a resource or of a scope, which are being decoded.
#[derive(Debug)]
pub(super) struct Source {
    prefix: &'static str,
    attributes: Vec<Attribute>,
}

/// A resource, whose scopes are being decoded.
#[derive(Debug)]
pub(super) struct Resource {
    source: Result<Source, Invalid>,
    /// What the records of a scope without attributes have in common.
    alone: Option<Rc<Shared>>,
}

/// What the records of a scope have in common, or why they must be refused,
/// worded for the producer.
pub(super) type Shared = Result<Common, String>;

/// The attributes of a resource and a scope, which their records share.
#[derive(Debug)]
pub(super) struct Common {
    shared: SharedAttributes,
    /// All names, if they were ever looked for.
    names: OnceCell<HashSet<Text>>,
}

impl Source {
    pub(super) const fn new(prefix: &'static str) -> Self {
        let attributes = Vec::new();
        Self { prefix, attributes }
    }

    /// Adds an attribute. Its name is charged; the value must be.
    pub(super) fn push(
        &mut self,
        name: &str,
        value: Value,
        meter: &mut Meter,
    ) -> Result<(), Invalid> {
        charge(meter, self.prefix.len() + name.len())?;
        self.push_named([self.prefix, name].concat().into(), value)
    }

    /// Adds the name and the version of a scope. They count more than attributes
    /// of the same names.
    pub(super) fn push_scope(&mut self, name: Value, version: Value) -> Result<(), Invalid> {
        for (at, value) in [(SCOPE_NAME, name), (SCOPE_VERSION, version)] {
            if value_bytes(&value) > 0 {
                self.push_named(at, value)?;
            }
        }
        Ok(())
    }

    fn push_named(&mut self, name: Text, value: Value) -> Result<(), Invalid> {
        if self.attributes.len() == ATTRIBUTES_MAX {
            return Err(Invalid::TooManyAttributes);
        }
        self.attributes.push((name, value));
        Ok(())
    }
}

impl Resource {
    pub(super) const fn new(source: Result<Source, Invalid>) -> Self {
        let alone = None;
        Self { source, alone }
    }

    /// What the records of this scope have in common.
    pub(super) fn with_scope(
        &mut self,
        scope: &Result<Source, Invalid>,
        meter: &mut Meter,
    ) -> Rc<Shared> {
        let mut shared = || Rc::new(share(&self.source, scope, meter));
        match scope {
            Ok(scope) if scope.attributes.is_empty() => {
                Rc::clone(self.alone.get_or_insert_with(shared))
            }
            _ => shared(),
        }
    }
}

fn share(
    resource: &Result<Source, Invalid>,
    scope: &Result<Source, Invalid>,
    meter: &mut Meter,
) -> Shared {
    let resource = resource.as_ref();
    let resource = resource.map_err(|invalid| format!("the record's resource: {invalid}"))?;
    let scope = scope.as_ref();
    let scope = scope.map_err(|invalid| format!("the record's scope: {invalid}"))?;
    Common::new(resource, scope, meter).map_err(|invalid| invalid.to_string())
}

impl Common {
    /// What the records of this scope of the resource have in common. The copy
    /// of all texts is charged.
    fn new(resource: &Source, scope: &Source, meter: &mut Meter) -> Result<Self, Invalid> {
        let all = || resource.attributes.iter().chain(&scope.attributes);
        if all().count() > ATTRIBUTES_MAX {
            return Err(Invalid::TooManyAttributes);
        }
        let size = |(name, value): &Attribute| ATTRIBUTE_BYTES + name.len() + value_bytes(value);
        charge(meter, all().map(size).sum())?;
        let mut attributes: Vec<_> = all().cloned().collect();
        merge_repeated(&mut attributes);
        Ok(Self {
            shared: SharedAttributes::new(attributes),
            names: OnceCell::new(),
        })
    }

    /// How many attributes a record may have besides these.
    pub(super) fn left(&self) -> usize {
        ATTRIBUTES_MAX - self.shared.list().len()
    }

    /// These and the record's own, which count more than shared ones of the same
    /// names.
    pub(super) fn with_own(&self, own: Vec<Attribute>) -> Attributes {
        let is_repeated = |(name, _): &Attribute| {
            (name.starts_with(RESOURCE) || name.starts_with(SCOPE)) && self.has(name)
        };
        if !own.iter().any(is_repeated) {
            return Attributes::with_shared(&self.shared, own);
        }
        let mut all = self.shared.list().to_vec();
        all.extend(own);
        keep_last_of_repeated(&mut all);
        all.into()
    }

    fn has(&self, name: &Text) -> bool {
        let list = self.shared.list();
        if list.len() <= FEW {
            return list.iter().any(|(shared, _)| shared == name);
        }
        let names = || list.iter().map(|(name, _)| name.clone()).collect();
        self.names.get_or_init(names).contains(name)
    }
}

/// The length of a value's text, in bytes.
fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Text(text) | Value::Json(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_budget::MemoryBudget;
    use crate::meter::Client;

    fn meter() -> Meter {
        Meter::new(MemoryBudget::new(1 << 20).reserve(), Client::default())
    }

    fn source(prefix: &'static str, names: &[&str]) -> Source {
        let mut source = Source::new(prefix);
        for name in names {
            let value = Value::Text((*name).into());
            source.push(name, value, &mut meter()).unwrap();
        }
        source
    }

    fn own(name: &str) -> Vec<Attribute> {
        vec![(name.into(), Value::Boolean(true))]
    }

    fn names(attributes: &Attributes) -> Vec<&str> {
        attributes.iter().map(|(name, _)| &**name).collect()
    }

    #[test]
    fn a_scopes_name_counts_more_than_its_attribute_name() {
        let mut scope = source(SCOPE, &["name", "a"]);
        let texts = ["n", "v"].map(|text| Value::Text(text.into()));
        let [name, version] = texts.clone();
        scope.push_scope(name, version).unwrap();
        let common = Common::new(&source(RESOURCE, &["r"]), &scope, &mut meter()).unwrap();
        let attributes = common.with_own(own("x"));
        let expected = ["resource.r", "scope.name", "scope.a", "scope.version", "x"];
        assert_eq!(names(&attributes), expected);
        assert_eq!(attributes.iter().nth(1).unwrap().1, texts[0]);
        assert_eq!(attributes.own_len(), 1);
    }

    #[test]
    fn a_records_own_attribute_counts_more_than_a_shared_one() {
        let many: Vec<_> = (0..100).map(|n| format!("r{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        for shared in [&many[..3], &many] {
            let resource = source(RESOURCE, shared);
            let common = Common::new(&resource, &source(SCOPE, &[]), &mut meter()).unwrap();
            let attributes = common.with_own(own("resource.r1"));
            assert_eq!(attributes.len(), shared.len());
            assert_eq!(attributes.own_len(), shared.len());
            let second = attributes.iter().nth(1).unwrap();
            assert_eq!(*second, ("resource.r1".into(), Value::Boolean(true)));
            assert_eq!(common.with_own(own("resource.other")).own_len(), 1);
        }
    }

    #[test]
    fn the_copy_is_charged() {
        let mut meter = meter();
        let mut resource = Source::new(RESOURCE);
        let value = Value::Text("v".repeat(1000).into());
        resource.push("name", value, &mut meter).unwrap();
        assert_eq!(meter.charged(), 13);
        Common::new(&resource, &Source::new(SCOPE), &mut meter).unwrap();
        assert_eq!(meter.charged(), 13 + ATTRIBUTE_BYTES + 13 + 1000);
    }
}
