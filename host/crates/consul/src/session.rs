//! Sessions: who may hold a lock.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use super::client::{CALL, Client};
use super::error::Error;

/// What becomes of a session's locks when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behavior {
    /// The key stays, free, with its value and flags.
    Release,
    /// The key goes.
    Delete,
}

/// A session to be made. It ends with its TTL (Consul waits up to twice as
/// long), with its check, or with its agent.
#[derive(Clone, Debug)]
pub struct NewSession<'a> {
    /// For people who look at it.
    pub name: &'a str,
    /// 10 s at least.
    pub ttl: Duration,
    /// What becomes of its locks.
    pub behavior: Behavior,
    /// The check id of this node's service.
    pub check: &'a str,
}

/// A session that was made.
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
    /// Makes a session without lock-delay, bound to the check and to the
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
            .call(Method::PUT, "/v1/session/create", CALL)
            .json(&body);
        let created: Created = call.send(&[]).await?.json().await?;
        Ok(Session(created.id))
    }

    /// Puts off the session's end by its TTL; false if there is none.
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
        self.call(Method::PUT, &path, CALL).send(&[]).await?;
        Ok(())
    }
}
