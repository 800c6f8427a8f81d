//! Sessions, which hold locks.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use super::client::{CALL_TIMEOUT, Client};
use super::error::Error;

/// What happens to a session's locks when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behavior {
    /// The key stays, unlocked, with its value and flags.
    Release,
    /// The key is deleted.
    Delete,
}

/// A session to create. It ends with its TTL (Consul waits up to twice as
/// long), with its check, or with its agent.
#[derive(Clone, Debug)]
pub struct NewSession<'a> {
    /// A name for people.
    pub name: &'a str,
    /// At least 10 s.
    pub ttl: Duration,
    /// What happens to its locks.
    pub behavior: Behavior,
    /// The id of the check of this node's service.
    pub check: &'a str,
}

/// The id of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session(pub String);

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Create<'a> {
    name: &'a str,
    #[serde(rename = "TTL")]
    ttl: String,
    lock_delay: &'static str,
    behavior: &'static str,
    node_checks: [&'static str; 1],
    service_checks: [ServiceCheck<'a>; 1],
}

#[derive(Serialize)]
struct ServiceCheck<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
}

impl Client {
    /// Creates a session without lock-delay, bound to the check and to the
    /// agent's own health.
    ///
    /// # Errors
    /// No usable answer; see [`Error::is_check_not_ready`].
    pub async fn create_session(&self, new: &NewSession<'_>) -> Result<Session, Error> {
        #[derive(Deserialize)]
        struct Created {
            #[serde(rename = "ID")]
            id: String,
        }
        let body = Create {
            name: new.name,
            ttl: format!("{}s", new.ttl.as_secs()),
            lock_delay: "0s",
            behavior: match new.behavior {
                Behavior::Release => "release",
                Behavior::Delete => "delete",
            },
            node_checks: ["serfHealth"],
            service_checks: [ServiceCheck { id: new.check }],
        };
        let call = self
            .call(Method::PUT, "/v1/session/create", CALL_TIMEOUT)
            .json(&body);
        let created: Created = call.send(&[]).await?.json().await?;
        Ok(Session(created.id))
    }

    /// Renews the session for its TTL; false if there is no such session.
    ///
    /// # Errors
    /// No usable answer.
    pub async fn renew_session(&self, session: &Session, timeout: Duration) -> Result<bool, Error> {
        let path = format!("/v1/session/renew/{}", session.0);
        let answer = self
            .call(Method::PUT, &path, timeout)
            .send(&[StatusCode::NOT_FOUND])
            .await?;
        Ok(answer.status() != StatusCode::NOT_FOUND)
    }

    /// Ends the session.
    ///
    /// # Errors
    /// No usable answer.
    pub async fn destroy_session(&self, session: &Session) -> Result<(), Error> {
        let path = format!("/v1/session/destroy/{}", session.0);
        self.call(Method::PUT, &path, CALL_TIMEOUT)
            .send(&[])
            .await?;
        Ok(())
    }
}
