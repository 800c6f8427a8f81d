//! The registry with the metrics that have one sample per stream.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Metric, Registry};

use super::durations::DurationHistogram;
use super::names::{MetricName, PREFIX};

/// The label of a sample: its name and the stream's.
pub(super) type StreamLabel = [(&'static str, String); 1];
/// A gauge of seconds.
pub(super) type SecondsGauge = Gauge<f64, AtomicU64>;

type ByName<M, C = fn() -> M> = BTreeMap<&'static str, Family<StreamLabel, M, C>>;

/// The registry, and the families that were registered in it.
#[derive(Debug)]
pub(super) struct Families {
    pub(super) registry: Registry,
    counters: ByName<Counter>,
    gauges: ByName<Gauge>,
    seconds: ByName<SecondsGauge>,
    histograms: ByName<DurationHistogram>,
}

impl Families {
    pub(super) fn new() -> Self {
        Self {
            registry: Registry::with_prefix(PREFIX),
            counters: BTreeMap::new(),
            gauges: BTreeMap::new(),
            seconds: BTreeMap::new(),
            histograms: BTreeMap::new(),
        }
    }

    pub(super) fn counter(&mut self, name: MetricName, label: &StreamLabel) -> Counter {
        let make: fn() -> Counter = Counter::default;
        sample(&mut self.registry, &mut self.counters, name, label, make)
    }

    pub(super) fn gauge(&mut self, name: MetricName, label: &StreamLabel) -> Gauge {
        let make: fn() -> Gauge = Gauge::default;
        sample(&mut self.registry, &mut self.gauges, name, label, make)
    }

    pub(super) fn seconds(&mut self, name: MetricName, label: &StreamLabel) -> SecondsGauge {
        let make: fn() -> SecondsGauge = SecondsGauge::default;
        sample(&mut self.registry, &mut self.seconds, name, label, make)
    }

    /// Removes the samples of a stream.
    pub(super) fn remove(&mut self, label: &StreamLabel) {
        remove(&self.counters, label);
        remove(&self.gauges, label);
        remove(&self.seconds, label);
        remove(&self.histograms, label);
    }

    pub(super) fn histogram(&mut self, name: MetricName, label: &StreamLabel) -> DurationHistogram {
        let make: fn() -> DurationHistogram = DurationHistogram::default;
        sample(&mut self.registry, &mut self.histograms, name, label, make)
    }
}

fn remove<M, C: MetricConstructor<M>>(families: &ByName<M, C>, label: &StreamLabel) {
    for family in families.values() {
        family.remove(label);
    }
}

/// The stream's sample of a family, which is registered with the first one.
fn sample<M, C>(
    registry: &mut Registry,
    families: &mut ByName<M, C>,
    name: MetricName,
    label: &StreamLabel,
    make: C,
) -> M
where
    M: Clone,
    C: MetricConstructor<M> + Clone,
    Family<StreamLabel, M, C>: Metric,
{
    let MetricName { name, help, unit } = name;
    let family = families.entry(name).or_insert_with(|| {
        let family = Family::new_with_constructor(make);
        match unit {
            Some(unit) => registry.register_with_unit(name, help, unit, family.clone()),
            None => registry.register(name, help, family.clone()),
        }
        family
    });
    family.get_or_create_owned(label)
}
