//! What a registry wants to see: a password, or a token that it gives for one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_auth::{ChallengeRef, parse_challenges};
use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;

use super::credentials::Credential;
use super::error::Problem;
use super::session::Session;
use crate::plugin::remote::http::{Ask, succeeded};
use crate::plugin::remote::http_error::Shown;
use crate::plugin::remote::sent::Sent;
use crate::plugin::source::is_loopback;

/// The largest answer with a token that is read, in bytes.
const MAX_TOKEN_ANSWER: u64 = 1 << 20;
const FORM: &str = "application/x-www-form-urlencoded";

/// Where a token is to be had.
struct TokenPlace {
    realm: Url,
    service: Option<String>,
    scope: String,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Session {
    /// Gets the authorization that a refusal asks for.
    pub(super) async fn authorize(&mut self, refusal: &Response) -> Result<(), Problem> {
        let credentials = &self.registry.credentials;
        let credential = credentials.of(self.reference.registry()).await?;
        self.is_known = !matches!(credential, Credential::Anonymous);
        let headers = refusal.headers().get_all(WWW_AUTHENTICATE);
        let headers: Vec<&str> = headers.iter().filter_map(|h| h.to_str().ok()).collect();
        let challenges = headers
            .iter()
            .flat_map(|h| parse_challenges(h).unwrap_or_default());
        let challenges: Vec<_> = challenges.collect();
        let by = |scheme| {
            challenges
                .iter()
                .find(|c| c.scheme.eq_ignore_ascii_case(scheme))
        };
        let authorization = if let Some(bearer) = by("Bearer") {
            let place = self.token_place(bearer)?;
            let token = self.token(place, &credential).await?;
            header(&format!("Bearer {token}"))
        } else if by("Basic").is_some() {
            basic(&credential)
        } else {
            let scheme = challenges.first().map_or("", |challenge| challenge.scheme);
            return Err(Problem::Scheme(scheme.to_owned()));
        };
        self.authorization = Some(authorization.ok_or_else(|| self.denied())?);
        Ok(())
    }

    fn token_place(&self, challenge: &ChallengeRef<'_>) -> Result<TokenPlace, Problem> {
        let value = |name: &str| {
            let mut params = challenge.params.iter();
            let found = params.find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_unescaped())
        };
        let realm = value("realm").and_then(|realm| Url::parse(&realm).ok());
        let realm = realm.ok_or(Problem::Address)?;
        if realm.scheme() != "https" && !is_loopback(realm.host_str().unwrap_or_default()) {
            return Err(Problem::Realm(Shown::from(&realm)));
        }
        let pull = || format!("repository:{}:pull", self.reference.repository());
        Ok(TokenPlace {
            realm,
            service: value("service"),
            scope: value("scope").unwrap_or_else(pull),
        })
    }

    async fn token(&self, place: TokenPlace, credential: &Credential) -> Result<String, Problem> {
        let TokenPlace {
            mut realm,
            service,
            scope,
        } = place;
        let service = service.as_deref().map(|service| ("service", service));
        let wanted = service.into_iter().chain([("scope", scope.as_str())]);
        let http = &self.registry.http;
        let response = if let Credential::Identity(identity) = credential {
            let grant = [
                ("grant_type", "refresh_token"),
                ("client_id", "sluice"),
                ("refresh_token", identity),
            ];
            let form = Bytes::from(form(wanted.chain(grant)));
            let ask = Ask::new(Method::POST, realm);
            http.send(&ask, FORM, Sent::default().counting(form))
                .await?
        } else {
            realm.query_pairs_mut().extend_pairs(wanted);
            let mut ask = Ask::new(Method::GET, realm);
            ask.authorization = basic(credential);
            http.ask(&ask).await?
        };
        if [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&response.status()) {
            return Err(self.denied());
        }
        let answer = http.body(succeeded(response)?, MAX_TOKEN_ANSWER).await?;
        let answer = serde_json::from_slice(&answer).ok();
        let token = answer.and_then(|answer: TokenAnswer| answer.token.or(answer.access_token));
        token.ok_or_else(|| Problem::Token(self.reference.registry().to_owned()))
    }
}

fn form<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    // An address is what this crate can encode; nothing is sent to it.
    let Ok(mut url) = Url::parse("http://form") else {
        return String::new();
    };
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

fn basic(credential: &Credential) -> Option<HeaderValue> {
    let Credential::Password { user, password } = credential else {
        return None;
    };
    header(&format!(
        "Basic {}",
        STANDARD.encode(format!("{user}:{password}"))
    ))
}

fn header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
