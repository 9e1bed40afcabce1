//! What was asked and what became of it. Each thread counts for itself, in numbers that only it writes, so a count is
//! one addition without a lock; whoever wants the sum reads them all.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::message::rcode;

/// Zones that are counted apart; what is above is counted under the last.
pub const MAX_ZONES: usize = 256;
/// The types counted apart, as in `dnsbl/dns/counters.py`; others come last.
pub const TYPES: [u16; 16] = [1, 2, 5, 6, 12, 15, 16, 28, 33, 43, 48, 65, 251, 252, 255, 257];
/// The response codes that are ever sent.
pub const RCODES: [u16; 8] = [
    rcode::NOERROR,
    rcode::FORMERR,
    rcode::SERVFAIL,
    rcode::NXDOMAIN,
    rcode::NOTIMP,
    rcode::REFUSED,
    rcode::BADVERS,
    rcode::BADCOOKIE,
];
/// Batches of 1, 2-3, 4-7 ... packets.
pub const BATCHES: usize = 8;

const KINDS: usize = TYPES.len() + 1;

/// Everything else that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Event {
    /// FORMERR, and messages too short to be answered.
    Malformed,
    /// Messages that are themselves replies.
    Silent,
    /// Replies with TC.
    Truncated,
    /// Replies that the system did not take.
    Dropped,
    /// Queries lost to an error of ours.
    Failed,
    /// Queries handed to the Python path.
    Handed,
    /// Queries that its queue had no room for.
    Overflowed,
    /// Server cookies received that were ours.
    CookieValid,
    /// Server cookies received that were not.
    CookieInvalid,
    /// Client cookies that came alone.
    CookieNew,
    /// Queries with a key, good or not.
    Keyed,
    /// Queries that a zone's access did not let in.
    Denied,
    /// Queries that came to more than agreed.
    OverQuota,
    /// Replies above the rate.
    Limited,
    /// Those of them that went out empty.
    Slipped,
}

/// All of them by name.
pub const EVENTS: [(&str, Event); 15] = [
    ("malformed", Event::Malformed),
    ("silent", Event::Silent),
    ("truncated", Event::Truncated),
    ("dropped", Event::Dropped),
    ("failed", Event::Failed),
    ("handed", Event::Handed),
    ("overflowed", Event::Overflowed),
    ("cookies_valid", Event::CookieValid),
    ("cookies_invalid", Event::CookieInvalid),
    ("cookies_new", Event::CookieNew),
    ("keyed", Event::Keyed),
    ("denied", Event::Denied),
    ("over_quota", Event::OverQuota),
    ("limited", Event::Limited),
    ("slipped", Event::Slipped),
];

/// The counts of one thread.
#[derive(Debug)]
pub struct Tally {
    replies: Box<[AtomicU64]>,
    events: [AtomicU64; EVENTS.len()],
    batches: [AtomicU64; BATCHES],
}

impl Default for Tally {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            replies: (0..MAX_ZONES * KINDS * RCODES.len()).map(|_| zero()).collect(),
            events: std::array::from_fn(|_| zero()),
            batches: std::array::from_fn(|_| zero()),
        }
    }
}

/// Only the owner of a tally writes it: no other addition can come between.
#[inline]
fn add(counter: &AtomicU64, number: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(number), Ordering::Relaxed);
}

impl Tally {
    /// Count a reply.
    #[inline]
    pub fn reply(&self, zone: usize, qtype: u16, code: u16) {
        let kind = match qtype {
            1 => 0,
            16 => 6,
            other => TYPES.iter().position(|known| *known == other).unwrap_or(TYPES.len()),
        };
        let code = match code {
            0..=5 => usize::from(code),
            rcode::BADVERS => 6,
            _ => 7,
        };
        let item = (zone.min(MAX_ZONES - 1) * KINDS + kind) * RCODES.len() + code;
        if let Some(counter) = self.replies.get(item) {
            add(counter, 1);
        }
    }

    /// Count something else.
    #[inline]
    pub fn event(&self, event: Event, number: u64) {
        if let Some(counter) = self.events.get(event as usize) {
            add(counter, number);
        }
    }

    /// Count a batch of so many packets.
    #[inline]
    pub fn batch(&self, packets: usize) {
        if let Some(counter) = self.batches.get(packets.max(1).ilog2() as usize) {
            add(counter, 1);
        }
    }

    /// The replies so far: zone, place in `TYPES` (its length: others), place in `RCODES`, how many.
    pub fn replies(&self) -> impl Iterator<Item = (usize, usize, usize, u64)> + '_ {
        self.replies.iter().enumerate().filter_map(|(item, counter)| {
            let count = counter.load(Ordering::Relaxed);
            let (rest, code) = (item / RCODES.len(), item % RCODES.len());
            (count > 0).then_some((rest / KINDS, rest % KINDS, code, count))
        })
    }

    /// How often something happened.
    #[must_use]
    pub fn events(&self, event: Event) -> u64 {
        self.events.get(event as usize).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    /// How many batches there were of each size.
    #[must_use]
    pub fn batches(&self) -> [u64; BATCHES] {
        std::array::from_fn(|size| self.batches[size].load(Ordering::Relaxed))
    }
}
