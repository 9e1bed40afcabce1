//! How much each network asks where that is limited, in a table of fixed size: strangers choose their addresses. In a full
//! row the network that asked least goes, so who asks much is always known.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::OnceLock;

use crate::networks::Share;

const WAYS: usize = 4;
const ROWS: usize = 1 << 14; // with four ways and sixteen octets each: a megabyte

/// A network in a place, and its day (16 bits), its place (16) and its count (32).
#[derive(Debug, Default)]
struct Entry {
    network: AtomicU64,
    about: AtomicU64,
}

/// The counts; made when first used.
#[derive(Debug, Default)]
pub struct Counts {
    rows: OnceLock<(Box<[[Entry; WAYS]]>, RandomState)>,
}

fn packed(place: usize, day: u64) -> u64 {
    (day & 0xFFFF) << 48 | (place as u64 & 0xFFFF) << 32
}

impl Counts {
    fn row(&self, place: usize, network: Share) -> &[Entry; WAYS] {
        let (rows, hash) =
            self.rows.get_or_init(|| ((0..ROWS).map(|_| Default::default()).collect(), RandomState::new()));
        let number = usize::try_from(hash.hash_one((place, network.0)) % ROWS as u64).unwrap_or(0);
        &rows[number]
    }

    /// Count a query of a network; gives how many that makes on this day. Two threads that meet a new network at once may
    /// count one query too few.
    pub fn spend(&self, place: usize, network: Share, day: u64) -> u64 {
        let entry = self.entry(place, network, day);
        (entry.about.fetch_add(1, Ordering::Relaxed) & 0xFFFF_FFFF) + 1
    }

    /// Begin with what was spent before.
    pub fn seed(&self, place: usize, network: Share, day: u64, spent: u32) {
        self.entry(place, network, day).about.store(packed(place, day) | u64::from(spent), Ordering::Relaxed);
    }

    fn entry(&self, place: usize, network: Share, day: u64) -> &Entry {
        let (row, now) = (self.row(place, network), packed(place, day));
        let about = |entry: &Entry| entry.about.load(Ordering::Relaxed);
        let ours =
            |entry: &&Entry| entry.network.load(Ordering::Relaxed) == network.0 && about(entry) >> 32 == now >> 32;
        if let Some(entry) = row.iter().find(ours) {
            return entry;
        }
        let worth = |entry: &&Entry| if about(entry) >> 48 == now >> 48 { about(entry) & 0xFFFF_FFFF } else { 0 };
        let least = row.iter().min_by_key(worth).unwrap_or(&row[0]);
        least.network.store(network.0, Ordering::Relaxed);
        least.about.store(now, Ordering::Relaxed);
        least
    }

    /// The networks that asked most on a day: place, network, queries.
    #[must_use]
    pub fn top(&self, day: u64, most: usize) -> Vec<(usize, Share, u64)> {
        let Some((rows, _)) = self.rows.get() else {
            return Vec::new();
        };
        let mut found: Vec<_> = rows
            .iter()
            .flatten()
            .filter_map(|entry| {
                let about = entry.about.load(Ordering::Relaxed);
                let place = usize::try_from(about >> 32 & 0xFFFF).unwrap_or(0);
                let counted = about >> 48 == day & 0xFFFF && about & 0xFFFF_FFFF > 0;
                counted.then(|| (place, Share(entry.network.load(Ordering::Relaxed)), about & 0xFFFF_FFFF))
            })
            .collect();
        found.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
        found.truncate(most);
        found
    }
}
