//! Which node should lead which stream.
//!
//! Every node computes this by itself from the documents of all nodes. They may differ
//! for a moment; then a lock is taken by another node than planned, and nothing worse.

use std::collections::{BTreeMap, BTreeSet};

use sluice_types::documents::NodeDocument;
use sluice_types::stream::DEFAULT_STREAM;

/// So many records a second are as much load as a stream by itself.
const RECORDS_PER_STREAM: f64 = 1000.0;
/// A hand-over must gain at least this, as a part of what one stream by itself is, and of
/// the records a second. It keeps streams where they are if rates vary.
const LEAST_GAIN: f64 = 0.5;
const LEAST_GAIN_OF_RATE: f64 = 0.1;

/// A node as the plan sees it.
#[derive(Clone, Debug, Default)]
struct Node {
    /// The streams that it can lead.
    able: BTreeSet<String>,
    /// The streams that it leads, and their loads.
    leads: BTreeMap<String, f64>,
    /// Whether streams may be handed over to it.
    is_settled: bool,
}

/// A stream that should go from one node to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) stream: String,
    pub(super) from: String,
    pub(super) to: String,
}

/// The cluster as the plan sees it.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    nodes: BTreeMap<String, Node>,
    /// The nodes that streams are pinned to.
    pins: BTreeMap<String, String>,
}

impl Plan {
    /// `is_settled` says of a node's name whether it has been there for a while.
    pub(super) fn new(
        documents: &[NodeDocument],
        pins: BTreeMap<String, String>,
        is_settled: impl Fn(&str) -> bool,
    ) -> Self {
        let nodes = documents.iter().map(|document| {
            let others = document.streams.iter();
            let others = others.filter(|(_, report)| report.eligible);
            let mut able: BTreeSet<_> = others.map(|(name, _)| name.clone()).collect();
            if document.eligible {
                able.insert(DEFAULT_STREAM.to_owned());
            }
            let leads = document.leads.iter();
            let leads = leads.map(|(name, rate)| (name.clone(), load(*rate)));
            let node = Node {
                able,
                leads: leads.collect(),
                is_settled: is_settled(&document.node),
            };
            (document.node.clone(), node)
        });
        Self {
            nodes: nodes.collect(),
            pins,
        }
    }

    /// The node that leads a stream.
    pub(super) fn leader(&self, stream: &str) -> Option<&str> {
        let mut nodes = self.nodes.iter();
        let found = nodes.find(|(_, node)| node.leads.contains_key(stream));
        found.map(|(name, _)| name.as_str())
    }

    /// Whether this node is there.
    pub(super) fn has(&self, node: &str) -> bool {
        self.nodes.contains_key(node)
    }

    /// For each stream the node that should take its lock when it becomes free.
    pub(super) fn successors(&self) -> BTreeMap<String, String> {
        let mut successors = BTreeMap::new();
        let led: BTreeSet<_> = self.nodes.values().flat_map(|it| it.leads.keys()).collect();
        for (name, node) in &self.nodes {
            let leads: Vec<_> = node.leads.iter().map(|(s, load)| (s, *load)).collect();
            self.assign(&leads, Some(name), &mut successors);
        }
        let known: BTreeSet<_> = self.nodes.values().flat_map(|it| &it.able).collect();
        let free: Vec<_> = known.difference(&led).map(|s| (*s, 1.0)).collect();
        self.assign(&free, None, &mut successors);
        successors
    }

    /// Spreads these streams over all nodes but one.
    fn assign(
        &self,
        streams: &[(&String, f64)],
        without: Option<&String>,
        successors: &mut BTreeMap<String, String>,
    ) {
        let others = self.nodes.iter().filter(|(name, _)| Some(*name) != without);
        let mut loads: BTreeMap<_, _> = others.map(|(name, node)| (name, node.load())).collect();
        for (stream, load) in streams {
            let pinned = self.pins.get(*stream);
            let able = loads.iter().filter(|(name, _)| self.is_able(name, stream));
            let chosen = able.min_by(|(a, x), (b, y)| {
                let is_pinned = |name: &&&String| pinned != Some(**name);
                is_pinned(a)
                    .cmp(&is_pinned(b))
                    .then(x.total_cmp(y))
                    .then(a.cmp(b))
            });
            if let Some(name) = chosen.map(|(name, _)| *name) {
                *loads.entry(name).or_default() += load;
                successors.insert((*stream).clone(), name.clone());
            }
        }
    }

