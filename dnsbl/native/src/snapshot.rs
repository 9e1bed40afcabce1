//! A snapshot file, version 2: checked once, then asked in a few cache lines. The format is described, and written, by
//! `dnsbl/zones/snapshot.py`.
//!
//! Failure: a file that is short, altered or of another version is refused before anything of it is used. Once taken,
//! its bytes cannot change; and whatever is in them, a look-up ends and reads nothing outside.

use std::fmt;
use std::hint::black_box;
use std::ops::Range;

use bytemuck::Pod;
use xxhash_rust::xxh3::{xxh3_64, Xxh3Default};

use crate::memory::Memory;

const MAGIC: &[u8; 8] = b"DNSBLSNP";
const VERSION: u32 = 2;
const HEADER: usize = 32;
const ENTRY: usize = 32;
const ALIGN: usize = 64;
const MAX_SECTIONS: usize = 64;
const CHECKSUM: Range<usize> = 24..32;

/// Values of names that are no answer id: only names below it; exempt below a listed name; gone (in a delta).
pub const EMPTY_NAME: u16 = 0xFFFD;
/// See `EMPTY_NAME`.
pub const HOLE: u16 = 0xFFFE;
/// See `EMPTY_NAME`.
pub const GONE: u16 = 0xFFFF;

const RECORD: usize = 3; // of a name, before its text: its length, and its value in two octets
const LINE: usize = 64; // octets that the processor reads at once
const COUNTED: usize = 256; // numbers in a bucket that are gone through one by one
const BLOCK: usize = 256; // answer ids that are marked together
const NODE: usize = 16; // numbers of which the first stands in the level above: two cache lines

/// Why a file cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused(&'static str);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A section of numbers of one width.
#[derive(Clone, Debug, Default)]
struct Section {
    at: Range<usize>,
    width: usize,
}

impl Section {
    fn len(&self) -> usize {
        self.at.len().checked_div(self.width).unwrap_or(0)
    }
}

/// Answer ids beside a table: one for each of its items, or a single one for all.
#[derive(Clone, Debug, Default)]
struct Column {
    section: Section,
    single: bool,
    marks: Vec<u64>, // for each BLOCK items, which ids they have: the bit of an id is its remainder by 64
}

/// The singles and ranges of one address family.
#[derive(Debug, Default)]
struct Tables {
    one: Section,
    one_answer: Column,
    low: Section,
    high: Section,
    range_answer: Column,
}

/// A file's tables.
#[derive(Debug)]
pub struct Snapshot {
    memory: Memory,
    v4: Tables,
    v4_index: Section,
    v6: Tables,
    v6_levels: Vec<Vec<u64>>, // the first of each NODE /64s, the first of each NODE of those, and so on
    deep: Section,
    deep_low: Section,
    deep_high: Section,
    deep_answer: Column,
    name_index: Section,
    names: Section,
    name_shift: u32,
    /// The most labels that a name in it has.
    pub deepest: usize,
}

impl Tables {
    fn mark(&mut self, bytes: &[u8]) {
        for column in [&mut self.one_answer, &mut self.range_answer] {
            if !column.single {
                column.marks = marks(bytes.get(column.section.at.clone()).unwrap_or_default(), column.section.width);
            }
        }
    }
}

fn marks(ids: &[u8], width: usize) -> Vec<u64> {
    let bit = |id: &[u8]| 1 << (id[0] % 64); // little-endian: the first octet has the remainder
    ids.chunks(BLOCK * width).map(|block| block.chunks(width).fold(0, |mark, id| mark | bit(id))).collect()
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk::<8>()?))
}

fn place(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(number(bytes, at)?).ok()
}

