//! How often somebody may try to sign in: by account and by address, in memory that does not grow.

use std::{collections::HashMap, hash::Hash, net::IpAddr, time::Duration};

use crate::{
    clock::Mono,
    error::{Error, Kind, Result},
};

/// Names and addresses that are remembered, each; about 100 bytes. When full, the one goes that is nearest to having
/// waited long enough, so that a flood of other names does not free the one that is attacked.
const REMEMBERED: usize = 2048;

/// So many failures at once, then one in that time: GCRA, a leaky bucket without a timer.
struct Pace {
    burst: u32,
    every: Duration,
}

/// From all addresses together: 14,400 guesses a day, against passwords of 8 characters and more.
const ACCOUNT: Pace = Pace { burst: 10, every: Duration::from_secs(6) };
/// A household or an office behind one address has more than one account.
const ADDRESS: Pace = Pace { burst: 20, every: Duration::from_secs(3) };

#[derive(Default)]
pub struct Throttle {
    accounts: Bucket<String>,
    addresses: Bucket<IpAddr>,
}

impl Throttle {
    /// Counts an attempt before it is looked at: many at the same time must not slip through together.
    pub fn attempt(&mut self, account: &str, address: IpAddr, now: Mono) -> Result<()> {
        let (account, address) = (account.to_lowercase(), network(address));
        // Both are asked before either is charged: who is refused by one does not use up the other.
        if !self.accounts.has_room(&account, &ACCOUNT, now) || !self.addresses.has_room(&address, &ADDRESS, now) {
            return Err(Error::new(Kind::TooMany, "too many attempts to sign in; wait a little"));
        }
        self.accounts.charge(account, &ACCOUNT, now);
        self.addresses.charge(address, &ADDRESS, now);
        Ok(())
    }

    /// It was the right password, or nobody looked at it: it does not count.
    pub fn forgive(&mut self, account: &str, address: IpAddr) {
        self.accounts.refund(&account.to_lowercase(), &ACCOUNT);
        self.addresses.refund(&network(address), &ADDRESS);
    }
}

/// One customer of a provider has a /64 of IPv6, and would otherwise have as many addresses as it wants.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => IpAddr::V6((u128::from(six) & !u128::from(u64::MAX)).into()),
        four => four,
    }
}

/// When the last attempt of each will have been waited out.
struct Bucket<K>(HashMap<K, Mono>);

impl<K> Default for Bucket<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Hash + Eq + Clone> Bucket<K> {
    fn has_room(&self, key: &K, pace: &Pace, now: Mono) -> bool {
        let owed = self.0.get(key).map_or(Duration::ZERO, |until| until.since(now));
        owed <= pace.every * (pace.burst - 1)
    }

    fn charge(&mut self, key: K, pace: &Pace, now: Mono) {
        if self.0.len() >= REMEMBERED && !self.0.contains_key(&key) {
            self.0.retain(|_, until| *until > now);
            while self.0.len() >= REMEMBERED
                && let Some(nearest) = self.0.iter().min_by_key(|(_, until)| **until).map(|(key, _)| key.clone())
            {
                self.0.remove(&nearest);
            }
        }
        let until = self.0.entry(key).or_insert(now);
        *until = (*until).max(now) + pace.every;
    }

    fn refund(&mut self, key: &K, pace: &Pace) {
        if let Some(until) = self.0.get_mut(key) {
            *until = Mono::ZERO + until.since(Mono::ZERO).saturating_sub(pace.every);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn an_account_is_guessed_slowly_from_wherever() {
        let (mut throttle, start) = (Throttle::default(), Mono::ZERO + Duration::from_secs(1000));
        let mut let_through = 0;
        for tenth in 0..36_000_u32 {
            let from = address((tenth % 250) as u8);
            let now = start + Duration::from_millis(100) * tenth;
            let_through += u32::from(throttle.attempt("admin", from, now).is_ok());
        }
        assert_eq!(let_through, 10 + 599, "an hour of ten a second");
        assert!(throttle.attempt("other", address(1), start + Duration::from_secs(3600)).is_ok());
    }

    #[test]
    fn an_address_guesses_few_names() {
        let (mut throttle, start) = (Throttle::default(), Mono::ZERO + Duration::from_secs(1000));
        let tried = (0..100).filter(|n| throttle.attempt(&format!("name-{n}"), address(1), start).is_ok()).count();
        assert_eq!(tried, 20);
        let six = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        let tried = (0..100).filter(|n| throttle.attempt(&format!("six-{n}"), six(*n), start).is_ok()).count();
        assert_eq!(tried, 20, "all of one network");
    }

    #[test]
    fn who_knows_the_password_is_never_kept_out_by_signing_in() {
        let (mut throttle, now) = (Throttle::default(), Mono::ZERO + Duration::from_secs(1000));
        for _ in 0..1000 {
            assert!(throttle.attempt("lena", address(1), now).is_ok());
            throttle.forgive("lena", address(1));
        }
    }

    #[test]
    fn a_flood_of_names_takes_no_memory_and_frees_nobody() {
        let (mut throttle, now) = (Throttle::default(), Mono::ZERO + Duration::from_secs(1000));
        while throttle.attempt("admin", address(1), now).is_ok() {}
        for n in 0..20_000_u32 {
            let from = IpAddr::from((0x0b00_0000 + n).to_be_bytes());
            let _ = throttle.attempt(&format!("name-{n}"), from, now);
        }
        assert!(throttle.accounts.0.len() <= REMEMBERED && throttle.addresses.0.len() <= REMEMBERED);
        assert!(throttle.attempt("ADMIN", address(2), now).is_err());
    }
}
