//! The local agent: registering this node, and finding the others.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::client::{CALL_TIMEOUT, Client};
use super::error::Error;
use super::kv::{Read, Wait};

/// A service to register with the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Registration {
    /// Its id, unique on the agent.
    #[serde(rename = "ID")]
    pub id: String,
    /// The name that all instances share.
    pub name: String,
    /// The host of the instance.
    pub address: String,
    /// The port of the instance.
    pub port: u16,
    /// Labels.
    pub tags: Vec<String>,
    /// How the agent checks the instance.
    pub check: Check,
}

/// An HTTP check by the agent; any status 2xx passes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Check {
    /// The id that sessions name.
    #[serde(rename = "CheckID")]
    pub id: String,
    /// The URL to get.
    #[serde(rename = "HTTP")]
    pub http: String,
    /// Headers of the request.
    pub header: BTreeMap<String, Vec<String>>,
    /// How often; Consul allows no less than a second.
    #[serde(serialize_with = "millis")]
    pub interval: Duration,
    /// How long the agent waits for an answer.
    #[serde(serialize_with = "millis")]
    pub timeout: Duration,
    /// The status before the first check.
    pub status: &'static str,
    /// How long the service may be critical before the agent removes it; Consul
    /// allows no less than a minute.
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
    /// Its id, unique on its agent.
    #[serde(rename = "ServiceID")]
    pub id: String,
    /// The host of the instance.
    #[serde(rename = "ServiceAddress")]
    pub address: String,
    /// The port of the instance.
    #[serde(rename = "ServicePort")]
    pub port: u16,
    /// Labels.
    #[serde(rename = "ServiceTags", default)]
    pub tags: Vec<String>,
}

impl Instance {
    /// Where to connect to, as `host:port`.
    #[must_use]
    pub fn host_and_port(&self) -> String {
        format!("{}:{}", self.address, self.port)
    }
}

impl Client {
    /// Registers a service, or updates its registration. A check that exists
    /// keeps its state, and with it the sessions that are bound to it.
    ///
    /// # Errors
    /// No usable answer.
    pub async fn register(&self, service: &Registration) -> Result<(), Error> {
        self.call(Method::PUT, "/v1/agent/service/register", CALL_TIMEOUT)
            .json(service)
            .send(&[])
            .await?;
        Ok(())
    }

    /// Removes a service; it is no error if the agent does not know it.
    ///
    /// # Errors
    /// No usable answer.
    pub async fn deregister(&self, id: &str) -> Result<(), Error> {
        let path = format!("/v1/agent/service/deregister/{id}");
        match self
            .call(Method::PUT, &path, CALL_TIMEOUT)
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
            .call(Method::GET, &path, CALL_TIMEOUT)
            .send(&[StatusCode::NOT_FOUND])
            .await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let service: Service = answer.json().await?;
        Ok(Some(service.tags.unwrap_or_default()))
    }

    /// All instances of a service; with `wait`, once they have changed.
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

    /// The version of this agent.
    ///
    /// # Errors
    /// No usable answer.
    pub async fn version(&self) -> Result<String, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Own {
            config: Config,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Config {
            version: String,
        }
        let own: Own = self.own_agent().await?;
        Ok(own.config.version)
    }

    /// The address that other agents reach this agent by.
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
        let own: Own = self.own_agent().await?;
        Ok(own.member.addr)
    }

    /// What the agent says of itself.
    async fn own_agent<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let call = self.call(Method::GET, "/v1/agent/self", CALL_TIMEOUT);
        call.send(&[]).await?.json().await
    }
}