/// All sections by name, after the checks that `sections_of` in Python makes.
fn sections(bytes: &[u8]) -> Result<Vec<(&[u8], Section)>, Refused> {
    let cut = Refused("cut or extended");
    if bytes.len() < HEADER {
        return Err(cut);
    }
    if &bytes[..8] != MAGIC {
        return Err(Refused("not a snapshot"));
    }
    let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    if word(8) != VERSION {
        return Err(Refused("of another version"));
    }
    let count = word(12) as usize;
    if place(bytes, 16) != Some(bytes.len()) || count > MAX_SECTIONS || HEADER + count * ENTRY > bytes.len() {
        return Err(cut);
    }
    let mut digest = Xxh3Default::new();
    digest.update(&bytes[..CHECKSUM.start]);
    digest.update(&[0; 8]);
    digest.update(&bytes[CHECKSUM.end..]);
    if number(bytes, CHECKSUM.start) != Some(digest.digest()) {
        return Err(Refused("altered: its checksum does not match"));
    }
    (0..count).map(|number| entry(bytes, HEADER + number * ENTRY).ok_or(Refused("a section lies outside"))).collect()
}

fn entry(bytes: &[u8], at: usize) -> Option<(&[u8], Section)> {
    let name = bytes.get(at..at + 8)?;
    let end = name.iter().rposition(|&octet| octet != 0).map_or(0, |last| last + 1);
    let (width, offset, items) = (place(bytes, at + 8)?, place(bytes, at + 16)?, place(bytes, at + 24)?);
    let stop = items.checked_mul(width).and_then(|size| size.checked_add(offset))?;
    if !matches!(width, 1 | 2 | 4 | 8) || offset % ALIGN != 0 || stop > bytes.len() {
        return None;
    }
    Some((&name[..end], Section { at: offset..stop, width }))
}

impl Snapshot {
    /// Check the whole file.
    ///
    /// # Errors
    /// `Refused` says what is wrong with it.
    pub fn new(memory: Memory) -> Result<Self, Refused> {
        let bytes = memory.bytes();
        let found = sections(bytes)?;
        let section = |name: &str, widths: &[usize]| {
            let section = found.iter().rev().find(|(known, _)| *known == name.as_bytes());
            let (_, section) = section.ok_or(Refused("without one of its sections"))?;
            if widths.contains(&section.width) {
                Ok(section.clone())
            } else {
                Err(Refused("a section is of another width"))
            }
        };
        let column = |name: &str, items: usize| {
            let section = section(name, &[1, 2])?;
            let single = section.len() == 1;
            if section.len() == items || (single && items > 0) {
                Ok(Column { section, single, marks: Vec::new() })
            } else {
                Err(Refused("a column is of another length"))
            }
        };
        let tables = |family: &str, widths: &[usize], range: usize| {
            let one = section(&format!("{family}one"), widths)?;
            let low = section(&format!("{family}low"), &[range])?;
            let high = section(&format!("{family}high"), &[range])?;
            if low.len() != high.len() {
                return Err(Refused("ranges without an end"));
            }
            let one_answer = column(&format!("{family}onea"), one.len())?;
            let range_answer = column(&format!("{family}a"), low.len())?;
            Ok(Tables { one, one_answer, low, high, range_answer })
        };
        let deep = section("v6d", &[8])?;
        let mut made = Self {
            v4: tables("v4", &[2, 4], 4)?,
            v4_index: section("v4idx", &[4])?,
            v6: tables("v6", &[8], 8)?,
            v6_levels: Vec::new(),
            deep_low: section("v6dlow", &[8])?,
            deep_high: section("v6dhigh", &[8])?,
            deep_answer: column("v6da", deep.len())?,
            deep,
            name_index: section("nidx", &[4])?,
            names: section("names", &[1])?,
            name_shift: 0,
            deepest: 0,
            memory,
        };
        made.check_indexes()?;
        made.v4.mark(made.memory.bytes());
        made.v6.mark(made.memory.bytes());
        made.deepest = made.depth();
        made.v6_levels = levels(made.slice(&made.v6.one));
        Ok(made)
    }

