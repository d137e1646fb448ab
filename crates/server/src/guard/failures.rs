//! Wrong keys, counted by the address that they came from. Edge: whether a key is wrong is told by others.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::limits::{FAILURES_ADDRESSES, FAILURES_MAX, FAILURES_PERIOD};

/// Wrong keys of the last while.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<HashMap<IpAddr, Window>>);

#[derive(Debug)]
struct Window {
    since: Instant,
    count: u32,
}

impl Window {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= FAILURES_PERIOD
    }
}

/// Where addresses are counted for which there is no room.
const OTHERS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// What is counted as one: an IPv6 customer has a network of 2^64 addresses.
fn counted(peer: Option<IpAddr>) -> IpAddr {
    match peer.map_or(OTHERS, |peer| peer.to_canonical()) {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

impl Failures {
    fn with<T>(&self, act: impl FnOnce(&mut HashMap<IpAddr, Window>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a key from this address is looked at.
    pub(super) fn may_try(&self, peer: Option<IpAddr>, now: Instant) -> bool {
        self.with(|windows| {
            let own = counted(peer);
            let place =
                if windows.contains_key(&own) || windows.len() < FAILURES_ADDRESSES { own } else { OTHERS };
            windows.get(&place).is_none_or(|window| window.is_over(now) || window.count < FAILURES_MAX)
        })
    }

    /// Notes a wrong key.
    pub(super) fn failed(&self, peer: Option<IpAddr>, now: Instant) {
        self.with(|windows| {
            let mut place = counted(peer);
            if !windows.contains_key(&place) && windows.len() >= FAILURES_ADDRESSES {
                windows.retain(|_, window| !window.is_over(now));
                if windows.len() >= FAILURES_ADDRESSES {
                    place = OTHERS;
                }
            }
            let window = windows.entry(place).or_insert(Window { since: now, count: 0 });
            if window.is_over(now) {
                *window = Window { since: now, count: 0 };
            }
            window.count = window.count.saturating_add(1);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[tokio::test]
    async fn after_so_many_an_address_waits_and_others_do_not() {
        let (failures, now) = (Failures::default(), Instant::now());
        let (guesser, other) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..FAILURES_MAX {
            assert!(failures.may_try(guesser, now));
            failures.failed(guesser, now);
        }
        assert!(!failures.may_try(guesser, now));
        assert!(!failures.may_try(address("::ffff:192.0.2.1"), now), "the same address");
        assert!(failures.may_try(other, now));
        assert!(failures.may_try(guesser, now + FAILURES_PERIOD));
        failures.failed(guesser, now + FAILURES_PERIOD);
        assert!(failures.may_try(guesser, now + FAILURES_PERIOD), "counted anew");
    }

    #[tokio::test]
    async fn a_network_of_ipv6_is_one_address() {
        let (failures, now) = (Failures::default(), Instant::now());
        for number in 0..FAILURES_MAX {
            failures.failed(address(&format!("2001:db8::{number:x}")), now);
        }
        assert!(!failures.may_try(address("2001:db8::ffff:1"), now));
        assert!(failures.may_try(address("2001:db8:0:1::1"), now));
    }

    #[tokio::test]
    async fn what_is_remembered_is_bounded_and_nobody_slips_through() {
        let (failures, now) = (Failures::default(), Instant::now());
        for number in 0..FAILURES_ADDRESSES as u32 + 100 {
            failures.failed(Some(Ipv4Addr::from_bits(0x0a00_0000 + number).into()), now);
        }
        assert!(failures.0.lock().unwrap().len() <= FAILURES_ADDRESSES + 1);
        assert!(!failures.may_try(address("192.0.2.1"), now), "those without a place are counted together");
        let later = now + FAILURES_PERIOD;
        failures.failed(address("192.0.2.1"), later);
        assert_eq!(failures.0.lock().unwrap().len(), 1, "the others are forgotten");
    }
}
