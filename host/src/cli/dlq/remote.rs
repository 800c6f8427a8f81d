//! Dead letters by the routes for people, with a token. A node tells the heads of the
//! letters of all nodes, page by page, and the record of one letter at a time.

use std::process::ExitCode;

use serde_json::Value;

use super::error::DlqError;
use super::filter::Filter;
use super::letter_source::SourceArgs;
use super::rows::{Row, Rows};
use crate::cli::api::{ApiClient, ApiError, warn_of};
use crate::cli::failure::Failure;
use crate::cli::json;
use crate::http::cluster::{Choice, Chosen, FoundLetter, LISTED_MAX, LetterList, Purged, Replayed};
use sluice_access::Scope;
use sluice_types::readable;

const PATH: &str = "/api/v1/dead-letters";
/// How many letters an action is about, which must end before the node gives up.
const CHOSEN_MAX: usize = 200;

pub(super) struct Remote(ApiClient);

/// The letters that a filter admits, oldest first.
struct Found {
    letters: Vec<FoundLetter>,
    /// Whether every node has told all.
    is_complete: bool,
}

impl Remote {
    /// `None` if the nodes are asked by their routes for peers, or nobody is.
    ///
    /// # Errors
    /// The flags cannot be used.
    pub(super) async fn open(args: &SourceArgs) -> Result<Option<Self>, Failure> {
        match args.data_dir {
            Some(_) => Ok(None),
            None => Ok(ApiClient::open(&args.cluster).await?.map(Self)),
        }
    }

    pub(super) async fn list(&self, filter: &Filter, as_json: bool) -> Result<ExitCode, Failure> {
        let found = self.find(filter, |_| false).await?;
        if as_json {
            for letter in &found.letters {
                json::print(letter)?;
            }
        } else {
            let mut rows = Rows::default();
            found
                .letters
                .iter()
                .for_each(|found| rows.push(&row(found)));
            print!("{}", rows.text());
            eprintln!("{} dead letters", found.letters.len());
        }
        Ok(found.exit_code())
    }

    pub(super) async fn show(&self, id: &str) -> Result<ExitCode, Failure> {
        let found = self.choose(&[id.to_owned()], &Filter::default()).await?;
        let found = found.letters.first();
        let node = &found.ok_or_else(|| unknown(id))?.node;
        let path = format!("{PATH}/{}/{}", segment(node), segment(id));
        let mut letter: Value = self.0.get(&path, &[], Scope::Read).await?;
        if let Some(letter) = letter.as_object_mut() {
            letter.insert("node".to_owned(), node.clone().into());
        }
        json::print_pretty(&letter)?;
        Ok(ExitCode::SUCCESS)
    }

    pub(super) async fn replay(
        &self,
        ids: &[String],
        filter: &Filter,
    ) -> Result<ExitCode, Failure> {
        let found = self.choose(ids, filter).await?;
        let (mut confirmed, mut rejected) = (0, 0);
        for part in found.letters.chunks(CHOSEN_MAX) {
            let replayed: Replayed = self.act("replay", part).await?;
            for one in &replayed.rejected {
                let reason = readable::error(&one.reason);
                eprintln!("{}: {reason}", readable::source(&one.id));
            }
            let more = replayed.rejected_total - replayed.rejected.len();
            if more > 0 {
                eprintln!("{more} more were rejected");
            }
            confirmed += replayed.confirmed;
            rejected += replayed.rejected_total;
        }
        println!(
            "replayed {confirmed} of {} dead letters",
            found.letters.len()
        );
        Ok(match rejected {
            0 => found.exit_code(),
            _ => ExitCode::FAILURE,
        })
    }

    pub(super) async fn purge(&self, ids: &[String], filter: &Filter) -> Result<ExitCode, Failure> {
        let found = self.choose(ids, filter).await?;
        let mut removed = 0;
        for part in found.letters.chunks(CHOSEN_MAX) {
            let purged: Purged = self.act("purge", part).await?;
            removed += purged.removed;
        }
        println!("removed {removed} dead letters");
        Ok(found.exit_code())
    }