    /// The hand-overs that would spread the streams evenly, the most useful first.
    /// `may_move` says whether a stream may be handed over now.
    pub(super) fn moves(mut self, may_move: impl Fn(&str) -> bool) -> Vec<Move> {
        let mut moves: Vec<_> = self
            .to_pins()
            .into_iter()
            .filter(|it| may_move(&it.stream))
            .collect();
        for to_pin in &moves {
            self.carry_out(to_pin);
        }
        // Each takes a stream from a node to one with less load, so there is an end.
        let most: usize = self.nodes.values().map(|node| node.leads.len()).sum();
        for _ in 0..most {
            let is_new = |stream: &str| moves.iter().all(|it| it.stream != stream);
            let Some(next) = self.best_move(|stream| may_move(stream) && is_new(stream)) else {
                break;
            };
            self.carry_out(&next);
            moves.push(next);
        }
        moves
    }

    fn to_pins(&self) -> Vec<Move> {
        let moves = self.pins.iter().filter_map(|(stream, to)| {
            let from = self.leader(stream)?;
            let is_ready = self.nodes.get(to).is_some_and(|node| node.is_settled);
            (from != to && is_ready && self.is_able(to, stream)).then(|| Move {
                stream: stream.clone(),
                from: from.to_owned(),
                to: to.clone(),
            })
        });
        moves.collect()
    }

    fn best_move(&self, may_move: impl Fn(&str) -> bool) -> Option<Move> {
        let mut best: Option<(f64, Move)> = None;
        for (from, giving) in &self.nodes {
            for (to, taking) in self.nodes.iter().filter(|(_, node)| node.is_settled) {
                let difference = giving.load() - taking.load();
                for (stream, load) in &giving.leads {
                    let gain = difference - load;
                    let is_pinned = self.pins.get(stream) == Some(from);
                    let is_better = best.as_ref().is_none_or(|(most, _)| gain > *most);
                    if from != to
                        && gain > giving.least_gain()
                        && is_better
                        && !is_pinned
                        && taking.able.contains(stream)
                        && may_move(stream)
                    {
                        let stream = stream.clone();
                        let (from, to) = (from.clone(), to.clone());
                        best = Some((gain, Move { stream, from, to }));
                    }
                }
            }
        }
        best.map(|(_, best)| best)
    }

    fn carry_out(&mut self, planned: &Move) {
        let from = self.nodes.get_mut(&planned.from);
        let load = from.and_then(|from| from.leads.remove(&planned.stream));
        if let (Some(to), Some(load)) = (self.nodes.get_mut(&planned.to), load) {
            to.leads.insert(planned.stream.clone(), load);
        }
    }

    fn is_able(&self, node: &str, stream: &str) -> bool {
        self.nodes
            .get(node)
            .is_some_and(|node| node.able.contains(stream))
    }
}

impl Node {
    fn load(&self) -> f64 {
        self.leads.values().sum()
    }

    /// What a hand-over must gain that takes a stream from this node.
    fn least_gain(&self) -> f64 {
        let by_rate: f64 = self.leads.values().map(|load| load - 1.0).sum();
        LEAST_GAIN + by_rate * LEAST_GAIN_OF_RATE
    }
}

