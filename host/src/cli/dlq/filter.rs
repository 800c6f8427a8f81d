//! Which dead letters a command is about.

use clap::Args;
use jiff::Timestamp;

use crate::cli::units;
use sluice_delivery::Letter;

#[derive(Debug, Default, Args)]
pub(super) struct Filter {
    /// Only letters of this sink, by a part of its source or digest
    #[arg(long)]
    plugin: Option<String>,

    /// Only letters not older than this: 90s, 2h, 3d, or a time like 2026-11-20T09:00:00Z
    #[arg(long, value_parser = units::since)]
    since: Option<Timestamp>,

    /// Only letters whose reason contains this text
    #[arg(long)]
    reason: Option<String>,

    /// Only letters of this node
    #[arg(long)]
    node: Option<String>,
}

impl Filter {
    /// The query of the route for people that admits the same letters.
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        let since = self.since.map(|since| since.to_string());
        let pairs = [
            ("plugin", &self.plugin),
            ("since", &since),
            ("reason", &self.reason),
            ("node", &self.node),
        ];
        let given = pairs.into_iter();
        given
            .filter_map(|(name, value)| Some((name, value.clone()?)))
            .collect()
    }

    /// Whether it admits every letter.
    pub(super) const fn is_empty(&self) -> bool {
        self.plugin.is_none()
            && self.since.is_none()
            && self.reason.is_none()
            && self.node.is_none()
    }

    pub(super) fn admits_node(&self, node: &str) -> bool {
        self.node.as_ref().is_none_or(|wanted| wanted == node)
    }

    pub(super) fn admits(&self, node: &str, letter: &Letter) -> bool {
        let plugin = &letter.plugin;
        let is_part_of = |wanted: &Option<String>, texts: &[&str]| {
            wanted
                .as_ref()
                .is_none_or(|wanted| texts.iter().any(|text| text.contains(wanted)))
        };
        let is_recent = |since: &Timestamp| {
            let time = letter.time.parse::<Timestamp>();
            time.is_ok_and(|time| time >= *since)
        };
        self.admits_node(node)
            && is_part_of(&self.plugin, &[&plugin.source, &plugin.sha256])
            && is_part_of(&self.reason, &[&letter.reason])
            && self.since.as_ref().is_none_or(is_recent)
    }
}