    /// The most labels that a name has: what is below has no value of its own.
    fn depth(&self) -> usize {
        let mut records = self.slice::<u8>(&self.names);
        let mut deepest = 0;
        while let Some((text, _, after)) = record(records) {
            deepest = deepest.max(1 + text.iter().map(|&octet| usize::from(octet == b'.')).sum::<usize>());
            records = after;
        }
        deepest
    }

    fn check_indexes(&mut self) -> Result<(), Refused> {
        let index = self.slice::<u32>(&self.v4_index);
        let ends = |index: &[u32], all: usize| index.last().is_some_and(|&last| last as usize == all);
        let buckets = if self.v4.one.width == 2 { 1 << 16 } else { 1 };
        if index.len() != buckets + 1 || !ends(index, self.v4.one.len()) {
            return Err(Refused("its index of addresses is not whole"));
        }
        if self.deep.len() != self.deep_low.len() || self.deep.len() != self.deep_high.len() {
            return Err(Refused("pieces of networks without an end"));
        }
        let index = self.slice::<u32>(&self.name_index);
        let buckets = index.len().saturating_sub(1);
        if !buckets.is_power_of_two() || !ends(index, self.names.len()) {
            return Err(Refused("its index of names is not whole"));
        }
        self.name_shift = u64::BITS - buckets.trailing_zeros();
        Ok(())
    }

