use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;

use super::client::Registry;
use super::credentials::Credentials;
use super::manifest::{Descriptor, Manifest};
use super::media_types::{CONFIG_TYPE, LAYER_TYPE};
use crate::plugin::digest::sha256;
use crate::plugin::remote::http::Http;
use crate::plugin::source::OciReference;
use sluice_types::error_chain::chain;

const COMPONENT: &str = "a component";
const PASSWORD: &str = "Basic bWU6c2VjcmV0";

/// A registry that gives tokens for a password or an identity, and wants one with
/// each request. The tag `other` has a layer whose bytes are others.
async fn registry() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let router = Router::new()
        .route("/token", get(token_for_password).post(token_for_identity))
        .fallback(content)
        .with_state(Arc::new(address.clone()));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn token_for_password(headers: HeaderMap, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default();
    assert_eq!(query, "service=tests&scope=repository%3Aa%3Apull");
    match headers
        .get("authorization")
        .map(|value| value.to_str().unwrap())
    {
        Some(PASSWORD) => json!({"token": "good"}).to_string().into_response(),
        None => json!({"token": "anonymous"}).to_string().into_response(),
        Some(_) => StatusCode::UNAUTHORIZED.into_response(),
    }
}

async fn token_for_identity(form: String) -> Response {
    let expected = "service=tests&scope=repository%3Aa%3Apull&grant_type=refresh_token\
        &client_id=sluice&refresh_token=its";
    match form == expected {
        true => json!({"access_token": "good"}).to_string().into_response(),
        false => StatusCode::UNAUTHORIZED.into_response(),
    }
}

async fn content(State(address): State<Arc<String>>, request: Request) -> Response {
    let token = request.headers().get("authorization");
    if token.is_none_or(|token| token != "Bearer good") {
        let challenge = format!(
            "Bearer realm=\"http://{address}/token\",service=\"tests\",scope=\"repository:a:pull\""
        );
        return (StatusCode::UNAUTHORIZED, [("www-authenticate", challenge)]).into_response();
    }
    let part =
        |media_type, text: &str| Descriptor::new(media_type, &sha256(text.as_bytes()), text.len());
    let path = request.uri().path();
    if let Some(tag) = path.strip_prefix("/v2/a/manifests/") {
        let layer = part(LAYER_TYPE, if tag == "other" { "other" } else { COMPONENT });
        return json!(Manifest::of(part(CONFIG_TYPE, "{}"), layer))
            .to_string()
            .into_response();
    }
    match path.starts_with("/v2/a/blobs/sha256:") {
        true => COMPONENT.into_response(),
        false => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Pulls a tag from that registry, with a configuration that has this for it.
async fn pull(address: &str, tag: &str, credentials: serde_json::Value) -> Result<Vec<u8>, String> {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({"auths": { address: credentials }}).to_string();
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    let registry = access(folder.path());
    let reference = OciReference::destination(&format!("oci://{address}/a:{tag}")).unwrap();
    let layer = registry.layer(&reference).await.map_err(|e| chain(&e))?;
    registry.component(&layer).await.map_err(|e| chain(&e))
}

fn access(folder: &Path) -> Registry {
    Registry {
        http: Http::to_fetch().unwrap(),
        credentials: Credentials::in_file(Some(folder.join("config.json"))),
    }
}

#[tokio::test]
async fn a_token_is_given_for_a_password_or_an_identity() {
    let address = registry().await;
    for credentials in [
        json!({"username": "me", "password": "secret"}),
        json!({"identitytoken": "its"}),
    ] {
        let component = pull(&address, "1", credentials).await.unwrap();
        assert_eq!(component, COMPONENT.as_bytes());
    }
}

#[tokio::test]
async fn refused_credentials_are_told_from_none_and_never_shown() {
    let address = registry().await;
    for (credentials, expected) in [
        (
            json!({"username": "me", "password": "mistaken"}),
            "have expired",
        ),
        (json!({"identitytoken": "mistaken"}), "have expired"),
        (json!({}), "without credentials"),
    ] {
        let error = pull(&address, "1", credentials).await.unwrap_err();
        assert!(error.contains(expected), "{error}");
        assert!(
            !error.contains("mistaken") && error.contains(&address),
            "{error}"
        );
    }
}

#[tokio::test]
async fn other_bytes_than_those_of_the_manifest_are_refused() {
    let address = registry().await;
    let known = json!({"username": "me", "password": "secret"});
    let error = pull(&address, "other", known).await.unwrap_err();
    assert!(error.contains(&sha256(COMPONENT.as_bytes())), "{error}");
}