    async fn act<T: serde::de::DeserializeOwned>(
        &self,
        what: &str,
        letters: &[FoundLetter],
    ) -> Result<T, ApiError> {
        let letters = letters.iter().map(|found| Choice {
            node: found.node.clone(),
            id: found.letter.id.clone(),
        });
        let chosen = Chosen {
            letters: letters.collect(),
        };
        self.0.post(&format!("{PATH}/{what}"), &chosen).await
    }

    /// The letters with these ids, or all if there are none, that the filter admits.
    async fn choose(&self, ids: &[String], filter: &Filter) -> Result<Found, Failure> {
        let is_missing = |letters: &[FoundLetter], id: &String| {
            !letters.iter().any(|found| found.letter.id == *id)
        };
        let has_all = |letters: &[FoundLetter]| {
            !ids.is_empty() && !ids.iter().any(|id| is_missing(letters, id))
        };
        let mut found = self.find(filter, has_all).await?;
        if let Some(unknown_id) = ids.iter().find(|id| is_missing(&found.letters, id)) {
            return Err(unknown(unknown_id).into());
        }
        if !ids.is_empty() {
            found.letters.retain(|found| ids.contains(&found.letter.id));
        }
        Ok(found)
    }

    /// Reads page by page until there are no more, or those that were read suffice.
    async fn find(
        &self,
        filter: &Filter,
        suffices: impl Fn(&[FoundLetter]) -> bool,
    ) -> Result<Found, ApiError> {
        let mut found = Found {
            letters: Vec::new(),
            is_complete: true,
        };
        let mut query = filter.query();
        query.push(("limit", LISTED_MAX.to_string()));
        let conditions = query.len();
        loop {
            let page: LetterList = self.0.get(PATH, &query, Scope::Read).await?;
            let is_first = query.len() == conditions;
            if is_first {
                warn_of(&page.errors);
            }
            found.is_complete &= page.errors.is_empty();
            // A node that knows no pages gives the first one again.
            let before = found.letters.last().map(|last| last.letter.cursor());
            let goes_on = |next: &FoundLetter| match &before {
                Some(before) => next.letter.cursor() < *before,
                None => true,
            };
            let is_new = page.letters.first().is_some_and(goes_on);
            if is_new {
                found.letters.extend(page.letters);
            }
            if page.more && is_new && !suffices(&found.letters) {
                if let Some(last) = found.letters.last() {
                    let (time, id) = last.letter.cursor();
                    query.truncate(conditions);
                    query.extend([("before", time), ("before_id", id)]);
                }
                continue;
            }
            if page.more && !suffices(&found.letters) {
                found.is_complete = false;
                eprintln!("sluice: there are more dead letters, which could not be read in time");
            }
            found.letters.reverse();
            return Ok(found);
        }
    }
}

impl Found {
    const fn exit_code(&self) -> ExitCode {
        if self.is_complete {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

fn unknown(id: &str) -> DlqError {
    DlqError::UnknownLetter(readable::source(id))
}

fn row(found: &FoundLetter) -> Row<'_> {
    Row {
        node: &found.node,
        id: &found.letter.id,
        time: &found.letter.time,
        cause: found.letter.cause,
        plugin: &found.letter.plugin.source,
        reason: &found.letter.reason,
        body: &found.letter.body,
    }
}

/// A part of a path, in which nothing has a meaning of its own.
fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            // Dots alone would lead elsewhere.
            b'.' if text.bytes().any(|byte| byte != b'.') => encoded.push('.'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_path_leads_nowhere_else() {
        assert_eq!(segment("node-1.example"), "node-1.example");
        assert_eq!(segment("a/b?c#d e"), "a%2Fb%3Fc%23d%20e");
        assert_eq!(segment(".."), "%2E%2E");
        assert_eq!(segment("é"), "%C3%A9");
    }
}
