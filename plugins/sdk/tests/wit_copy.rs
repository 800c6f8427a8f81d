//! The crate has its own copy of the WIT, because it is also copied to places
//! without the rest of the repository.

#[test]
fn the_wit_of_the_crate_is_that_of_the_repository() {
    let repository = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/0.2/sink.wit");
    let own = include_str!("../wit/sink.wit");
    let released = std::fs::read_to_string(repository).unwrap();
    assert!(
        own == released,
        "copy wit/0.2/sink.wit to plugins/sdk/wit/sink.wit"
    );
}
