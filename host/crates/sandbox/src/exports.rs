//! A sink's exports, in any version of the WIT.

use sluice_types::outcome::Failure;
use sluice_types::records::Records;
use sluice_types::sink::Attempt;
use wasmtime::Store;
use wasmtime::component::{Component, InstancePre, Resource};

use super::bindings::{v0_1, v0_2};
use super::guest::Guest;
use super::lower::{self, Refused};

const SINK_0_1: &str = "sluice:sink/sink@0.1.0";
const SINK_0_2: &str = "sluice:sink/sink@0.2.0";
/// The number that stands for the batch in handles. There is only one.
const BATCH: u32 = 0;

/// The exports of a component that is linked.
pub(super) enum ExportsPre {
    V0_1(v0_1::LogSinkPre<Guest>),
    V0_2(v0_2::LogSinkPre<Guest>),
}

/// The exports of an instance.
pub(super) enum Exports {
    V0_1(v0_1::LogSink),
    V0_2(v0_2::LogSink),
}

/// How a function of the sink ended: what it answered, or a trap.
type Answer<T> = wasmtime::Result<Result<T, Failure>>;

impl ExportsPre {
    /// Finds the exports of the newest version that the component has.
    ///
    /// # Errors
    /// It has no version, or not in full.
    pub(super) fn find(
        component: &Component,
        linked: InstancePre<Guest>,
    ) -> wasmtime::Result<Self> {
        let has = |sink| component.get_export_index(None, sink).is_some();
        if has(SINK_0_1) && !has(SINK_0_2) {
            return v0_1::LogSinkPre::new(linked).map(Self::V0_1);
        }
        v0_2::LogSinkPre::new(linked).map(Self::V0_2)
    }

    pub(super) fn engine(&self) -> &wasmtime::Engine {
        match self {
            Self::V0_1(pre) => pre.engine(),
            Self::V0_2(pre) => pre.engine(),
        }
    }

    pub(super) async fn instantiate(&self, store: &mut Store<Guest>) -> wasmtime::Result<Exports> {
        Ok(match self {
            Self::V0_1(pre) => Exports::V0_1(pre.instantiate_async(store).await?),
            Self::V0_2(pre) => Exports::V0_2(pre.instantiate_async(store).await?),
        })
    }
}

impl Exports {
    pub(super) async fn open(&self, store: &mut Store<Guest>, config: &str) -> Answer<()> {
        Ok(match self {
            Self::V0_1(sink) => {
                let opened = sink.sluice_sink_sink().call_open(store, config).await?;
                opened.map_err(lower::failure)
            }
            Self::V0_2(sink) => {
                let opened = sink.sluice_sink_sink().call_open(store, config).await?;
                opened.map_err(lower::failure)
            }
        })
    }

    pub(super) async fn write(
        &self,
        store: &mut Store<Guest>,
        attempt: Attempt,
        batch: &Records,
    ) -> Answer<Refused> {
        Ok(match self {
            Self::V0_1(sink) => {
                let delivery = v0_1::Delivery {
                    epoch: attempt.epoch,
                    attempt: attempt.number,
                };
                let attributes = lower::attributes(batch);
                let records = lower::records(batch, &attributes);
                let sink = sink.sluice_sink_sink();
                let written = sink.call_write(store, delivery, &records).await?;
                written.map(Refused::from).map_err(lower::failure)
            }
            Self::V0_2(sink) => {
                let delivery = v0_2::Delivery {
                    epoch: attempt.epoch,
                    attempt: attempt.number,
                };
                // The views show it until the call ends.
                store.data_mut().batch = Some(batch.clone());
                let sink = sink.sluice_sink_sink();
                let borrow = Resource::new_borrow(BATCH);
                let written = sink.call_write(&mut *store, delivery, borrow).await;
                store.data_mut().batch = None;
                written?.map(Refused::from).map_err(lower::failure)
            }
        })
    }

    pub(super) async fn close(&self, store: &mut Store<Guest>) -> wasmtime::Result<()> {
        match self {
            Self::V0_1(sink) => sink.sluice_sink_sink().call_close(store).await,
            Self::V0_2(sink) => sink.sluice_sink_sink().call_close(store).await,
        }
    }
}
