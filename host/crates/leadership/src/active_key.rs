//! `<c>/active`: what the leader says of the sink that really runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::lock_client::LockClient;
use super::tenure::Tenure;
use sluice_consul::{Error, Operation, Refusal, TxnOutcome};
use sluice_types::documents::ActiveDocument;
use sluice_types::error_chain::chain;

const TRANSACTION: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_secs(1);

/// Keeps the key as `active` says while this node holds the lock; what the
/// leader before it wrote stands until there is something to say.
pub(super) async fn keep(
    lock_client: Arc<LockClient>,
    mut tenure: watch::Receiver<Option<Tenure>>,
    mut active: watch::Receiver<Option<ActiveDocument>>,
) {
    let mut written = None;
    loop {
        let holding = tenure.borrow_and_update().clone();
        let said = active.borrow_and_update().clone();
        let mut retry = None;
        if let (Some(tenure), Some(said)) = (holding, said)
            && written.as_ref() != Some(&(tenure.clone(), said.clone()))
        {
            match write(&lock_client, &tenure, said.clone()).await {
                Ok(outcome) => {
                    // Otherwise the lock is gone, and so is the right to speak.
                    if let TxnOutcome::RolledBack(refused) = outcome
                        && refused.is_for(Refusal::PermissionDenied)
                    {
                        tracing::error!(
                            %refused,
                            "Consul's ACL does not let the leader write the active sink's key"
                        );
                    }
                    written = Some((tenure, said));
                }
                Err(error) => {
                    tracing::debug!(
                        error = chain(&error),
                        "could not write the active sink's key"
                    );
                    retry = Some(RETRY);
                }
            }
        }
        tokio::select! {
            changed = tenure.changed() => if changed.is_err() { return },
            changed = active.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(retry.unwrap_or_default()), if retry.is_some() => {}
        }
    }
}

async fn write(
    lock_client: &LockClient,
    tenure: &Tenure,
    said: ActiveDocument,
) -> Result<TxnOutcome, Error> {
    let document = ActiveDocument {
        epoch: tenure.epoch,
        ..said
    };
    // Strings and numbers always have a JSON form.
    let value = serde_json::to_vec(&document).unwrap_or_default();
    let operations = [
        Operation::CheckSession {
            key: &lock_client.keys.leader,
            session: &tenure.session,
        },
        Operation::Set {
            key: &lock_client.keys.active,
            value: &value,
        },
    ];
    lock_client.client.transact(&operations, TRANSACTION).await
}
