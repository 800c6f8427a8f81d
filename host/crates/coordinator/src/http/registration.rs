//! The body that registers a service and its checks.

use hyper::Method;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::problem::Problem;
use crate::check_target::Registrar;
use crate::checks::Definition;
use crate::fields::{self, DecodeError, Fields};
use crate::store::{CheckStatus, NewCheck, NewService, Weights};

/// Fields of checks that only Consul supports.
const ONLY_IN_CONSUL: [&str; 12] = [
    "AliasNode",
    "AliasService",
    "Args",
    "DockerContainerID",
    "FailuresBeforeCritical",
    "GRPC",
    "GRPCUseTLS",
    "ScriptArgs",
    "Shell",
    "SuccessBeforePassing",
    "TCP",
    "TLSSkipVerify",
];

#[derive(Debug)]
pub(super) struct Registration {
    service: NewService,
    checks: Vec<CheckFields>,
}

#[derive(Debug)]
struct CheckFields {
    id: String,
    name: String,
    notes: String,
    status: String,
    definition: Definition,
    ttl: bool,
    only_in_consul: Option<&'static str>,
}

impl Registration {
    pub(super) fn parse(body: Value) -> Result<Self, DecodeError> {
        let mut fields = Fields::of(body, "", "structs.ServiceDefinition")?;
        let name = fields.text("Name")?;
        let id = match fields.text("ID")? {
            id if id.is_empty() => name.clone(),
            id => id,
        };
        let mut checks = Vec::new();
        if let Some(check) = fields.take("Check").filter(|check| !check.is_null()) {
            checks.push(check);
        }
        if let Some(more) = fields.take("Checks") {
            checks.extend(fields::array(more, "Checks", "structs.CheckTypes")?);
        }
        let service = NewService {
            id,
            name,
            tags: fields.texts("Tags")?.unwrap_or_default(),
            meta: fields.map("Meta")?,
            address: fields.text("Address")?,
            port: fields.integer("Port")?,
            weights: weights(&mut fields)?,
            enable_tag_override: fields.boolean("EnableTagOverride")?,
        };
        for ignored in ["Token", "Namespace", "TaggedAddresses"] {
            fields.take(ignored);
        }
        for only_in_consul in ["Kind", "Proxy", "Connect"] {
            if fields.take(only_in_consul).is_some_and(is_something) {
                return Err(DecodeError::new(format!(
                    "the embedded coordinator does not support {only_in_consul}"
                )));
            }
        }
        fields.finish()?;
        Ok(Self {
            service,
            checks: checks.into_iter().map(check).collect::<Result<_, _>>()?,
        })
    }

    /// Validates the registration and fills in the defaults.
    pub(super) fn judge(
        self,
        registrar: Registrar,
    ) -> Result<(NewService, Vec<(NewCheck, Definition)>), Problem> {
        let Self { service, checks } = self;
        if service.name.is_empty() {
            return Err(Problem::bad_request("Missing service name"));
        }
        let is_only_one = checks.len() == 1;
        let judged = checks
            .into_iter()
            .zip(1..)
            .map(|(check, number): (_, u32)| {
                let default_id = match is_only_one {
                    true => format!("service:{}", service.id),
                    false => format!("service:{}:{number}", service.id),
                };
                check.judge(&service.name, default_id, registrar)
            });
        let judged = judged.collect::<Result<_, _>>()?;
        Ok((service, judged))
    }
}

impl CheckFields {
    fn judge(
        self,
        service: &str,
        default_id: String,
        registrar: Registrar,
    ) -> Result<(NewCheck, Definition), Problem> {
        let invalid = |text| Err(Problem::bad_request(format!("Invalid check: {text}")));
        if let Some(field) = self.only_in_consul {
            return Err(Problem::bad_request(format!(
                "Invalid check: the embedded coordinator runs HTTP checks only, without {field}"
            )));
        }
        if self.ttl {
            return Err(Problem::bad_request(
                "Invalid check: the embedded coordinator runs HTTP checks only, without TTL",
            ));
        }
        if self.definition.url.is_empty() {
            return invalid("TTL must be > 0 for TTL checks");
        }
        if self.definition.interval.is_zero() {
            return invalid("Interval must be > 0 for Script, HTTP, or TCP checks");
        }
        self.definition
            .admit(registrar)
            .map_err(|text| Problem::bad_request(format!("Invalid check: {text}")))?;
        let status = match self.status.as_str() {
            "passing" => CheckStatus::Passing,
            "warning" => CheckStatus::Warning,
            "" | "critical" => CheckStatus::Critical,
            _ => {
                return Err(Problem::bad_request(
                    "Status for checks must 'passing', 'warning', 'critical'",
                ));
            }
        };
        let or = |text: String, default| if text.is_empty() { default } else { text };
        let check = NewCheck {
            id: or(self.id, default_id),
            name: or(self.name, format!("Service '{service}' check")),
            notes: self.notes,
            status,
        };
        Ok((check, self.definition))
    }
}

