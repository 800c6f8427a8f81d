/// Sixteen random bytes in the form of a UUID.
pub(super) fn random() -> String {
    let mut hex = format!("{:032x}", rand::random::<u128>());
    for position in [20, 16, 12, 8] {
        hex.insert(position, '-');
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_five_parts() {
        let id = random();
        let parts: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12], "{id}");
    }
}
