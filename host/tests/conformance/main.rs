//! What Sluice relies on in Consul, asked of a real Consul and of the embedded
//! coordinator: one set of tests, each run on both.

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
    reason = "these tests share it with others, and need only a part"
)]
#[path = "../integration/support/mod.rs"]
mod support;
