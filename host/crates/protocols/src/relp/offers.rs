//! What a client says of itself when it begins a session.

/// What matters of the offers. Others are ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offers<'a> {
    /// The version of the protocol, if it is a number.
    pub version: Option<u32>,
    /// The client's software, up to the first comma: its name.
    pub software: Option<&'a str>,
    /// Whether it wants to send messages. A client that does not say what it
    /// wants counts as one that does.
    pub has_syslog: bool,
}

impl<'a> Offers<'a> {
    /// Reads the data of an `open` command: a line `name=value,value` for each
    /// offer.
    #[must_use]
    pub fn read(data: &'a [u8]) -> Self {
        let mut offers = Self {
            has_syslog: true,
            ..Self::default()
        };
        for line in data.split(|byte| *byte == b'\n') {
            let Ok(line) = std::str::from_utf8(line) else {
                continue;
            };
            let (name, values) = line.split_once('=').unwrap_or((line, ""));
            let mut values = values.trim_end_matches('\r').split(',');
            match name {
                "relp_version" => offers.version = values.next().and_then(|n| n.parse().ok()),
                "relp_software" => offers.software = values.next().filter(|n| !n.is_empty()),
                "commands" => offers.has_syslog = values.any(|command| command == "syslog"),
                _ => {}
            }
        }
        offers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offers_of_librelp_are_understood() {
        let data = b"relp_version=0\nrelp_software=librelp,1.11.0,http://librelp.adiscon.com\n\
            commands=syslog";
        let expected = Offers {
            version: Some(0),
            software: Some("librelp"),
            has_syslog: true,
        };
        assert_eq!(Offers::read(data), expected);
    }

    #[test]
    fn what_is_missing_or_wrong_is_left_out() {
        assert!(Offers::read(b"").has_syslog);
        let data = b"\xff=1\nrelp_version=x\nrelp_software\n\ncommands=eventlog,starttls\nx=y";
        assert_eq!(Offers::read(data), Offers::default());
        assert!(Offers::read(b"commands=eventlog,syslog\r\n").has_syslog);
    }
}
