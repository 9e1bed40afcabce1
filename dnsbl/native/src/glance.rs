//! A first glance at a batch of messages: what their answers will read is read for all of them at once, so that the
//! processor waits for memory once and not for each in turn. It decides nothing: every answer is worked out all the same.

use crate::keys::{begins_as_key, KEY};
use crate::message::{HEADER, MAX_NAME};
use crate::snapshot::{hash_of, Snapshot, Target};
use crate::zone::{nibble, octet, Kind, Zone, Zones};

const TARGETS: usize = 128; // for a batch of 64 messages; what is above is not prepared
const LABELS: usize = 4; // of a domain name before the origin: with more it is not prepared
const DIGITS: usize = 15; // of a number before the origin: the most that one has (E.164 section 6)
const STEPS: usize = 2; // of an address or a name: its bucket, and what is in it
const MOST_STEPS: usize = 8; // of a /64: enough for four billion of them
const NIBBLES: usize = 32;

/// What the answers to a batch will most likely look up.
pub struct Glance<'a> {
    targets: [Option<(&'a Snapshot, Target)>; TARGETS],
    count: usize,
    steps: usize,
}

impl<'a> Glance<'a> {
    /// At messages.
    pub fn at<'b>(zones: &'a Zones, messages: impl Iterator<Item = &'b [u8]>) -> Self {
        let mut made = Self { targets: [None; TARGETS], count: 0, steps: 0 };
        for message in messages {
            if let Some(name) = message.get(HEADER..) {
                made.note(zones, name);
            }
        }
        made
    }

    /// Read what was noted.
    pub fn touch(&mut self) {
        for step in 0..self.steps {
            for (snapshot, target) in self.targets[..self.count].iter_mut().flatten() {
                snapshot.touch(target, step);
            }
        }
    }

    fn put(&mut self, zone: &'a Zone, target: Target) {
        self.steps = self.steps.max(if matches!(target, Target::Upper(..)) { MOST_STEPS } else { STEPS });
        if let Some(place) = self.targets.get_mut(self.count) {
            *place = Some((&zone.base, target));
            self.count += 1;
        }
    }

    #[inline]
    fn note(&mut self, zones: &'a Zones, name: &[u8]) {
        if let Some((address, rest)) = address(name) {
            if let Some(zone) = ending(zones, rest, |kind| kind == Kind::Ip) {
                return self.put(zone, Target::Address(address));
            }
        }
        if let Some((upper, rest)) = upper(name) {
            if let Some(zone) = ending(zones, rest, |kind| kind == Kind::Ip) {
                return self.put(zone, Target::Upper(upper, 0));
            }
        }
        self.note_name(zones, name);
    }

    /// A name: of a domain's parents, the top-level domains are near already; a hash or number has none that count.
    fn note_name(&mut self, zones: &'a Zones, name: &[u8]) {
        let mut labels = [&name[..0]; DIGITS];
        let mut rest = name;
        for count in 1..=DIGITS {
            let Some((label, after)) = split(rest) else {
                return;
            };
            labels[count - 1] = label;
            rest = after;
            if let Some(zone) = ending(zones, rest, |kind| kind != Kind::Ip) {
                if zone.kind.exact() {
                    self.note_labels(zone, &labels[..count], count - 1);
                } else if count <= LABELS {
                    self.note_labels(zone, &labels[..count], 1);
                }
                return;
            }
        }
    }

    /// The names that these labels make from the top, but for the shortest `first`.
    fn note_labels(&mut self, zone: &'a Zone, labels: &[&[u8]], first: usize) {
        let mut text = [0; MAX_NAME];
        let mut size = 0;
        for (number, label) in labels.iter().rev().enumerate() {
            let dot: &[u8] = if number > 0 { b"." } else { b"" };
            for part in [dot, label] {
                let Some(place) = text.get_mut(size..size + part.len()) else {
                    return;
                };
                place.copy_from_slice(part);
                size += part.len();
            }
            if number >= first {
                self.put(zone, Target::Name(hash_of(&text[..size])));
            }
        }
    }
}

/// The zone of such a kind whose origin is all that is left of a name, but for a key; in lower case, as most ask.
#[inline]
fn ending<'a>(zones: &'a Zones, rest: &[u8], wanted: impl Fn(Kind) -> bool) -> Option<&'a Zone> {
    let rest = past_key(rest);
    zones.iter().find(|zone| wanted(zone.kind) && rest.starts_with(&zone.origin))
}

#[inline]
fn past_key(rest: &[u8]) -> &[u8] {
    match rest.split_first() {
        Some((&length, label)) if usize::from(length) == KEY && begins_as_key(label) => label.get(KEY..).unwrap_or(&[]),
        _ => rest,
    }
}

#[inline]
fn split(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = name.split_first()?;
    rest.split_at_checked(usize::from(length)).filter(|(label, _)| !label.is_empty())
}

/// A reversed IPv4 address, and what follows it.
#[inline]
fn address(name: &[u8]) -> Option<(u32, &[u8])> {
    let mut rest = name;
    let mut address = 0;
    for shift in [0, 8, 16, 24] {
        let (label, after) = split(rest)?;
        address |= octet(label)? << shift;
        rest = after;
    }
    Some((address, rest))
}

/// The upper half of a reversed IPv6 address, and what follows it.
#[inline]
fn upper(name: &[u8]) -> Option<(u64, &[u8])> {
    let (path, rest) = name.split_at_checked(2 * NIBBLES)?;
    let mut upper = 0;
    for label in path[NIBBLES..].chunks_exact(2).rev() {
        let digit = nibble(label.strip_prefix(&[1])?)?;
        upper = upper << 4 | u64::from(digit);
    }
    Some((upper, rest))
}
