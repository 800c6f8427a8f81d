//! Names of fields in values and attributes.

use serde::Deserialize;

/// What `AnyValue` may hold.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
pub(super) enum ValueName {
    StringValue,
    BoolValue,
    IntValue,
    DoubleValue,
    ArrayValue,
    KvlistValue,
    BytesValue,
    #[serde(other)]
    Other,
}

/// Names in `KeyValue`.
#[derive(Debug, Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
pub(super) enum PairName {
    Key,
    Value,
    #[serde(other)]
    Other,
}
