//! The records of a batch, as they are handed to a sink.

use std::ops::Deref;
use std::sync::Arc;

use crate::record::LogRecord;

/// Records that a batch and the sink that writes it share. Cloning copies no
/// record, so that a sink can keep them beyond a borrow, for as long as its call
/// lasts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Records(Arc<Vec<LogRecord>>);

impl Records {
    /// The list, to change it. Copies the records if a clone still exists: a
    /// sink whose call has ended holds none.
    pub fn to_mut(&mut self) -> &mut Vec<LogRecord> {
        Arc::make_mut(&mut self.0)
    }

    /// The list. Copies the records if a clone still exists.
    #[must_use]
    pub fn into_vec(self) -> Vec<LogRecord> {
        Arc::unwrap_or_clone(self.0)
    }

    /// Separates the records from this index on.
    #[must_use]
    pub fn split_off(&mut self, at: usize) -> Self {
        self.to_mut().split_off(at).into()
    }
}

impl Deref for Records {
    type Target = [LogRecord];

    fn deref(&self) -> &[LogRecord] {
        &self.0
    }
}

impl From<Vec<LogRecord>> for Records {
    fn from(records: Vec<LogRecord>) -> Self {
        Self(Arc::new(records))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Text;

    fn records(bodies: [&'static str; 3]) -> Records {
        let record = |body| LogRecord::with_body(Text::from_static(body), 0);
        bodies.map(record).to_vec().into()
    }

    #[test]
    fn a_clone_shares_the_records_and_keeps_them() {
        let mut batch = records(["a", "b", "c"]);
        let shared = batch.clone();
        assert_eq!(shared.as_ptr(), batch.as_ptr());
        let rest = batch.split_off(1);
        assert_eq!((batch.len(), rest.len()), (1, 2));
        assert_eq!(shared, records(["a", "b", "c"]));
    }

    #[test]
    fn records_that_are_shared_no_more_are_not_copied() {
        let mut batch = records(["a", "b", "c"]);
        let place = batch.as_ptr();
        drop(batch.clone());
        batch.to_mut().truncate(2);
        let list = batch.into_vec();
        assert_eq!(list.as_ptr(), place);
    }
}