fn check(value: Value) -> Result<CheckFields, DecodeError> {
    let mut fields = Fields::of(value, "Check", "structs.CheckType")?;
    let method = match fields.text("Method")? {
        method if method.is_empty() => Method::GET,
        method => method
            .parse()
            .map_err(|_| DecodeError::new(format!("{method:?} is not a method")))?,
    };
    let definition = Definition {
        url: fields.text("HTTP")?,
        method,
        headers: headers(&mut fields)?,
        body: fields.text("Body")?,
        interval: fields.duration("Interval")?.unwrap_or_default(),
        timeout: fields.duration("Timeout")?,
        deregister_after: fields
            .duration("DeregisterCriticalServiceAfter")?
            .filter(|after| !after.is_zero()),
    };
    let ttl = fields.duration("TTL")?.is_some_and(|ttl| !ttl.is_zero());
    let mut only_in_consul = None;
    for field in ONLY_IN_CONSUL {
        if fields.take(field).is_some_and(is_something) {
            only_in_consul = Some(field);
        }
    }
    fields.take("OutputMaxSize");
    let check = CheckFields {
        id: fields.text("CheckID")?,
        name: fields.text("Name")?,
        notes: fields.text("Notes")?,
        status: fields.text("Status")?,
        definition,
        ttl,
        only_in_consul,
    };
    fields.finish()?;
    Ok(check)
}

fn weights(fields: &mut Fields) -> Result<Weights, DecodeError> {
    let Some(value) = fields.take("Weights").filter(|value| !value.is_null()) else {
        return Ok(Weights::default());
    };
    let mut fields = Fields::of(value, "Weights", "structs.Weights")?;
    Ok(Weights {
        passing: fields.integer("Passing")?,
        warning: fields.integer("Warning")?,
    })
}

fn headers(fields: &mut Fields) -> Result<HeaderMap, DecodeError> {
    let mut headers = HeaderMap::new();
    let given = Fields::of(
        fields.take("Header").unwrap_or_default(),
        "Header",
        "map[string][]string",
    )?;
    for (name, values) in given.into_pairs() {
        for value in fields::array(values, "Header", "[]string")? {
            let value = value.as_str().unwrap_or_default();
            let parsed = (
                HeaderName::try_from(name.as_str()),
                HeaderValue::from_str(value),
            );
            let (Ok(name), Ok(value)) = parsed else {
                return Err(DecodeError::new(format!("{name:?} is not a valid header")));
            };
            headers.append(name, value);
        }
    }
    Ok(headers)
}

/// Whether a field's value asks for anything.
fn is_something(value: Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is) => is,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => !values.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Judged = (NewService, Vec<(NewCheck, Definition)>);

    fn registered(body: &str) -> Result<Judged, String> {
        let parsed = fields::json(body.as_bytes()).and_then(Registration::parse);
        let registration = parsed.map_err(|error| error.to_string())?;
        registration
            .judge(Registrar::new(std::net::Ipv4Addr::LOCALHOST.into()))
            .map_err(|problem| format!("{problem:?}"))
    }

    #[test]
    fn what_is_not_said_is_derived_from_the_service() {
        let (service, checks) = registered(
            r#"{"Name":"s","Checks":[{"HTTP":"http://a","Interval":"1s"},
                {"http":"http://b","interval":1000000000,"Status":"passing","CheckID":"own"}]}"#,
        )
        .unwrap();
        assert_eq!(service.id, "s");
        let checks: Vec<_> = checks.into_iter().map(|(check, _)| check).collect();
        assert_eq!(checks[0].id, "service:s:1");
        assert_eq!(checks[0].name, "Service 's' check");
        assert_eq!(checks[0].status, CheckStatus::Critical);
        assert_eq!(
            (checks[1].id.as_str(), checks[1].status),
            ("own", CheckStatus::Passing)
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused_in_consuls_words() {
        let refused = |body, why: &str| {
            let error = registered(body).unwrap_err();
            assert!(error.contains(why), "{body}: {error}");
        };
        refused("{}", "Missing service name");
        refused("[]", "cannot unmarshal array");
        refused(
            r#"{"Name":"x","Port":"a"}"#,
            "cannot unmarshal string into Go struct field .Port",
        );
        refused(r#"{"Name":"x","Nonsense":1}"#, "unknown field \"Nonsense\"");
        refused(
            r#"{"Name":"x","Check":{"HTTP":"http://x"}}"#,
            "Interval must be > 0",
        );
        refused(
            r#"{"Name":"x","Check":{"Interval":"1s"}}"#,
            "TTL must be > 0",
        );
        refused(
            r#"{"Name":"x","Check":{"TCP":"a:1","Interval":"1s"}}"#,
            "HTTP checks only",
        );
        refused(
            r#"{"Name":"x","Check":{"Interval":"1x"}}"#,
            "invalid duration",
        );
        refused(
            r#"{"Name":"x","Check":{"HTTP":"http://192.0.2.1/","Interval":"1s"}}"#,
            "asks only the machine that registers a check",
        );
        let long = "x".repeat(5000);
        let body = format!(
            r#"{{"Name":"x","Check":{{"HTTP":"http://x/","Body":"{long}","Interval":"1s"}}}}"#
        );
        refused(&body, "take more than 4096 bytes");
    }
}