/// The load of a stream that takes so many records a second.
fn load(rate: u64) -> f64 {
    // Exact enough for a comparison.
    let rate = u32::try_from(rate).unwrap_or(u32::MAX);
    1.0 + f64::from(rate) / RECORDS_PER_STREAM
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_types::documents::StreamReport;

    /// A node that can lead all of these streams and leads some of them.
    fn node(name: &str, all: &[String], leads: &[(&str, u64)]) -> NodeDocument {
        let mut document = NodeDocument::new(name);
        document.eligible = true;
        let report = StreamReport {
            eligible: true,
            error: None,
            sink: None,
        };
        let streams = all.iter().map(|stream| (stream.clone(), report.clone()));
        document.streams = streams.collect();
        let leads = leads
            .iter()
            .map(|(stream, rate)| ((*stream).to_owned(), *rate));
        document.leads = leads.collect();
        document
    }

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("s{number:02}")).collect()
    }

    fn quiet(streams: &[String]) -> Vec<(&str, u64)> {
        streams.iter().map(|stream| (stream.as_str(), 0)).collect()
    }

    fn plan(documents: &[NodeDocument]) -> Plan {
        Plan::new(documents, BTreeMap::new(), |_| true)
    }

    fn count<'a>(all: impl Iterator<Item = &'a String>) -> BTreeMap<&'a str, usize> {
        let mut counts = BTreeMap::new();
        for one in all {
            *counts.entry(one.as_str()).or_default() += 1;
        }
        counts
    }

    #[test]
    fn a_node_that_joins_gets_its_share_and_no_more() {
        let all = names(64);
        let (a, b) = all.split_at(32);
        let documents = [
            node("a", &all, &quiet(a)),
            node("b", &all, &quiet(b)),
            node("c", &all, &[]),
        ];
        let moves = plan(&documents).moves(|_| true);
        assert!(moves.iter().all(|it| it.to == "c"), "{moves:?}");
        let from = count(moves.iter().map(|it| &it.from));
        assert_eq!(moves.len(), 21);
        assert!(
            from.values().all(|count| (10..=11).contains(count)),
            "{from:?}"
        );
    }

    #[test]
    fn an_even_spread_stays_as_it_is() {
        let all = names(7);
        let documents = [
            node("a", &all, &quiet(&all[..3])),
            node("b", &all, &quiet(&all[3..5])),
            node("c", &all, &quiet(&all[5..])),
        ];
        assert_eq!(plan(&documents).moves(|_| true), []);
        let alone = [
            node("a", &[], &[(DEFAULT_STREAM, 5000)]),
            node("b", &[], &[]),
        ];
        assert_eq!(plan(&alone).moves(|_| true), []);
    }

    #[test]
    fn load_counts_and_not_only_the_number() {
        let all = names(4);
        let documents = [
            node("a", &all, &[("s00", 9000), ("s01", 9000)]),
            node("b", &all, &[("s02", 0), ("s03", 0)]),
        ];
        let moves = plan(&documents).moves(|_| true);
        assert_eq!(moves.len(), 1, "{moves:?}");
        assert_eq!((moves[0].from.as_str(), moves[0].to.as_str()), ("a", "b"));
        // Rates that vary a little move nothing back.
        let after = [
            node("a", &all, &[("s01", 10_000)]),
            node("b", &all, &[("s00", 9000), ("s02", 0), ("s03", 0)]),
        ];
        assert_eq!(plan(&after).moves(|_| true), []);
    }

    #[test]
    fn only_what_may_move_goes_to_nodes_that_have_been_there_for_a_while() {
        let all = names(4);
        let documents = [node("a", &all, &quiet(&all)), node("b", &all, &[])];
        let unsettled = Plan::new(&documents, BTreeMap::new(), |name| name != "b");
        assert_eq!(unsettled.moves(|_| true), []);
        let moves = plan(&documents).moves(|stream| stream == "s02");
        assert_eq!(moves.len(), 1);
        assert_eq!(moves[0].stream, "s02");
        let unable = [node("a", &all, &quiet(&all)), node("b", &[], &[])];
        assert_eq!(plan(&unable).moves(|_| true), []);
    }

    #[test]
    fn pinned_streams_go_to_their_node_and_stay_there() {
        let all = names(3);
        let documents = [node("a", &all, &quiet(&all)), node("b", &all, &[])];
        let pins = |pins: &[(&str, &str)]| {
            let pins = pins.iter();
            let pins = pins.map(|(stream, node)| ((*stream).to_owned(), (*node).to_owned()));
            pins.collect::<BTreeMap<_, _>>()
        };
        let all_here = pins(&[("s00", "a"), ("s01", "a"), ("s02", "a")]);
        assert_eq!(
            Plan::new(&documents, all_here, |_| true).moves(|_| true),
            []
        );
        let all_there = pins(&[("s00", "b"), ("s01", "b"), ("s02", "b")]);
        let moves = Plan::new(&documents, all_there, |_| true).moves(|_| true);
        assert_eq!(moves.len(), 3, "{moves:?}");
        let nowhere = pins(&[("s00", "c")]);
        let moves = Plan::new(&documents, nowhere, |_| true).moves(|_| true);
        assert_eq!(moves.len(), 1, "one of the three goes to b: {moves:?}");
    }

    #[test]
    fn the_streams_of_a_node_that_dies_spread_over_the_others() {
        let all = names(64);
        let documents = [
            node("a", &all, &quiet(&all[..22])),
            node("b", &all, &quiet(&all[22..43])),
            node("c", &all, &quiet(&all[43..])),
        ];
        let successors = plan(&documents).successors();
        let of_a = count(all[..22].iter().map(|stream| &successors[stream]));
        assert_eq!(of_a, BTreeMap::from([("b", 11), ("c", 11)]));
        // Those that nobody leads go to the node that leads least.
        let after = [
            node("b", &all, &quiet(&all[22..43])),
            node("c", &all, &quiet(&all[43..])),
        ];
        let successors = plan(&after).successors();
        let orphans = count(all[..22].iter().map(|stream| &successors[stream]));
        assert_eq!(orphans, BTreeMap::from([("b", 11), ("c", 11)]));
        let alone = [node("b", &all, &quiet(&all))];
        assert_eq!(plan(&alone).successors().get("s00"), None);
    }
}
