//! What Sluice relies on in Consul. One set of tests, each run against a real
//! Consul and against the embedded coordinator.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failure here fails the test"
)]

/// Runs each of these tests on a real Consul and on the embedded coordinator.
macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        mod on_consul {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::subject::Subject::consul().await).await;
            })*
        }
        mod on_embedded {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::subject::Subject::embedded().await).await;
            })*
        }
    };
}

mod catalog;
mod checks;
mod command_line;
mod histories;
mod keys;
mod locks;
mod malformed;
mod restart;
mod sessions;
mod subject;
mod transactions;
mod watches;

#[allow(
    dead_code,
    unused_imports,
    reason = "shared with other tests, and these use only a part of it"
)]
#[path = "../integration/support/mod.rs"]
mod support;
