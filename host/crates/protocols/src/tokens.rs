//! The token that a request carries. Each protocol's clients have their own ways
//! to send one, and only those are read on that protocol's routes.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// The parameter of [`Carrier::Query`].
const QUERY_NAME: &str = "token";

/// Which clients a route is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `/api/v1/log`, `/api/v1/logs`.
    Native,
    /// OTLP over HTTP or gRPC.
    Otlp,
    /// `_bulk`, single documents, and the handshakes.
    Elasticsearch,
    /// Loki's push and probes.
    Loki,
    /// Splunk's HTTP event collector.
    Splunk,
    /// `/gelf`.
    Gelf,
    /// `/upload`.
    Journald,
    /// `/api/v2/logs`, `/v1/input`.
    Datadog,
    /// Routes by `X-Amz-Target`.
    AwsLogs,
    /// Logplex drains.
    Heroku,
    /// Cloudflare Logpush.
    Cloudflare,
}

impl Protocol {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 11] = [
        Self::Native,
        Self::Otlp,
        Self::Elasticsearch,
        Self::Loki,
        Self::Splunk,
        Self::Gelf,
        Self::Journald,
        Self::Datadog,
        Self::AwsLogs,
        Self::Heroku,
        Self::Cloudflare,
    ];

    /// The name for operators.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Otlp => "otlp",
            Self::Elasticsearch => "elasticsearch",
            Self::Loki => "loki",
            Self::Splunk => "splunk",
            Self::Gelf => "gelf",
            Self::Journald => "journald",
            Self::Datadog => "datadog",
            Self::AwsLogs => "awslogs",
            Self::Heroku => "heroku",
            Self::Cloudflare => "cloudflare",
        }
    }
}

/// Where a token can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carrier {
    /// `Authorization: Bearer <token>`.
    Bearer,
    /// `Authorization: Splunk <token>`.
    Splunk,
    /// `Authorization: ApiKey <token>`, or base64 of `<id>:<token>`.
    ApiKey,
    /// `Authorization: Basic`, base64 of `<any user>:<token>`.
    Basic,
    /// `DD-API-KEY: <token>`.
    DdApiKey,
    /// `?token=<token>`.
    Query,
}

/// The table of carriers. Clients that can set any header can send `Bearer`.
///
/// `AwsLogs` has none: its clients prove with a signature (`AWS4-HMAC-SHA256`)
/// that they have a secret, and never send it.
const fn carriers(protocol: Protocol) -> &'static [Carrier] {
    use Carrier::{ApiKey, Basic, Bearer, DdApiKey, Query, Splunk};
    match protocol {
        Protocol::Native
        | Protocol::Otlp
        | Protocol::Loki
        | Protocol::Gelf
        | Protocol::Journald
        | Protocol::Cloudflare => &[Bearer, Basic],
        Protocol::Elasticsearch => &[ApiKey, Basic, Bearer],
        Protocol::Splunk => &[Splunk, Basic, Query],
        Protocol::Datadog => &[DdApiKey],
        Protocol::AwsLogs => &[],
        Protocol::Heroku => &[Basic],
    }
}

/// The parts of a request that can carry a token. A header that is there but not
/// text is given as an empty one.
#[derive(Clone, Copy, Default)]
pub struct Credentials<'a> {
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// The `DD-API-KEY` header.
    pub dd_api_key: Option<&'a str>,
    /// The query of the URL, without the question mark.
    pub query: &'a str,
}

/// What a request carries.
#[derive(Debug, PartialEq, Eq)]
pub enum Carried<'a> {
    /// Nothing where this protocol's clients put a token.
    Nothing,
    /// Something that holds no token for this protocol: an unknown scheme, no
    /// base64, or an empty token.
    Malformed,
    /// A token. It is not checked yet.
    Token(Token<'a>),
}

/// What may be the token; its bytes are not shown.
#[derive(PartialEq, Eq)]
pub struct Token<'a> {
    bytes: Cow<'a, [u8]>,
    /// The same read in another way.
    other: Option<Vec<u8>>,
}

impl<'a> Token<'a> {
    /// What to compare with the known tokens: one of them is enough. There are two
    /// for an `ApiKey`, which is the token itself, or `<id>:<token>` in base64,
    /// as the Elasticsearch clients send a pair of id and key.
    pub fn candidates(&self) -> impl Iterator<Item = &[u8]> {
        [Some(&*self.bytes), self.other.as_deref()]
            .into_iter()
            .flatten()
    }

