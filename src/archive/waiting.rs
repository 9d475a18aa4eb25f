//! What waits in RAM for the next commit: bounded by bytes, oldest first out. Pure.

use std::collections::VecDeque;

use crate::clock::Utc90k;

/// Items with their times, in the order of arrival; a clock that steps may send times back.
#[derive(Debug)]
pub struct Waiting<T> {
    items: VecDeque<Item<T>>,
    next: u64,
    bytes: usize,
    bytes_max: usize,
}

#[derive(Clone, Debug)]
pub struct Item<T> {
    number: u64,
    pub at: Utc90k,
    pub value: T,
    bytes: usize,
}

impl<T: Clone> Waiting<T> {
    pub fn new(bytes_max: usize) -> Self {
        Self { items: VecDeque::new(), next: 0, bytes: 0, bytes_max }
    }

    /// How many items were dropped for it: the oldest, or itself when it is too large.
    pub fn push(&mut self, at: Utc90k, value: T, bytes: usize) -> u64 {
        if bytes > self.bytes_max {
            return 1;
        }
        let mut dropped = 0;
        while self.bytes + bytes > self.bytes_max {
            let Some(oldest) = self.items.pop_front() else { break };
            self.bytes -= oldest.bytes;
            dropped += 1;
        }
        self.items.push_back(Item { number: self.next, at, value, bytes });
        self.next += 1;
        self.bytes += bytes;
        dropped
    }

    /// Those from `from` on and before `to`. They stay, so that readers find them until they are on the disk.
    pub fn between(&self, from: Utc90k, to: Utc90k) -> Vec<Item<T>> {
        self.items.iter().filter(|item| (from..to).contains(&item.at)).cloned().collect()
    }

    /// Lets these go; some may have gone already.
    pub fn remove(&mut self, done: &[Item<T>]) {
        self.items.retain(|item| done.binary_search_by_key(&item.number, |done| done.number).is_err());
        self.bytes = self.items.iter().map(|item| item.bytes).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first_and_what_is_written_is_let_go() {
        let at = Utc90k::from_seconds;
        let mut waiting = Waiting::new(100);
        let dropped: Vec<u64> = (0..12).map(|second| waiting.push(at(second), second, 10)).collect();
        assert_eq!(dropped, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(waiting.push(at(12), 12, 101), 1, "too large by itself");
        assert_eq!(waiting.push(at(13), 13, 25), 3);
        let values = |items: &[Item<i64>]| items.iter().map(|item| item.value).collect::<Vec<_>>();
        let first = waiting.between(at(0), at(8));
        assert_eq!(values(&first), [5, 6, 7]);
        assert_eq!(waiting.push(at(14), 14, 50), 5, "also some that are being written");
        waiting.remove(&first);
        assert_eq!(values(&waiting.between(at(0), at(99))), [10, 11, 13, 14]);
        assert_eq!(waiting.bytes, 95);
    }
}
