//! What a loop sets aside without ever waiting: samples of queries, and queries for the Python path.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Samples that wait to be fetched; what comes then goes into the weight of a later one.
pub const MAX_SAMPLES: usize = 4096;
/// Queries that wait for the Python path; what comes then is dropped and counted.
pub const MAX_HANDED: usize = 1024;

const NEVER: u64 = u64::MAX; // nobody has fetched any yet

/// One query, standing for as many as its weight says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// How many queries it stands for.
    pub weight: u64,
    /// Who asked: 4 or 16 octets.
    pub client: Vec<u8>,
    /// The name asked for, on the wire, lower case.
    pub name: Vec<u8>,
    /// The type asked for.
    pub qtype: u16,
    /// The response code.
    pub rcode: u16,
    /// Where its zone is counted.
    pub slot: usize,
}

/// Samples of all threads. A thread that finds them locked, or full, goes on and samples later.
#[derive(Debug)]
pub struct Samples {
    every: AtomicU64,
    taken: Mutex<Vec<Sample>>,
}

impl Default for Samples {
    fn default() -> Self {
        Self { every: AtomicU64::new(NEVER), taken: Mutex::default() }
    }
}

impl Samples {
    /// Set a sample aside; false where it was not taken.
    pub fn put(&self, sample: impl FnOnce() -> Sample) -> bool {
        let Ok(mut taken) = self.taken.try_lock() else {
            return false;
        };
        if taken.len() >= MAX_SAMPLES {
            return false;
        }
        taken.push(sample());
        true
    }

    /// Fetch the samples, and until this is called again take about `wanted`: as many queries as came since the last
    /// call are expected again.
    pub fn fetch(&self, came: u64, wanted: u64) -> Vec<Sample> {
        let every = came.div_ceil(wanted.max(1)).clamp(1, NEVER - 1);
        self.every.store(every, Ordering::Relaxed);
        std::mem::take(&mut *self.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One thread's way to samples: which of its queries is the next. The distance is drawn anew each time, so that what is
/// asked in turns comes with its due share.
#[derive(Debug)]
pub struct Sampler {
    since: u64,
    next: u64,
    every: u64,
    seed: u64,
}

impl Default for Sampler {
    fn default() -> Self {
        Self { since: 0, next: NEVER, every: NEVER, seed: 0x9E37_79B9_7F4A_7C15 }
    }
}

impl Sampler {
    /// See whether another number of samples is wanted by now.
    #[inline]
    pub fn look(&mut self, samples: &Samples) {
        let every = samples.every.load(Ordering::Relaxed);
        if every != self.every {
            self.every = every;
            self.draw();
        }
    }

    /// Count a query, and set it aside if it is its turn. `make` gets its weight.
    #[inline]
    pub fn count(&mut self, samples: &Samples, make: impl FnOnce(u64) -> Sample) {
        self.since += 1;
        if self.since >= self.next && samples.put(|| make(self.since)) {
            self.since = 0;
            self.draw();
        }
    }

    /// From half of the usual distance to half as much again.
    fn draw(&mut self) {
        self.seed ^= self.seed << 13; // xorshift: no secret depends on it
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.next = (self.every / 2).saturating_add(self.seed % self.every.max(1)).max(1);
    }
}

/// A bounded queue from the loops to the Python path.
#[derive(Debug)]
pub struct Queue<T>(Mutex<VecDeque<T>>);

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Queue<T> {
    /// Add one; false where there is no room, or where the other side has the queue in hand: nobody waits here.
    pub fn put(&self, make: impl FnOnce() -> T) -> bool {
        let Ok(mut entries) = self.0.try_lock() else {
            return false;
        };
        let room = entries.len() < MAX_HANDED;
        if room {
            entries.push_back(make());
        }
        room
    }

    /// Take up to `most`, and whether any are left.
    pub fn take(&self, most: usize) -> (Vec<T>, bool) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = entries.len().min(most);
        (entries.drain(..number).collect(), !entries.is_empty())
    }
}