    /// The whole file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.memory.bytes()
    }

    /// A section as numbers; its width was checked.
    #[inline]
    fn slice<T: Pod>(&self, section: &Section) -> &[T] {
        bytemuck::try_cast_slice(self.memory.bytes().get(section.at.clone()).unwrap_or_default()).unwrap_or_default()
    }

    #[inline]
    fn answer(&self, column: &Column, item: usize) -> u16 {
        let item = if column.single { 0 } else { item };
        if column.section.width == 1 {
            self.slice::<u8>(&column.section).get(item).copied().map_or(0, u16::from)
        } else {
            self.slice::<u16>(&column.section).get(item).copied().unwrap_or(0)
        }
    }

    /// The answer id of an IPv4 address; 0: not listed (in a delta, whatever the base says). None: nothing is said.
    #[must_use]
    #[inline]
    pub fn lookup4(&self, address: u32) -> Option<u16> {
        let single = if self.v4.one.width == 2 {
            let (start, lows) = self.bucket4(address);
            place_of(lows, (address & 0xFFFF) as u16).map(|found| start + found)
        } else {
            self.slice::<u32>(&self.v4.one).binary_search(&address).ok()
        };
        if let Some(item) = single {
            return Some(self.answer(&self.v4.one_answer, item));
        }
        self.in_ranges::<u32>(&self.v4, address)
    }

    /// The singles that share the upper half of an address: where they begin, and their lower halves.
    #[inline]
    fn bucket4(&self, address: u32) -> (usize, &[u16]) {
        let index = self.slice::<u32>(&self.v4_index);
        let bucket = (address >> 16) as usize;
        let ends = (index.get(bucket), index.get(bucket + 1));
        let (Some(&start), Some(&end)) = ends else {
            return (0, &[]);
        };
        let (start, end) = (start as usize, end as usize);
        (start, self.slice::<u16>(&self.v4.one).get(start..end).unwrap_or_default())
    }

    /// Read what one step of a look-up reads, so that it is near when it is looked up; each step wants what those before
    /// have read.
    #[inline]
    pub fn touch(&self, target: &mut Target, step: usize) {
        match (target, step) {
            (Target::Address(address), 0) if self.v4.one.width == 2 => {
                touch(self.slice::<u32>(&self.v4_index), (*address >> 16) as usize);
            }
            (Target::Address(address), 1) if self.v4.one.width == 2 => {
                let (_, lows) = self.bucket4(*address);
                touch(lows, 0);
                touch(lows, lows.len().wrapping_sub(1)); // few enough to be on two lines at most
            }
            (Target::Upper(upper, start), step) => match self.v6_levels.iter().rev().nth(step) {
                Some(level) => *start = last_below(level, *start, *upper) * NODE,
                None if step == self.v6_levels.len() => {
                    (0..NODE).step_by(LINE / 8).for_each(|item| touch(self.slice::<u64>(&self.v6.one), *start + item));
                }
                None => {}
            },
            (Target::Name(hash), 0) => touch(self.slice::<u32>(&self.name_index), self.bucket_of(*hash)),
            (Target::Name(hash), 1) => {
                if let Some(&start) = self.slice::<u32>(&self.name_index).get(self.bucket_of(*hash)) {
                    (0..2).for_each(|line| touch(self.slice::<u8>(&self.names), start as usize + line * LINE));
                }
            }
            _ => {}
        }
    }

    /// Where the NODE singles begin among which a /64 is, if it is one.
    #[inline]
    fn node6(&self, upper: u64) -> usize {
        self.v6_levels.iter().rev().fold(0, |start, level| last_below(level, start, upper) * NODE)
    }

    /// The bucket of a name's hash.
    #[inline]
    fn bucket_of(&self, hash: u64) -> usize {
        usize::try_from(hash.checked_shr(self.name_shift).unwrap_or(0)).unwrap_or(usize::MAX)
    }

    /// The answer id of a /64, given as its upper 64 bits; as `lookup4`.
    #[must_use]
    #[inline]
    pub fn lookup64(&self, upper: u64) -> Option<u16> {
        let ones = self.slice::<u64>(&self.v6.one);
        let item = last_below(ones, self.node6(upper), upper);
        if ones.get(item) == Some(&upper) {
            return Some(self.answer(&self.v6.one_answer, item));
        }
        self.in_ranges::<u64>(&self.v6, upper)
    }

    #[inline]
    fn in_ranges<T: Pod + Ord>(&self, tables: &Tables, address: T) -> Option<u16> {
        let lows = self.slice::<T>(&tables.low);
        let item = lows.partition_point(|low| *low <= address).checked_sub(1)?;
        let high = self.slice::<T>(&tables.high).get(item)?;
        (*high >= address).then(|| self.answer(&tables.range_answer, item))
    }

    /// Whether any /64 has its pieces listed one by one.
    #[must_use]
    #[inline]
    pub fn has_deep(&self) -> bool {
        self.deep.len() > 0
    }

    /// The answer id of an address in a /64 whose pieces are listed one by one. None: it is no such /64.
    #[must_use]
    pub fn lookup_deep(&self, upper: u64, lower: u64) -> Option<u16> {
        let uppers = self.slice::<u64>(&self.deep);
        let (lows, highs) = (self.slice::<u64>(&self.deep_low), self.slice::<u64>(&self.deep_high));
        let first = uppers.partition_point(|known| *known < upper);
        if uppers.get(first) != Some(&upper) {
            return None;
        }
        let found = (first..uppers.len())
            .take_while(|&item| uppers[item] == upper)
            .find(|&item| lows[item] <= lower && lower <= highs[item]);
        Some(found.map_or(0, |item| self.answer(&self.deep_answer, item)))
    }

    /// Whether this /64 has its pieces listed one by one.
    #[must_use]
    pub fn is_deep(&self, upper: u64) -> bool {
        self.slice::<u64>(&self.deep).binary_search(&upper).is_ok()
    }

    /// The answer ids of the pieces of such /64s that touch first..=last.
    pub fn deep_within(&self, first: u128, last: u128) -> impl Iterator<Item = u16> + '_ {
        let uppers = self.slice::<u64>(&self.deep);
        let (lows, highs) = (self.slice::<u64>(&self.deep_low), self.slice::<u64>(&self.deep_high));
        let start = uppers.partition_point(|known| u128::from(*known) < first >> 64);
        (start..uppers.len()).take_while(move |&item| u128::from(uppers[item]) <= last >> 64).filter_map(move |item| {
            let whole = |lower: u64| u128::from(uppers[item]) << 64 | u128::from(lower);
            (whole(lows[item]) <= last && whole(highs[item]) >= first).then(|| self.answer(&self.deep_answer, item))
        })
    }

    /// What is said of exactly this name (text from the top label). None: nothing.
    #[must_use]
    #[inline]
    pub fn name(&self, name: &[u8]) -> Option<u16> {
        let index = self.slice::<u32>(&self.name_index);
        let bucket = self.bucket_of(hash_of(name));
        let (start, end) = (*index.get(bucket)? as usize, *index.get(bucket + 1)? as usize);
        let mut records = self.slice::<u8>(&self.names).get(start..end)?;
        while let Some((text, value, after)) = record(records) {
            if text == name {
                return Some(value);
            }
            records = after;
        }
        None
    }

    /// The first number of first..=last that a piece with a wanted answer id holds; in IPv4 an address, in IPv6 the upper
    /// half of one.
    #[must_use]
    pub fn next(&self, family: Family, first: u64, last: u64, wanted: &Wanted) -> Option<u64> {
        let [single, range] = [0, 1].map(|kind| self.next_of(kind, family, first, last, wanted));
        single.into_iter().chain(range).min()
    }

    /// The same of the singles (0) or of the ranges (1) alone.
    #[must_use]
    pub fn next_of(&self, kind: usize, family: Family, first: u64, last: u64, wanted: &Wanted) -> Option<u64> {
        let tables = self.tables(family);
        if kind == 0 {
            let start = partition(tables.one.len(), |item| self.single(family, item) < first);
            let end = partition(tables.one.len(), |item| self.single(family, item) <= last);
            self.wanted(&tables.one_answer, start, end, wanted).map(|item| self.single(family, item))
        } else {
            let start = partition(tables.high.len(), |item| self.number(family, &tables.high, item) < first);
            let end = partition(tables.low.len(), |item| self.number(family, &tables.low, item) <= last);
            let range = self.wanted(&tables.range_answer, start, end, wanted);
            range.map(|item| self.number(family, &tables.low, item).max(first))
        }
    }

    /// The last number of the piece, listed or not, that holds this one.
    #[must_use]
    pub fn end(&self, family: Family, number: u64) -> Option<u64> {
        let tables = self.tables(family);
        let single = partition(tables.one.len(), |item| self.single(family, item) < number);
        if single < tables.one.len() && self.single(family, single) == number {
            return Some(number);
        }
        let range = partition(tables.low.len(), |item| self.number(family, &tables.low, item) <= number);
        let high = self.number(family, &tables.high, range.checked_sub(1)?);
        (high >= number).then_some(high)
    }

    /// The first item of start..end whose answer id is wanted.
    fn wanted(&self, column: &Column, start: usize, end: usize, wanted: &Wanted) -> Option<usize> {
        if column.single {
            return (start < end && wanted.has(self.answer(column, start))).then_some(start);
        }
        let mut at = start;
        while at < end {
            let (block, stop) = (at / BLOCK, end.min((at / BLOCK + 1) * BLOCK));
            if column.marks.get(block).is_none_or(|mark| mark & wanted.marks != 0) {
                if let Some(found) = (at..stop).find(|&item| wanted.has(self.answer(column, item))) {
                    return Some(found);
                }
            }
            at = stop;
        }
        None
    }

    fn tables(&self, family: Family) -> &Tables {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    /// A single: in IPv4 its bucket and what stands there.
    fn single(&self, family: Family, item: usize) -> u64 {
        if !matches!(family, Family::V4) || self.v4.one.width == 4 {
            return self.number(family, &self.tables(family).one, item);
        }
        let index = self.slice::<u32>(&self.v4_index);
        let bucket = index.partition_point(|&start| start as usize <= item).saturating_sub(1);
        let low = self.slice::<u16>(&self.v4.one).get(item).copied().unwrap_or(u16::MAX);
        (bucket as u64) << 16 | u64::from(low)
    }

    fn number(&self, family: Family, section: &Section, item: usize) -> u64 {
        match family {
            Family::V4 => self.slice::<u32>(section).get(item).copied().map_or(u64::MAX, u64::from),
            Family::V6 => self.slice::<u64>(section).get(item).copied().unwrap_or(u64::MAX),
        }
    }
}

