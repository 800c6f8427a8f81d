//! A directed graph, and the circles in it.

use std::collections::{BTreeMap, BTreeSet};

/// The successors of each node.
#[derive(Debug)]
pub(crate) struct Graph<N> {
    next: BTreeMap<N, BTreeSet<N>>,
}

impl<N: Clone + Ord> Graph<N> {
    pub(crate) fn new(edges: impl IntoIterator<Item = (N, N)>) -> Self {
        let mut next = BTreeMap::<N, BTreeSet<N>>::new();
        for (from, to) in edges {
            next.entry(from).or_default().insert(to);
        }
        Self { next }
    }

    /// The sets of nodes in which each node leads to all others.
    pub(crate) fn circles(&self) -> Vec<BTreeSet<N>> {
        let reached: BTreeMap<&N, BTreeSet<N>> = self
            .next
            .keys()
            .map(|node| (node, self.reached_from(node)))
            .collect();
        let leads = |from: &N, to: &N| reached.get(from).is_some_and(|nodes| nodes.contains(to));
        let mut circles = BTreeSet::new();
        for (node, nodes) in &reached {
            let circle: BTreeSet<N> = nodes
                .iter()
                .filter(|other| leads(other, node))
                .cloned()
                .collect();
            if circle.len() > 1 {
                circles.insert(circle);
            }
        }
        circles.into_iter().collect()
    }

    fn reached_from(&self, start: &N) -> BTreeSet<N> {
        let mut reached = BTreeSet::new();
        let mut to_visit = vec![start];
        while let Some(node) = to_visit.pop() {
            for next in self.next.get(node).into_iter().flatten() {
                if reached.insert(next.clone()) {
                    to_visit.push(next);
                }
            }
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_are_told_apart_from_what_leads_to_them() {
        let graph = Graph::new([(1, 2), (2, 3), (3, 2), (3, 4), (5, 6), (6, 7), (7, 5)]);
        assert_eq!(
            graph.circles(),
            [BTreeSet::from([2, 3]), BTreeSet::from([5, 6, 7])]
        );
    }

    #[test]
    fn a_node_that_leads_to_itself_is_no_circle() {
        assert!(Graph::new([(1, 1), (1, 2)]).circles().is_empty());
    }
}