    fn new(bytes: impl Into<Cow<'a, [u8]>>) -> Option<Self> {
        let bytes = bytes.into();
        (!bytes.is_empty()).then_some(Self { bytes, other: None })
    }
}

impl fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Finds the token of a request on a route of this protocol.
#[must_use]
pub fn find<'a>(protocol: Protocol, credentials: &Credentials<'a>) -> Carried<'a> {
    let carriers = carriers(protocol);
    let reads = |carrier| carriers.contains(&carrier);
    let is_authorized = [
        Carrier::Bearer,
        Carrier::Splunk,
        Carrier::ApiKey,
        Carrier::Basic,
    ]
    .into_iter()
    .any(reads);
    let found = match *credentials {
        Credentials {
            authorization: Some(header),
            ..
        } if is_authorized => authorized(carriers, header),
        Credentials {
            dd_api_key: Some(header),
            ..
        } if reads(Carrier::DdApiKey) => Token::new(header.trim().as_bytes()),
        Credentials { query, .. } if reads(Carrier::Query) => {
            let Some(value) = parameter(query) else {
                return Carried::Nothing;
            };
            percent_decoded(value).and_then(Token::new)
        }
        _ => return Carried::Nothing,
    };
    found.map_or(Carried::Malformed, Carried::Token)
}

/// The query without the token, for logs.
#[must_use]
pub fn without_token(query: &str) -> Cow<'_, str> {
    let is_token = |part: &str| part.split('=').next() == Some(QUERY_NAME);
    if !query.split('&').any(is_token) {
        return Cow::Borrowed(query);
    }
    let parts = query.split('&').filter(|part| !is_token(part));
    Cow::Owned(parts.collect::<Vec<_>>().join("&"))
}

/// The token in an `Authorization` header of one of these carriers' schemes.
fn authorized<'a>(carriers: &[Carrier], header: &'a str) -> Option<Token<'a>> {
    let (scheme, rest) = header.trim().split_once([' ', '\t'])?;
    let schemes = [
        ("bearer", Carrier::Bearer),
        ("splunk", Carrier::Splunk),
        ("apikey", Carrier::ApiKey),
        ("basic", Carrier::Basic),
    ];
    let is_named = |(name, _): &&(&str, Carrier)| scheme.eq_ignore_ascii_case(name);
    let (_, carrier) = schemes.iter().find(is_named)?;
    let rest = rest.trim();
    match carrier {
        carrier if !carriers.contains(carrier) => None,
        Carrier::Basic => Token::new(behind_colon(rest)?),
        Carrier::ApiKey => Some(Token {
            other: behind_colon(rest).filter(|token| !token.is_empty()),
            ..Token::new(rest.as_bytes())?
        }),
        _ => Token::new(rest.as_bytes()),
    }
}

/// What is behind the first colon of a pair in base64.
fn behind_colon(base64: &str) -> Option<Vec<u8>> {
    let pair = BASE64.decode(base64).ok()?;
    let colon = memchr::memchr(b':', &pair)?;
    pair.get(colon + 1..).map(<[u8]>::to_vec)
}

/// The value of the token's parameter.
fn parameter(query: &str) -> Option<&str> {
    let mut pairs = query.split('&').filter_map(|part| part.split_once('='));
    pairs.find_map(|(name, value)| (name == QUERY_NAME).then_some(value))
}

