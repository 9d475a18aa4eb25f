//! From incidents to a table of what was found, missed and made up.

use std::collections::BTreeMap;

use crate::watch::Spell;

#[derive(Clone, Debug, Default)]
pub struct Row {
    pub hits: usize,
    pub missed: usize,
    pub made_up: usize,
    pub start_off: f64,
    pub end_off: f64,
}

impl Row {
    pub fn f1(&self) -> f64 {
        let wrong = self.missed + self.made_up;
        if self.hits + wrong == 0 { 1.0 } else { 2.0 * self.hits as f64 / (2 * self.hits + wrong) as f64 }
    }
}

/// By kind. A spell is hit when exactly one incident of its kind lies on it.
pub fn score(expected: &[Spell], found: &[Spell], rows: &mut BTreeMap<String, Row>) {
    let mut used = vec![false; found.len()];
    for (kind, from, to) in expected {
        let row = rows.entry(kind.clone()).or_default();
        let hit = found
            .iter()
            .enumerate()
            .position(|(at, (other, start, end))| !used[at] && other == kind && start < to && end > from);
        match hit {
            Some(at) => {
                used[at] = true;
                row.hits += 1;
                row.start_off = row.start_off.max((found[at].1 - from).abs());
                row.end_off = row.end_off.max((found[at].2 - to).abs());
            }
            None => row.missed += 1,
        }
    }
    for ((kind, ..), _) in found.iter().zip(used).filter(|(_, used)| !used) {
        rows.entry(kind.clone()).or_default().made_up += 1;
    }
}

pub fn print(rows: &BTreeMap<String, Row>) -> String {
    let mut out = format!(
        "{:14} {:>5} {:>7} {:>8} {:>6} {:>10} {:>8}\n",
        "kind", "found", "missed", "made up", "F1", "start off", "end off"
    );
    for (kind, row) in rows {
        out += &format!(
            "{kind:14} {:>5} {:>7} {:>8} {:>6.3} {:>8.2} s {:>6.2} s\n",
            row.hits,
            row.missed,
            row.made_up,
            row.f1(),
            row.start_off,
            row.end_off
        );
    }
    out
}
