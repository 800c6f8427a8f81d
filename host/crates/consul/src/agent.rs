//! The local agent: registering this node, and finding the others.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use super::client::{CALL, Client};
use super::error::Error;
use super::kv::{Read, Wait};

/// A service of this agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Registration {
    /// Unique on the agent.
    #[serde(rename = "ID")]
    pub id: String,
    /// The service.
    pub name: String,
    /// Where clients reach it.
    pub address: String,
    /// The port there.
    pub port: u16,
    /// Labels.
    pub tags: Vec<String>,
    /// How the agent sees whether it is well.
    pub check: Check,
}

/// An HTTP check that the agent makes; 2xx is passing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Check {
    /// For sessions to refer to.
    #[serde(rename = "CheckID")]
    pub id: String,
    /// What to ask.
    #[serde(rename = "HTTP")]
    pub http: String,
    /// How often; Consul does not go below a second.
    #[serde(serialize_with = "millis")]
    pub interval: Duration,
    /// How long to wait for an answer.
    #[serde(serialize_with = "millis")]
    pub timeout: Duration,
    /// What it counts as before it was first made.
    pub status: &'static str,
    /// A service that is critical for so long is forgotten (Consul: a minute
    /// at least).
    #[serde(serialize_with = "millis")]
    pub deregister_critical_service_after: Duration,
}

fn millis<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{}ms", duration.as_millis()))
}

/// A registered instance of a service, on any agent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Instance {
    /// Unique on its agent.
    #[serde(rename = "ServiceID")]
    pub id: String,
    /// Where clients reach it.
    #[serde(rename = "ServiceAddress")]
    pub address: String,
    /// The port there.
    #[serde(rename = "ServicePort")]
    pub port: u16,
    /// Labels.
    #[serde(rename = "ServiceTags", default)]
    pub tags: Vec<String>,
}

impl Client {
    /// Registers a service, or registers it anew. A check that exists keeps
    /// its state, and with it the sessions that are bound to it.
    ///
    /// # Errors
    /// No usable answer.
    pub async fn register(&self, service: &Registration) -> Result<(), Error> {
        self.call(Method::PUT, "/v1/agent/service/register", CALL)
            .json(service)
            .send(&[])
            .await?;
        Ok(())
    }

    /// Forgets a service; one that is not known is forgotten already.
    ///
    /// # Errors
    /// No usable answer.
    pub async fn deregister(&self, id: &str) -> Result<(), Error> {
        let path = format!("/v1/agent/service/deregister/{id}");
        match self
            .call(Method::PUT, &path, CALL)
            .send(&[StatusCode::NOT_FOUND])
            .await
        {
            // 500 in Consul 1.8 with ACLs, 404 later.
            Err(error) if !error.is_unknown_service() => Err(error),
            _ => Ok(()),
        }
    }

    /// The labels of a service of this agent; `None` if there is none.
    ///
    /// # Errors
    /// No usable answer.
    pub async fn own_tags(&self, id: &str) -> Result<Option<Vec<String>>, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Service {
            tags: Option<Vec<String>>,
        }
        let path = format!("/v1/agent/service/{id}");
        let answer = self
            .call(Method::GET, &path, CALL)
            .send(&[StatusCode::NOT_FOUND])
            .await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let service: Service = answer.json().await?;
        Ok(Some(service.tags.unwrap_or_default()))
    }

    /// All instances of a service; with `wait`, once they changed.
    ///
    /// # Errors
    /// No usable answer.
    pub async fn instances(
        &self,
        service: &str,
        wait: Option<Wait>,
    ) -> Result<Read<Vec<Instance>>, Error> {
        let (query, timeout) = Wait::query(wait);
        let path = format!("/v1/catalog/service/{service}{query}");
        let answer = self.call(Method::GET, &path, timeout).send(&[]).await?;
        let index = answer.index();
        Ok(Read {
            index,
            value: answer.json().await?,
        })
    }

    /// The address by which this agent is known to the others.
    ///
    /// # Errors
    /// No usable answer.
    pub async fn member_address(&self) -> Result<String, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Own {
            member: Member,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Member {
            addr: String,
        }
        let answer = self
            .call(Method::GET, "/v1/agent/self", CALL)
            .send(&[])
            .await?;
        let own: Own = answer.json().await?;
        Ok(own.member.addr)
    }
}
