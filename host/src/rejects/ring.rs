//! A bounded list in which a client has a share.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};

use super::reject::Reject;

/// How many rejects are kept.
const KEPT_MAX: usize = 1000;
/// How many of them are one client's.
const CLIENT_MAX: usize = KEPT_MAX / 10;
/// How many times more places a client's list may have than it uses.
const SPARE: usize = 4;

/// The last rejects. A client that has its share loses its own oldest one for
/// another. If all places are taken, the client that has most of them loses its
/// oldest one.
#[derive(Debug, Default)]
pub(super) struct Ring {
    clients: HashMap<Option<IpAddr>, VecDeque<Kept>>,
    /// The sum of the lists' lengths.
    kept: usize,
    /// How many came so far.
    came: u64,
}

#[derive(Debug)]
struct Kept {
    /// How many came before it.
    number: u64,
    reject: Reject,
}

impl Ring {
    /// Adds one. Returns whether another one had to go for it.
    pub(super) fn push(&mut self, reject: Reject) -> bool {
        let client = reject.client.map(share_of);
        let number = self.came;
        self.came += 1;
        let own = self.clients.get(&client).map_or(0, VecDeque::len);
        let loser = match (own >= CLIENT_MAX, self.kept >= KEPT_MAX) {
            (true, _) => Some(client),
            (false, true) => self.greediest(),
            (false, false) => None,
        };
        if let Some(loser) = loser {
            self.drop_oldest(loser);
        }
        let kept = Kept { number, reject };
        self.clients.entry(client).or_default().push_back(kept);
        self.kept += 1;
        loser.is_some()
    }

    /// All that are kept, oldest first.
    pub(super) fn list(&self) -> Vec<Reject> {
        let mut all: Vec<_> = self.clients.values().flatten().collect();
        all.sort_unstable_by_key(|kept| kept.number);
        all.into_iter().map(|kept| kept.reject.clone()).collect()
    }

    /// The client that has most; of several, the one whose oldest is older.
    fn greediest(&self) -> Option<Option<IpAddr>> {
        let rank = |list: &VecDeque<Kept>| {
            let oldest = list.front().map_or(0, |kept| kept.number);
            (list.len(), std::cmp::Reverse(oldest))
        };
        let greediest = self.clients.iter().max_by_key(|(_, list)| rank(list));
        greediest.map(|(client, _)| *client)
    }

    fn drop_oldest(&mut self, client: Option<IpAddr>) {
        let Some(list) = self.clients.get_mut(&client) else {
            return;
        };
        self.kept -= usize::from(list.pop_front().is_some());
        if list.capacity() > SPARE * list.len() {
            list.shrink_to_fit();
        }
        if list.is_empty() {
            self.clients.remove(&client);
        }
    }
}

/// Whose share an address counts in: a host usually has all addresses of a network
/// of 64 bits. A reject has its address in canonical form.
fn share_of(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            Ipv6Addr::from_bits(network).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(client: u32) -> IpAddr {
        IpAddr::from(client.to_be_bytes())
    }

    fn push(ring: &mut Ring, client: IpAddr, reason: &str) -> bool {
        ring.push(Reject::new("gelf", Some(client), reason, b""))
    }

    /// The reasons of a client's rejects.
    fn of(ring: &Ring, client: IpAddr) -> Vec<String> {
        let mut list = ring.list();
        list.retain(|reject| reject.client == Some(client));
        list.into_iter().map(|reject| reject.reason).collect()
    }

    #[test]
    fn a_flood_pushes_out_only_its_own() {
        let mut ring = Ring::default();
        for number in 0..3 {
            assert!(!push(&mut ring, address(1), &number.to_string()));
        }
        for number in 0..10 * KEPT_MAX {
            let is_lost = push(&mut ring, address(2), &number.to_string());
            assert_eq!(is_lost, number >= CLIENT_MAX);
        }
        assert_eq!(of(&ring, address(1)), ["0", "1", "2"]);
        let last = 10 * KEPT_MAX - CLIENT_MAX..10 * KEPT_MAX;
        let last: Vec<_> = last.map(|number| number.to_string()).collect();
        assert_eq!(of(&ring, address(2)), last);
    }

    #[test]
    fn of_many_floods_none_pushes_out_who_sends_little() {
        let mut ring = Ring::default();
        push(&mut ring, address(0), "quiet");
        for number in 0..20 * KEPT_MAX {
            let client = 1 + u32::try_from(number % 40).unwrap();
            push(&mut ring, address(client), "loud");
            assert!(ring.kept <= KEPT_MAX);
        }
        assert_eq!(of(&ring, address(0)), ["quiet"]);
        assert_eq!(ring.list().len(), KEPT_MAX);
        for client in 1..=40 {
            let share = of(&ring, address(client)).len();
            assert!(
                (KEPT_MAX / 40 - 1..=KEPT_MAX / 40 + 1).contains(&share),
                "{share}"
            );
        }
    }

    #[test]
    fn of_ever_new_clients_the_last_ones_are_kept() {
        let mut ring = Ring::default();
        let clients = 5 * u32::try_from(KEPT_MAX).unwrap();
        for client in 0..clients {
            push(&mut ring, address(client), &client.to_string());
            assert!(ring.clients.len() <= KEPT_MAX);
        }
        let list = ring.list();
        assert_eq!(list.len(), KEPT_MAX);
        assert_eq!(list[0].reason, (clients - 1000).to_string());
    }

    #[test]
    fn whatever_comes_the_bounds_hold_and_the_order_is_kept() {
        let mut ring = Ring::default();
        let (mut random, mut lost) = (1_u64, 0);
        let total = 30_000;
        for number in 0..total {
            // Numerical Recipes' generator; few clients send most.
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let spread = [2, 30, 3000][usize::try_from(random >> 60).unwrap() % 3];
            let client = u32::try_from((random >> 33) % spread).unwrap();
            lost += usize::from(push(&mut ring, address(client), &number.to_string()));
            assert!(ring.kept <= KEPT_MAX);
            assert!(
                ring.clients
                    .values()
                    .all(|own| (1..=CLIENT_MAX).contains(&own.len()))
            );
        }
        let list = ring.list();
        assert_eq!((list.len(), list.len() + lost), (ring.kept, total));
        let numbers = list
            .iter()
            .map(|reject| reject.reason.parse::<u32>().unwrap());
        assert!(numbers.is_sorted());
    }

    #[test]
    fn who_had_much_and_lost_it_keeps_no_memory() {
        let mut ring = Ring::default();
        for client in 0..2000 {
            for _ in 0..CLIENT_MAX {
                push(&mut ring, address(client), "much");
            }
            let places = ring.clients.values().map(VecDeque::capacity);
            assert!(places.sum::<usize>() <= SPARE * KEPT_MAX);
        }
    }

    #[test]
    fn the_addresses_of_a_network_share_their_places() {
        let mut ring = Ring::default();
        for number in 0..2 * CLIENT_MAX {
            let host =
                Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) + u128::try_from(number).unwrap());
            push(&mut ring, host.into(), "6");
            push(
                &mut ring,
                Ipv6Addr::from_bits(0xffff_c000_0200).into(),
                "mapped",
            );
        }
        assert_eq!(ring.kept, 2 * CLIENT_MAX);
        let other: IpAddr = "192.0.2.0".parse().unwrap();
        assert!(push(&mut ring, other, "4"), "the same client");
    }
}
