use rmpv::Value as Packed;
use sluice_types::record::Value;

use super::group::GROUP_ATTRIBUTES_MAX;
use super::message::Records;
use super::sample::*;

fn marker(seconds: u32, record: Packed) -> Packed {
    let metadata = map(&[("schema", text("otlp"))]);
    array(vec![array(vec![event_time(seconds, 0), metadata]), record])
}

#[test]
fn the_groups_of_fluent_bit_are_no_records_but_attributes_of_them() {
    let group = map(&[
        (
            "resource",
            map(&[
                (
                    "attributes",
                    map(&[("service.name", text("shop")), ("n", Packed::from(1))]),
                ),
                ("dropped_attributes_count", Packed::from(0)),
            ]),
        ),
        (
            "scope",
            map(&[
                ("name", text("lib")),
                ("version", text("2")),
                ("attributes", map(&[("a", array(vec![]))])),
            ]),
        ),
    ]);
    let entries = entries(&[
        entry("before"),
        marker(u32::MAX, group),
        array(vec![
            Packed::from(1),
            map(&[("log", text("in")), ("resource.n", text("own"))]),
        ]),
        marker(u32::MAX - 1, map(&[])),
        entry("behind"),
    ]);
    let Records { decoded, .. } = records(packed(&entries, &[("chunk", text("c"))]));
    assert_eq!(bodies(&decoded.records), ["before", "in", "behind"]);
    let keys = decoded
        .records
        .iter()
        .map(|record| record.key.as_deref().unwrap());
    assert_eq!(keys.collect::<Vec<_>>(), ["c:0", "c:2", "c:4"]);
    let expected = [
        tag("app.web"),
        ("resource.n", Value::Integer(1)),
        ("resource.service.name", Value::Text("shop".into())),
        ("scope.a", Value::Json("[]".into())),
        ("scope.name", Value::Text("lib".into())),
        ("scope.version", Value::Text("2".into())),
    ];
    assert_eq!(owned(attributes(&decoded.records[1])), expected);
    for outside in [&decoded.records[0], &decoded.records[2]] {
        assert_eq!(owned(attributes(outside)), [tag("app.web")]);
    }
}

#[test]
fn a_group_with_too_many_attributes_is_rejected_and_its_records_are_not() {
    let names: Vec<_> = (0..=GROUP_ATTRIBUTES_MAX).map(|n| n.to_string()).collect();
    let many: Vec<_> = names.iter().map(|name| (&**name, Packed::Nil)).collect();
    let group = map(&[("resource", map(&[("attributes", map(&many))]))]);
    let entries = entries(&[marker(u32::MAX, group), entry("in")]);
    let records = records(packed(&entries, &[]));
    assert_eq!(
        owned(attributes(&records.decoded.records[0])),
        [tag("app.web")]
    );
    let reasons = reasons(records);
    assert!(reasons[0].1.contains("512 attributes"), "{reasons:?}");
}
