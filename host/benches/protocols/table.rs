//! What is printed.

use crate::bodies::RECORDS;
use crate::common::{median, spread};
use crate::load::{Figures, Row};
use crate::names::{NDJSON, NOTHING};

/// The figures of all rounds.
pub(crate) struct Table<'a> {
    rows: &'a [Row],
    rounds: Vec<Vec<Figures>>,
}

impl<'a> Table<'a> {
    pub(crate) const fn new(rows: &'a [Row]) -> Self {
        let rounds = Vec::new();
        Self { rows, rounds }
    }

    /// Adds the figures of a round, in the order of the rows.
    pub(crate) fn add(&mut self, round: Vec<Figures>) {
        self.rounds.push(round);
    }

    pub(crate) fn print(&self) {
        println!(
            "{:20} {:>9} {:>7} {:>6} {:>10} {:>10} {:>10} {:>9} {:>10}",
            "",
            "M rec./s",
            "MB/s",
            "core",
            "ns/record",
            "least",
            "M/s core",
            "× NDJSON",
            "× nothing"
        );
        for (place, row) in self.rows.iter().enumerate() {
            let rate = self.median(place, |figures| figures.rate);
            let share = self.median(place, |figures| figures.share);
            let [least, cpu, _] = spread(self.figures(place, |figures| figures.cpu));
            println!(
                "{:20} {:9.3} {:7.0} {:5.0}% {cpu:10.1} {least:10.1} {:10.2} {:9.2} {:10.2}",
                row.name,
                rate / 1e6,
                rate * row.bytes as f64 / RECORDS as f64 / 1e6,
                share * 100.0,
                1e3 / cpu,
                self.ratio(place, NDJSON),
                self.ratio(place, NOTHING),
            );
        }
        println!(
            "\nrec./s and MB/s: acknowledged, while the node had that share of a core\n\
             ns/record: of a processor, in the node, and the least of a round; M/s core: million\n\
             records/s of a whole core, from the median\n\
             × NDJSON, × nothing: the time of a processor against that of the baseline"
        );
    }

    fn median(&self, place: usize, figure: impl Fn(&Figures) -> f64) -> f64 {
        median(self.figures(place, figure))
    }

    /// A figure of a row in each round.
    fn figures(&self, place: usize, figure: impl Fn(&Figures) -> f64) -> Vec<f64> {
        let of_rounds = self.rounds.iter().filter_map(|round| round.get(place));
        of_rounds.map(figure).collect()
    }

    /// The median of the ratios of the rounds.
    fn ratio(&self, place: usize, baseline: &str) -> f64 {
        let baseline = self.rows.iter().position(|row| row.name == baseline);
        let ratios = self.rounds.iter().filter_map(|round| {
            let (ours, theirs) = (round.get(place)?, round.get(baseline?)?);
            Some(ours.cpu / theirs.cpu)
        });
        median(ratios.collect())
    }
}
