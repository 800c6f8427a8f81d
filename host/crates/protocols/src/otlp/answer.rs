//! Answers over HTTP, in the form of the request.

use serde::Serialize;

use super::partial;
use super::refusal::Refusal;
use super::wire::put_bytes;
use crate::answer::{Answer, Verdict};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// What a request and its answer are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `application/x-protobuf`
    Protobuf,
    /// `application/json`
    Json,
}

impl Form {
    /// The form that a `Content-Type` says, whatever its parameters; `None` for any
    /// other than the two, and if there is none.
    #[must_use]
    pub fn of(content_type: &str) -> Option<Self> {
        let name = content_type.split(';').next().unwrap_or_default().trim();
        let is = |form: &Self| name.eq_ignore_ascii_case(form.content_type());
        [Self::Protobuf, Self::Json].into_iter().find(is)
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => PROTOBUF,
            Self::Json => JSON,
        }
    }
}

/// `google.rpc.Status`; over HTTP, the status says the code.
#[derive(Debug, Serialize)]
struct Status<'a> {
    message: &'a str,
}

/// The answer to a request in this form.
#[must_use]
pub fn answer(form: Form, verdict: Verdict<'_>) -> Answer {
    match Refusal::of(verdict) {
        Ok(refusal) => refused(form, &refusal),
        Err((total, rejections)) => {
            let body = match form {
                Form::Protobuf => partial::protobuf(total, rejections),
                Form::Json => partial::json(total, rejections),
            };
            Answer::new(200, form.content_type(), body)
        }
    }
}

/// The answer to a request whose content type is neither of the two.
#[must_use]
pub fn unknown_content_type() -> Answer {
    let reason = "the content type is not understood; use application/x-protobuf or \
                  application/json";
    answer(Form::Json, Verdict::Unsupported(reason))
}

fn refused(form: Form, refusal: &Refusal) -> Answer {
    let message = &refusal.message;
    let body = match form {
        Form::Protobuf => {
            let mut status = Vec::new();
            put_bytes(&mut status, 2, message.as_bytes());
            status
        }
        Form::Json => serde_json::to_vec(&Status { message }).unwrap_or_default(),
    };
    let answer = Answer::new(refusal.http, form.content_type(), body);
    match refusal {
        refusal if refusal.is_temporary() => answer.retried_after_a_second(),
        refusal if refusal.wants_token() => answer.with_header("www-authenticate", "Bearer"),
        _ => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rejected::Rejections;
    use sluice_types::rejection::Rejection;

    #[test]
    fn a_content_type_is_known_whatever_its_case_and_parameters() {
        for (content_type, form) in [
            ("application/x-protobuf", Some(Form::Protobuf)),
            ("application/json", Some(Form::Json)),
            ("Application/JSON; charset=utf-8", Some(Form::Json)),
            ("application/x-protobuf ;v=1", Some(Form::Protobuf)),
            ("", None),
            ("text/plain", None),
            ("application/grpc", None),
            ("application/x-protobuffer", None),
        ] {
            assert_eq!(Form::of(content_type), form, "{content_type}");
        }
        let answer = unknown_content_type();
        assert_eq!((answer.status, answer.content_type), (415, JSON));
    }

    #[test]
    fn a_success_is_empty_in_the_form_of_the_request() {
        let rejections = &Rejections::default();
        let verdict = Verdict::Settled {
            total: 2,
            rejections,
        };
        let protobuf = answer(Form::Protobuf, verdict);
        assert_eq!(protobuf, Answer::new(200, PROTOBUF, ""));
        let json = answer(Form::Json, verdict);
        assert_eq!(json, Answer::new(200, JSON, "{}"));
    }

    #[test]
    fn even_if_all_records_are_refused_it_is_a_success_with_reasons() {
        let rejection = Rejection {
            index: 0,
            reason: "no".to_owned(),
            is_kept: false,
        };
        let rejections = &Rejections {
            listed: vec![rejection],
            total: 1,
        };
        let verdict = Verdict::Settled {
            total: 1,
            rejections,
        };
        let body = b"\x0a\x28\x08\x01\x12\x241 of 1 records refused: record 0: no";
        let expected = Answer::new(200, PROTOBUF, *body);
        assert_eq!(answer(Form::Protobuf, verdict), expected);
    }

    #[test]
    fn only_what_may_be_sent_again_has_a_status_that_clients_send_again_after() {
        for (verdict, status, is_temporary) in [
            (Verdict::Busy("the queue is full"), 503, true),
            (Verdict::Stopping, 503, true),
            (Verdict::Unknown("the sink is silent"), 504, true),
            (Verdict::NoToken, 401, false),
            (Verdict::WrongToken, 401, false),
            (Verdict::Malformed("nonsense"), 400, false),
            (Verdict::Unsupported("brotli"), 415, false),
            (Verdict::TooLarge("more than 16 MiB"), 413, false),
        ] {
            for form in [Form::Protobuf, Form::Json] {
                let answer = answer(form, verdict);
                assert_eq!(answer.status, status);
                assert_eq!(answer.content_type, form.content_type());
                let retry = answer
                    .headers
                    .iter()
                    .find(|(name, _)| *name == "retry-after");
                let retry = retry.map(|(_, value)| value.as_str());
                assert_eq!(retry, is_temporary.then_some("1"), "{verdict:?}");
            }
        }
        let answer = answer(Form::Json, Verdict::NoToken);
        assert_eq!(answer.headers, [("www-authenticate", "Bearer".to_owned())]);
    }

    #[test]
    fn an_error_is_a_status_with_a_message() {
        let verdict = Verdict::Malformed("a \"reason\"");
        let json = answer(Form::Json, verdict);
        assert_eq!(json.body, br#"{"message":"a \"reason\""}"#);
        let protobuf = answer(Form::Protobuf, verdict);
        assert_eq!(protobuf.body, b"\x12\x0aa \"reason\"");
    }
}
