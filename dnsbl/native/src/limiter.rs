//! Response rate limiting; the rules are those of `dnsbl/dns/rrl.py`. Buckets lie in a table of fixed size, each in one
//! number, so that threads share them without a lock. Of two networks that fall on one bucket the later begins anew: a
//! flood from one network keeps its own, and one from forged addresses everywhere harms none of them much.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::message::rcode;
use crate::networks::{Client, Networks};

const BUCKETS: usize = 1 << 16;
const SHARED: u32 = 56; // bits of an IPv6 network; /24 in IPv4

/// What becomes of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes out.
    Send,
    /// It goes out empty, with TC.
    Slip,
    /// It is dropped.
    Drop,
}

/// What an operator has set.
#[derive(Clone, Debug, Default)]
pub struct Rate {
    /// Replies a second.
    pub responses: u16,
    /// Every so many-th limited reply slips; 0: none.
    pub slip: u8,
    /// Seconds of replies that a bucket can owe.
    pub window: u16,
    /// Who is not limited.
    pub exempt: Networks,
}

/// The buckets of one server.
pub struct Limiter {
    rate: Rate,
    multiplier: u64, // secret, so that nobody can choose whose bucket is hit
    offset: u64,
    buckets: Box<[AtomicU64]>,
}

/// A bucket taken apart: whose it is (16 bits of a hash), when it was used (16), limited replies since the last that
/// slipped (8), what it holds (24, with its sign).
struct Bucket {
    owner: u16,
    at: u16,
    limited: u8,
    balance: i32,
}

impl Bucket {
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss)] // fields of a number
    fn unpack(number: u64) -> Self {
        let balance = (number as u32 as i32) << 8 >> 8;
        Self { owner: (number >> 48) as u16, at: (number >> 32) as u16, limited: (number >> 24) as u8, balance }
    }

    #[allow(clippy::cast_sign_loss)] // 24 bits of it
    fn pack(&self) -> u64 {
        let balance = u64::from(self.balance as u32 & 0xFF_FFFF);
        u64::from(self.owner) << 48 | u64::from(self.at) << 32 | u64::from(self.limited) << 24 | balance
    }
}

impl Limiter {
    /// Every bucket full.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        let random = RandomState::new();
        Self {
            rate,
            multiplier: random.hash_one(1) | 1,
            offset: random.hash_one(2),
            buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// What becomes of a reply of this kind to a client; `now` in seconds.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // parts of a hash; a clock that goes round
    pub fn take(&self, client: Client, kind: u64, now: u32) -> Verdict {
        let Some(network) = client.network(SHARED) else {
            return Verdict::Send;
        };
        if self.rate.exempt.has(client) {
            return Verdict::Send;
        }
        let mixed = (network.0 ^ self.offset).rotate_left(5).wrapping_add(kind).wrapping_mul(self.multiplier);
        let mixed = (mixed ^ mixed >> 32).wrapping_mul(self.multiplier);
        let (place, owner) = ((mixed >> 48) as usize % BUCKETS, (mixed >> 32) as u16 | 1); // 0 is nobody's
        let bucket = &self.buckets[place];
        let mut before = bucket.load(Ordering::Relaxed);
        loop {
            let (after, verdict) = self.after(Bucket::unpack(before), owner, now as u16);
            match bucket.compare_exchange_weak(before, after.pack(), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return verdict,
                Err(found) => before = found,
            }
        }
    }

    fn after(&self, mut bucket: Bucket, owner: u16, now: u16) -> (Bucket, Verdict) {
        let rate = i32::from(self.rate.responses);
        if bucket.owner != owner {
            bucket = Bucket { owner, at: now, limited: 0, balance: rate };
        }
        let passed = i32::from(now.wrapping_sub(bucket.at));
        bucket.at = now;
        let filled = bucket.balance.saturating_add(passed.saturating_mul(rate)).min(rate);
        bucket.balance = (filled - 1).max(-rate * i32::from(self.rate.window));
        if bucket.balance >= 0 {
            return (bucket, Verdict::Send);
        }
        bucket.limited = bucket.limited.saturating_add(1).min(self.rate.slip.max(1));
        if self.rate.slip > 0 && bucket.limited >= self.rate.slip {
            bucket.limited = 0;
            return (bucket, Verdict::Slip);
        }
        (bucket, Verdict::Drop)
    }
}

/// The kind of a reply: positive, negative, error.
#[must_use]
pub fn kind_of(code: u16, answers: u16) -> u64 {
    match code {
        rcode::NOERROR if answers > 0 => 0,
        rcode::NOERROR | rcode::NXDOMAIN => 1,
        _ => 2,
    }
}
