//! What the spans of a node say of it.

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};

use crate::node::Node;

/// The attributes of a node. `OTEL_RESOURCE_ATTRIBUTES` goes before them, and
/// `OTEL_SERVICE_NAME` before that.
pub(crate) fn resource(node: &Node) -> Resource {
    let own = [
        KeyValue::new("service.name", "sluice"),
        KeyValue::new("service.version", node.version),
        KeyValue::new("service.instance.id", node.name.clone()),
        KeyValue::new("sluice.cluster", node.cluster.clone()),
    ];
    let resource = Resource::builder_empty()
        .with_attributes(own)
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_detector(Box::new(EnvResourceDetector::new()));
    let name = std::env::var("OTEL_SERVICE_NAME").unwrap_or_default();
    match name.is_empty() {
        true => resource.build(),
        false => resource.with_service_name(name).build(),
    }
}