/// A set of answer ids; never 0, which is "not listed".
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    ids: Vec<bool>,
    marks: u64,
}

impl Wanted {
    /// The ids for which there is `true`.
    #[must_use]
    pub fn new(mut ids: Vec<bool>) -> Self {
        ids.iter_mut().take(1).for_each(|zero| *zero = false);
        let marks =
            ids.iter().enumerate().filter(|(_, wanted)| **wanted).fold(0, |mark, (id, _)| mark | 1 << (id % 64));
        Self { ids, marks }
    }

    /// Whether an id is in it.
    #[must_use]
    #[inline]
    pub fn has(&self, id: u16) -> bool {
        self.ids.get(usize::from(id)).copied().unwrap_or(false)
    }
}

/// What will be looked up.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// An IPv4 address.
    Address(u32),
    /// A /64, and where it is among the singles as far as is known.
    Upper(u64, usize),
    /// A name, by its hash.
    Name(u64),
}

/// The hash by which a name is found.
#[must_use]
#[inline]
pub fn hash_of(name: &[u8]) -> u64 {
    xxh3_64(name)
}

#[inline]
fn touch<T: Copy>(items: &[T], item: usize) {
    black_box(items.get(item).copied());
}

/// Which of a file's two kinds of addresses.
#[derive(Clone, Copy, Debug)]
pub enum Family {
    /// IPv4 addresses.
    V4,
    /// Upper halves of IPv6 addresses.
    V6,
}

