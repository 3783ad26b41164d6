//! How often strangers may ask, in all and from one address.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use libp2p::core::Multiaddr;
use libp2p::multiaddr::Protocol;
use tokio::time::Instant;

use crate::rate::Rate;

/// Requests at once, and eight a second from then on: a request costs the agent a signature or
/// two, so a flood takes about a thousandth of a core.
const ALL: Rate = Rate { interval: Duration::from_millis(125), burst: 32 };

/// From one address: a rack behind one router joins within a minute, and an address that floods
/// leaves three quarters of the whole to others.
const ONE: Rate = Rate { interval: Duration::from_millis(500), burst: 16 };

/// Addresses remembered. Fewer than this can have asked within the eight seconds after which an
/// address is forgotten, see [`ALL`].
const MAX_ORIGINS: usize = 128;

/// Who counts as one asker. A household or a rented server has a whole /64 of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    V4([u8; 4]),
    V6Prefix(u64),
    Unknown,
}

impl Origin {
    pub(crate) fn of(address: &Multiaddr) -> Self {
        let ip = match address.iter().next() {
            Some(Protocol::Ip4(ip)) => IpAddr::V4(ip),
            Some(Protocol::Ip6(ip)) => IpAddr::V6(ip).to_canonical(),
            _ => return Self::Unknown,
        };
        match ip {
            IpAddr::V4(ip) => Self::V4(ip.octets()),
            IpAddr::V6(ip) => Self::V6Prefix((ip.to_bits() >> 64) as u64),
        }
    }
}

/// What was asked lately.
#[derive(Debug, Default)]
pub(super) struct Rates {
    all: Option<Instant>,
    origins: BTreeMap<Origin, Instant>,
}

impl Rates {
    /// Whether a request from there may be served now; if so it is counted.
    pub(super) fn take(&mut self, origin: Origin, now: Instant) -> bool {
        let due = self.origins.get(&origin).copied();
        if !ALL.allows(self.all, now) || !ONE.allows(due, now) {
            return false;
        }
        if due.is_none() && self.origins.len() >= MAX_ORIGINS {
            self.origins.retain(|_, due| *due > now);
            if self.origins.len() >= MAX_ORIGINS {
                return false;
            }
        }
        self.all = Some(ALL.after_one_more(self.all, now));
        self.origins.insert(origin, ONE.after_one_more(due, now));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        Origin::of(&text.parse().unwrap())
    }

    #[test]
    fn one_address_has_its_burst_and_then_its_rate() {
        let (mut rates, start) = (Rates::default(), Instant::now());
        let home = origin("/ip4/192.0.2.1/udp/1/quic-v1");
        for _ in 0..ONE.burst {
            assert!(rates.take(home, start));
        }
        assert!(!rates.take(home, start), "the burst is used up");
        assert!(rates.take(origin("/ip4/192.0.2.2/tcp/1"), start), "others are served");
        assert!(rates.take(home, start + ONE.interval));
        assert!(!rates.take(home, start + ONE.interval));
    }

    #[test]
    fn all_addresses_together_have_theirs() {
        let (mut rates, start) = (Rates::default(), Instant::now());
        for number in 0..ALL.burst {
            assert!(rates.take(Origin::V6Prefix(number.into()), start));
        }
        assert!(!rates.take(Origin::Unknown, start));
        assert!(rates.take(Origin::Unknown, start + ALL.interval));
    }

    #[test]
    fn a_flood_from_everywhere_keeps_few_addresses_and_its_rate() {
        let (mut rates, start) = (Rates::default(), Instant::now());
        let minute = Duration::from_secs(60);
        let mut served = 0;
        for number in 0..60_000_u64 {
            let now = start + Duration::from_millis(number);
            served += u32::from(rates.take(Origin::V6Prefix(number), now));
            assert!(rates.origins.len() <= MAX_ORIGINS);
        }
        let rated = minute.as_millis() / ALL.interval.as_millis();
        assert_eq!(u128::from(served), rated + u128::from(ALL.burst) - 1);
    }

    #[test]
    fn addresses_of_one_network_count_as_one() {
        let network = origin("/ip6/2001:db8::1/tcp/1");
        assert_eq!(network, origin("/ip6/2001:db8::ffff:2/udp/9/quic-v1"));
        assert_ne!(network, origin("/ip6/2001:db8:0:1::1/tcp/1"));
        assert_eq!(origin("/ip6/::ffff:192.0.2.1/tcp/1"), origin("/ip4/192.0.2.1/tcp/2"));
    }
}
