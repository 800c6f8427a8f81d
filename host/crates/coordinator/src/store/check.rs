/// A check to register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCheck {
    /// Unique on the node.
    pub id: String,
    /// A name for people.
    pub name: String,
    /// A description for people.
    pub notes: String,
    /// The status until the first report.
    pub status: CheckStatus,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckStatus {
    /// All is well.
    Passing,
    /// Something needs attention.
    Warning,
    /// The service, or the node, does not work.
    Critical,
}

/// A registered check. Without a service it is a check of the node.
#[derive(Clone, Debug)]
pub struct Check {
    /// Unique on the node.
    pub id: String,
    /// A name for people.
    pub name: String,
    /// A description for people.
    pub notes: String,
    /// The latest result.
    pub status: CheckStatus,
    /// The output of the report that last changed the status.
    pub output: String,
    /// The output of the latest report.
    pub latest_output: String,
    /// The service's id, name and tags.
    pub service: Option<(String, String, Vec<String>)>,
    /// The index of the change that created the check.
    pub create_index: u64,
    /// The index of the latest change to the check, its outputs aside.
    pub modify_index: u64,
}

impl Check {
    pub(super) fn is_of(&self, service: &str) -> bool {
        matches!(&self.service, Some((id, ..)) if id == service)
    }

    pub(super) fn service_name(&self) -> Option<&str> {
        self.service.as_ref().map(|(_, name, _)| name.as_str())
    }
}
