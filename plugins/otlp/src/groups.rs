//! Tells apart where records come from: the resources and scopes of a batch.

use std::collections::BTreeMap;

/// The resources and scopes of a batch, numbered in the order in which they occur.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: Vec<Group>,
    by_resource: BTreeMap<Vec<u8>, usize>,
    by_scope: BTreeMap<(usize, Vec<u8>), usize>,
    last: usize,
}

/// A scope of a resource.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// Which resource it is.
    pub(crate) number: usize,
    /// The content of the `Resource`.
    pub(crate) resource: Vec<u8>,
    /// The content of the `InstrumentationScope`.
    pub(crate) scope: Vec<u8>,
}

impl Groups {
    /// The number of the group with this resource and scope.
    pub(crate) fn find(&mut self, resource: &[u8], scope: &[u8]) -> usize {
        // Records of one place usually follow each other.
        if let Some(last) = self.groups.get(self.last)
            && last.resource == resource
            && last.scope == scope
        {
            return self.last;
        }
        self.last = self.look_up(resource, scope);
        self.last
    }

    pub(crate) fn get(&self, number: usize) -> Option<&Group> {
        self.groups.get(number)
    }

    fn look_up(&mut self, resource: &[u8], scope: &[u8]) -> usize {
        let number = match self.by_resource.get(resource) {
            Some(number) => *number,
            None => {
                let number = self.by_resource.len();
                self.by_resource.insert(resource.to_vec(), number);
                number
            }
        };
        let key = (number, scope.to_vec());
        if let Some(found) = self.by_scope.get(&key) {
            return *found;
        }
        let found = self.groups.len();
        self.groups.push(Group {
            number,
            resource: resource.to_vec(),
            scope: scope.to_vec(),
        });
        self.by_scope.insert(key, found);
        found
    }
}