/// The first name of records: its text, its value, and the records after it.
#[inline]
fn record(records: &[u8]) -> Option<(&[u8], u16, &[u8])> {
    let (head, rest) = records.split_first_chunk::<RECORD>()?;
    let (text, after) = rest.split_at_checked(usize::from(head[0]))?;
    Some((text, u16::from_le_bytes([head[1], head[2]]), after))
}

/// The levels over ascending numbers, finest first, until one is a single node.
fn levels(numbers: &[u64]) -> Vec<Vec<u64>> {
    let mut made: Vec<Vec<u64>> = Vec::new();
    let mut below = numbers;
    while below.len() > NODE {
        made.push(below.iter().step_by(NODE).copied().collect());
        below = made.last().map_or(&[], Vec::as_slice);
    }
    made
}

/// The last of the NODE numbers from `start` that is not above a number, or the first.
#[inline]
fn last_below(numbers: &[u64], start: usize, wanted: u64) -> usize {
    let node = numbers.get(start..).unwrap_or_default();
    let node = node.get(..NODE).unwrap_or(node);
    let count = node.iter().fold(0usize, |count, &number| count.wrapping_add(usize::from(number <= wanted)));
    start.wrapping_add(count.saturating_sub(1))
}

/// Where a number stands among ascending ones. A few are counted rather than searched: no branch depends on them.
#[inline]
fn place_of(numbers: &[u16], wanted: u16) -> Option<usize> {
    let place = if numbers.len() <= COUNTED {
        numbers.iter().fold(0u16, |count, &number| count.wrapping_add(u16::from(number < wanted))).into()
    } else {
        numbers.partition_point(|&number| number < wanted)
    };
    (numbers.get(place) == Some(&wanted)).then_some(place)
}

/// The first of `count` items for which `before` does not hold.
fn partition(count: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