/// Undoes percent encoding. A plus stays one: no token has a space.
fn percent_decoded(value: &str) -> Option<Cow<'_, [u8]>> {
    if !value.contains('%') {
        return Some(Cow::Borrowed(value.as_bytes()));
    }
    let mut parts = value.split('%');
    let mut decoded = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.as_bytes().split_first_chunk::<2>()?;
        let mut byte = [0];
        hex::decode_to_slice(digits, &mut byte).ok()?;
        decoded.extend(byte);
        decoded.extend(rest);
    }
    Some(Cow::Owned(decoded))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Protocol::{AwsLogs, Datadog, Elasticsearch, Heroku, Journald, Loki, Native, Splunk};

    const ALL: [Protocol; 11] = [
        Native,
        Protocol::Otlp,
        Elasticsearch,
        Loki,
        Splunk,
        Protocol::Gelf,
        Journald,
        Datadog,
        AwsLogs,
        Heroku,
        Protocol::Cloudflare,
    ];

    fn authorization(header: &str) -> Credentials<'_> {
        Credentials {
            authorization: Some(header),
            ..Credentials::default()
        }
    }

    fn tokens(protocol: Protocol, credentials: &Credentials<'_>) -> Option<Vec<String>> {
        match find(protocol, credentials) {
            Carried::Token(token) => {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                Some(token.candidates().map(text).collect())
            }
            _ => None,
        }
    }

    /// The protocols on whose routes this carries a token.
    fn read_by(credentials: &Credentials<'_>) -> Vec<Protocol> {
        let reads = |protocol: &Protocol| tokens(*protocol, credentials).is_some();
        ALL.into_iter().filter(reads).collect()
    }

    #[test]
    fn each_carrier_is_read_only_where_clients_use_it() {
        let bearer = authorization("Bearer t");
        let without = [Splunk, Datadog, AwsLogs, Heroku];
        let others = |not: &[Protocol]| {
            let mut all = ALL.to_vec();
            all.retain(|protocol| !not.contains(protocol));
            all
        };
        assert_eq!(read_by(&bearer), others(&without));
        let basic = authorization("Basic eDp0");
        assert_eq!(read_by(&basic), others(&[Datadog, AwsLogs]));
        assert_eq!(read_by(&authorization("Splunk t")), [Splunk]);
        assert_eq!(read_by(&authorization("ApiKey t")), [Elasticsearch]);
        let dd_api_key = Credentials {
            dd_api_key: Some("t"),
            ..Credentials::default()
        };
        assert_eq!(read_by(&dd_api_key), [Datadog]);
        let query = Credentials {
            query: "token=t",
            ..Credentials::default()
        };
        assert_eq!(read_by(&query), [Splunk]);
    }

    #[test]
    fn the_token_is_what_clients_were_configured_with() {
        for (protocol, header, expected) in [
            (Native, "Bearer  abc ", &["abc"][..]),
            (Native, "bearer abc", &["abc"]),
            (Splunk, "Splunk 1b2c-3d", &["1b2c-3d"]),
            // `x:to:ken`, with and without padding.
            (Splunk, "Basic eDp0bzprZW4=", &["to:ken"]),
            (Loki, "Basic eDp0bzprZW4", &["to:ken"]),
            (Elasticsearch, "ApiKey plain-token", &["plain-token"]),
            // `id:key`, as Beats and the Python client send a pair.
            (Elasticsearch, "ApiKey aWQ6a2V5", &["aWQ6a2V5", "key"]),
        ] {
            let found = tokens(protocol, &authorization(header));
            assert_eq!(found.unwrap(), expected, "{header}");
        }
    }

    #[test]
    fn what_holds_no_token_is_malformed_and_nothing_is_nothing() {
        for header in [
            "",
            "Bearer",
            "Bearer ",
            "Digest x",
            "Splunk x",
            "Basic %%%",
            // `user`, `user:`.
            "Basic dXNlcg==",
            "Basic dXNlcjo=",
            "AWS4-HMAC-SHA256 Credential=AKIATEST/20261121",
        ] {
            let found = find(Loki, &authorization(header));
            assert_eq!(found, Carried::Malformed, "{header:?}");
            let found = find(AwsLogs, &authorization(header));
            assert_eq!(found, Carried::Nothing, "{header:?}");
        }
        for protocol in ALL {
            let found = find(protocol, &Credentials::default());
            assert_eq!(found, Carried::Nothing);
        }
    }

    #[test]
    fn the_query_carries_a_token_and_a_header_goes_before_it() {
        let credentials = |query, authorization| Credentials {
            query,
            authorization,
            ..Credentials::default()
        };
        for (query, header, expected) in [
            ("channel=c&token=a%2Bb+c", None, Some("a+b+c")),
            ("token=%", None, None),
            ("token=%zz", None, None),
            ("token=%+1", None, None),
            ("token=", None, None),
            ("my_token=a&TOKEN=b", None, None),
            ("token=a", Some("Splunk b"), Some("b")),
            ("token=a", Some("Digest b"), None),
        ] {
            let found = tokens(Splunk, &credentials(query, header));
            let expected = expected.map(|token| vec![token.to_owned()]);
            assert_eq!(found, expected, "{query}");
        }
    }

    #[test]
    fn a_token_is_never_shown() {
        let secret = find(Native, &authorization("Bearer secret"));
        assert!(!format!("{secret:?}").contains("secret"));
        for (query, expected) in [
            ("token=secret", ""),
            ("channel=c&token=secret&host=h", "channel=c&host=h"),
            ("token&token=secret&a=b", "a=b"),
            ("channel=c", "channel=c"),
        ] {
            assert_eq!(without_token(query), expected);
        }
    }
}
