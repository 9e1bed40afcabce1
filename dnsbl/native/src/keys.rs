//! Keys in names: the label directly below a zone's origin, as `dnsbl/dns/keys.py` has them, and what each asked.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// Octets of a key.
pub const KEY: usize = 29;
const PREFIX: &[u8] = b"dq-";
/// Octets of what is kept of a key.
pub const DIGEST: usize = 32;
const KNOWN: usize = 1024; // keys that a thread need not digest again
const COUNT_BITS: u32 = 40; // of a number that has a day above it

/// Whether a label can only be meant as a key.
#[inline]
#[must_use]
pub fn begins_as_key(label: &[u8]) -> bool {
    label.starts_with(PREFIX)
}

/// Whether a label has the form of a key.
#[inline]
#[must_use]
pub fn is_key(label: &[u8]) -> bool {
    label.len() == KEY
        && begins_as_key(label)
        && label[PREFIX.len()..].iter().all(|octet| matches!(octet, b'a'..=b'z' | b'2'..=b'7'))
}

/// What a key asked: of its quota today, and in each place since that was last taken. Shared by all threads.
#[derive(Debug, Default)]
pub struct Asked {
    spent: AtomicU64, // the day above the count
    places: Box<[(AtomicU64, AtomicU64)]>,
}

impl Asked {
    fn new(places: usize) -> Self {
        Self { spent: AtomicU64::new(0), places: (0..places).map(|_| Default::default()).collect() }
    }

    /// Count a query against the quota; gives how many that makes on this day.
    pub fn spend(&self, day: u64) -> u64 {
        let mut before = self.spent.load(Ordering::Relaxed);
        while before >> COUNT_BITS != day {
            let first = day << COUNT_BITS | 1;
            match self.spent.compare_exchange_weak(before, first, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return 1,
                Err(found) => before = found,
            }
        }
        (self.spent.fetch_add(1, Ordering::Relaxed) & count_mask()) + 1
    }

    /// Begin with what was spent before.
    pub fn seed(&self, day: u64, spent: u64) {
        self.spent.store(day << COUNT_BITS | spent & count_mask(), Ordering::Relaxed);
    }

    /// Count a query in a place, answered or not.
    #[inline]
    pub fn count(&self, place: usize, answered: bool) {
        if let Some((queries, refused)) = self.places.get(place) {
            (if answered { queries } else { refused }).fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was counted since the last call: place, answered, refused.
    pub fn take(&self) -> impl Iterator<Item = (usize, u64, u64)> + '_ {
        self.places.iter().enumerate().filter_map(|(place, (queries, refused))| {
            let nothing = queries.load(Ordering::Relaxed) == 0 && refused.load(Ordering::Relaxed) == 0;
            (!nothing).then(|| (place, queries.swap(0, Ordering::Relaxed), refused.swap(0, Ordering::Relaxed)))
        })
    }
}

const fn count_mask() -> u64 {
    (1 << COUNT_BITS) - 1
}

/// One key.
#[derive(Debug)]
pub struct Key {
    /// Its number in the store.
    pub id: u64,
    /// The places where it is good; empty: all.
    pub places: Vec<usize>,
    /// Queries a day; 0: no limit.
    pub queries: u64,
    /// When it ends, in seconds; 0: never.
    pub expires: u64,
    /// What it asked.
    pub asked: Arc<Asked>,
}

/// A digest is as good as a hash.
#[derive(Default)]
struct First(u64);

impl Hasher for First {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    fn write_usize(&mut self, _length: usize) {}
}

/// All keys that are good.
#[derive(Default)]
pub struct Keys {
    /// A number that no other set of keys has.
    pub generation: u64,
    by_digest: HashMap<[u8; DIGEST], u32, BuildHasherDefault<First>>,
    all: Vec<Key>,
}

impl Keys {
    /// From digests and keys. `before`: the set that was; a key goes on with what it asked.
    #[must_use]
    pub fn new(rows: Vec<([u8; DIGEST], Key)>, places: usize, before: Option<&Self>) -> Self {
        let mut made = Self { generation: before.map_or(0, |before| before.generation) + 1, ..Self::default() };
        let known: HashMap<u64, &Key> = before.iter().flat_map(|before| &before.all).map(|key| (key.id, key)).collect();
        for (digest, mut key) in rows {
            key.asked = match known.get(&key.id) {
                Some(old) if old.asked.places.len() >= places => Arc::clone(&old.asked),
                Some(old) => Arc::new(moved(&old.asked, places)),
                None => Arc::new(Asked::new(places)),
            };
            if let Ok(number) = u32::try_from(made.all.len()) {
                made.by_digest.insert(digest, number);
                made.all.push(key);
            }
        }
        made
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.all.iter()
    }

    fn number(&self, label: &[u8]) -> Option<u32> {
        let digest: [u8; DIGEST] = Sha256::digest(label).into();
        self.by_digest.get(&digest).copied()
    }
}

/// What a key asked, with room for more places. What is counted meanwhile, for microseconds, is lost.
fn moved(old: &Asked, places: usize) -> Asked {
    let new = Asked::new(places);
    new.spent.store(old.spent.load(Ordering::Relaxed), Ordering::Relaxed);
    for (place, queries, refused) in old.take() {
        if let Some(counts) = new.places.get(place) {
            counts.0.store(queries, Ordering::Relaxed);
            counts.1.store(refused, Ordering::Relaxed);
        }
    }
    new
}

/// What one thread knows of keys: the set in use, and those it has met. Only good ones are remembered, so that nobody
/// who guesses can crowd them out.
#[derive(Default)]
pub struct Known {
    keys: Option<Arc<Keys>>,
    met: Vec<Option<([u8; KEY], u32)>>,
}

impl Known {
    /// Use this set from now on.
    pub fn renew(&mut self, keys: Option<Arc<Keys>>) {
        self.keys = keys;
        self.met.clear();
        self.met.resize(KNOWN, None);
    }

    /// The generation of the set in use; 0: there is none.
    #[inline]
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.keys.as_ref().map_or(0, |keys| keys.generation)
    }

    /// The key that a label is.
    #[inline]
    pub fn find(&mut self, label: &[u8]) -> Option<&Key> {
        let keys = self.keys.as_deref()?;
        let label: &[u8; KEY] = label.try_into().ok()?;
        let place = self.met.get_mut(slot(label))?;
        let number = match place {
            Some((met, number)) if met == label => *number,
            _ => {
                let number = keys.number(label)?;
                *place = Some((*label, number));
                number
            }
        };
        keys.all.get(number as usize)
    }
}

/// Where a key is remembered. Its letters are random already.
#[allow(clippy::cast_possible_truncation)] // ten bits are left
fn slot(label: &[u8; KEY]) -> usize {
    let letters = label[PREFIX.len()..].first_chunk().map_or(0, |letters| u64::from_le_bytes(*letters));
    (letters.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54) as usize & (KNOWN - 1)
}
