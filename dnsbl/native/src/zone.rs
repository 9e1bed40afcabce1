//! A zone as the server answers from it: its packed records, and what a name below its origin stands for. The rules are
//! those of `dnsbl/dns/served.py` and `dnsbl/zones/served.py`.

use std::collections::HashMap;
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::access::Rules;
use crate::message::{qtype, Name, MAX_NAME};
use crate::snapshot::{Family, Snapshot, Wanted, EMPTY_NAME, GONE, HOLE};

const OCTETS: usize = 4;
const NIBBLES: usize = 32;
const MAX_STRING: usize = 255; // RFC 1035 section 3.3
const MAX_TEXT: usize = 4096; // octets, as in dnsbl/dns/records.py
const MAX_HIDDEN: usize = 1024; // pieces of a delta that are looked under for one question
const MAX_REMEMBERED: usize = 16_384; // networks known to hold something or nothing
const TO_QUESTION: [u8; 2] = [0xC0, 0x0C];

/// How many records, and their bytes.
#[derive(Clone, Debug, Default)]
pub struct RecordSet {
    /// How many.
    pub count: u16,
    /// Packed, with owners.
    pub bytes: Box<[u8]>,
}

/// The answers of a zone or of one of its sublists, by answer id.
#[derive(Clone, Debug)]
pub struct Table {
    /// The codes of each answer, as indices into the zone's codes; empty: no answer here.
    pub codes: Vec<Box<[u8]>>,
    /// The A records of each answer.
    pub addresses: Vec<RecordSet>,
    /// The answer ids that have codes.
    pub wanted: Wanted,
}

impl Table {
    /// Answers from the codes of each id and the packed A record of each code.
    ///
    /// # Errors
    /// A code that is not there.
    pub fn new(codes: Vec<Box<[u8]>>, records: &[Vec<u8>]) -> Result<Self, String> {
        let mut addresses = Vec::with_capacity(codes.len());
        for ids in &codes {
            let mut bytes = Vec::new();
            for id in ids {
                bytes.extend_from_slice(records.get(usize::from(*id)).ok_or("an answer has a code that is not there")?);
            }
            let count = u16::try_from(ids.len()).map_err(|_| "too many codes")?;
            addresses.push(RecordSet { count, bytes: bytes.into() });
        }
        let wanted = Wanted::new(codes.iter().map(|ids| !ids.is_empty()).collect());
        Ok(Self { codes, addresses, wanted })
    }

    fn has(&self, answer: u16) -> bool {
        self.wanted.has(answer)
    }
}

/// What a zone lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Addresses, reversed.
    Ip,
    /// Names, each with everything below it.
    Domain,
    /// Hashes, below the label of what is hashed.
    Hash,
    /// E.164 numbers, reversed, a digit a label.
    E164,
}

impl Kind {
    /// The kind that a zone's definition names.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "ip" => Some(Self::Ip),
            "domain" => Some(Self::Domain),
            "hash" => Some(Self::Hash),
            "e164" => Some(Self::E164),
            _ => None,
        }
    }

    /// Whether a listed name answers for itself alone.
    #[must_use]
    pub fn exact(self) -> bool {
        matches!(self, Self::Hash | Self::E164)
    }
}

/// A zone, made ready; immutable.
#[derive(Debug)]
pub struct Zone {
    /// Where it is counted.
    pub slot: usize,
    /// Its origin on the wire, lower case, with the root.
    pub origin: Box<[u8]>,
    /// Labels of the origin.
    pub depth: usize,
    /// What it lists.
    pub kind: Kind,
    /// The SOA of negative answers, without its owner.
    pub soa: Box<[u8]>,
    /// The record sets at the origin.
    pub apex: Vec<(u16, RecordSet)>,
    /// The TTL of TXT records.
    pub ttl: u32,
    /// The text of each code, cut where the subject goes; empty: it says nothing.
    pub texts: Vec<Vec<Box<[u8]>>>,
    /// The zone's own table, then those of its sublists.
    pub tables: Vec<Table>,
    /// The labels of its sublists.
    pub sublists: Vec<Box<[u8]>>,
    /// What is listed.
    pub base: Arc<Snapshot>,
    /// What changed since.
    pub delta: Option<Arc<Snapshot>>,
    /// It is too old to be answered from.
    pub expired: bool,
    /// Who is answered below the origin; none: everybody.
    pub access: Option<Rules>,
    /// Labels below the origin that have an address.
    pub hosts: Vec<(Box<[u8]>, RecordSet)>,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Not listed, and no name below it either.
    Nothing,
    /// Nothing here, but something below (RFC 8020).
    Empty,
    /// Listed.
    Listed(Listed),
}

/// Where a listed name's answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Which of the zone's tables.
    pub table: usize,
    /// The answer id, which the table has.
    pub answer: u16,
    /// How many labels from the front name the subject.
    pub labels: usize,
}

/// All zones served at one moment.
#[derive(Debug, Default)]
pub struct Zones {
    /// Deepest origins first.
    all: Vec<Arc<Zone>>,
    /// A number that no other set of zones has.
    pub generation: u64,
    /// Origins, on the wire, of what Python answers: the catalog of these zones (RFC 9432).
    pub elsewhere: Vec<Box<[u8]>>,
}

impl Zones {
    /// A set of zones.
    #[must_use]
    pub fn new(mut zones: Vec<Arc<Zone>>, generation: u64) -> Self {
        zones.sort_by_key(|zone| std::cmp::Reverse(zone.depth));
        Self { all: zones, generation, elsewhere: Vec::new() }
    }

    /// Whether a name is Python's to answer.
    #[must_use]
    pub fn is_elsewhere(&self, name: &Name) -> bool {
        self.elsewhere.iter().any(|origin| {
            let here = |number: &usize| name.from(*number) == &**origin;
            (0..name.count).any(|number| here(&number))
        })
    }

    /// The zones, deepest origins first.
    pub fn iter(&self) -> impl Iterator<Item = &Zone> {
        self.all.iter().map(|zone| &**zone)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The zone with the longest origin that the name ends in, and its number.
    #[must_use]
    pub fn find(&self, name: &Name) -> Option<(usize, &Zone)> {
        self.all.iter().enumerate().find_map(|(number, zone)| {
            let labels = name.count.checked_sub(zone.depth)?;
            let tail = if labels == name.count { &[0] } else { name.from(labels) };
            (*tail == *zone.origin).then_some((number, &**zone))
        })
    }
}

/// A network that was asked about: zone, table, version of its addresses, bits that are free, first address.
type Network = (usize, usize, u8, usize, u128);

/// What a thread remembers of networks: a view may have to walk through many entries for a wide one. Forgotten when
/// full, for strangers choose what is asked, and with the zones it was learnt from.
#[derive(Default)]
pub struct Remembered {
    generation: u64,
    networks: HashMap<Network, bool>,
}

impl Remembered {
    fn get(&mut self, generation: u64, network: Network, ask: impl FnOnce() -> bool) -> bool {
        if self.generation != generation || self.networks.len() >= MAX_REMEMBERED {
            self.networks.clear();
            self.generation = generation;
        }
        *self.networks.entry(network).or_insert_with(ask)
    }
}

/// What a look-up needs besides the name.
pub struct Around<'a> {
    /// The zones' generation.
    pub generation: u64,
    /// The zone's number among them.
    pub number: usize,
    /// What this thread remembers.
    pub remembered: &'a mut Remembered,
}

fn network_found(network: Network, around: &mut Around, ask: impl FnOnce() -> bool) -> Found {
    if around.remembered.get(around.generation, network, ask) {
        Found::Empty
    } else {
        Found::Nothing
    }
}

impl Zone {
    /// The records at the origin; ANY is answered with one set (RFC 8482 section 4.1).
    #[must_use]
    pub fn at_origin(&self, rtype: u16) -> Option<&RecordSet> {
        let wanted = if rtype == qtype::ANY { qtype::SOA } else { rtype };
        self.apex.iter().find(|(known, _)| *known == wanted).map(|(_, set)| set)
    }

    /// Whether a label names one of the zone's sublists.
    #[must_use]
    pub fn is_sublist(&self, label: &[u8]) -> bool {
        self.sublists.iter().any(|known| **known == *label)
    }

    /// The address of a label that is no subject.
    #[inline]
    #[must_use]
    pub fn host(&self, name: &Name, labels: usize) -> Option<&RecordSet> {
        if self.hosts.is_empty() || labels != 1 {
            return None;
        }
        self.hosts.iter().find(|(label, _)| **label == *name.label(0)).map(|(_, set)| set)
    }

    /// What the first labels, at least one, stand for.
    #[must_use]
    pub fn find(&self, name: &Name, labels: usize, around: &mut Around) -> Found {
        match self.kind {
            Kind::Ip => {}
            Kind::Domain => return self.find_name(name, labels),
            Kind::Hash | Kind::E164 => return self.find_exact(name, labels),
        }
        let last = name.label(labels - 1);
        match self.sublists.iter().position(|label| **label == *last) {
            None => self.find_address(0, name, labels, around),
            // The sublist's own name is a step on the way: its test point is below it.
            Some(_) if labels == 1 => Found::Empty,
            Some(sublist) => self.find_address(sublist + 1, name, labels - 1, around),
        }
    }

    fn find_address(&self, table: usize, name: &Name, labels: usize, around: &mut Around) -> Found {
        if labels > NIBBLES {
            return Found::Nothing;
        }
        if labels <= OCTETS {
            let found = self.find_octets(table, name, labels, around);
            if found != Found::Nothing {
                return found;
            }
        }
        self.find_nibbles(table, name, labels, around)
    }

    fn find_octets(&self, table: usize, name: &Name, labels: usize, around: &mut Around) -> Found {
        let mut address = 0;
        for number in (0..labels).rev() {
            let Some(value) = octet(name.label(number)) else {
                return Found::Nothing;
            };
            address = address << 8 | value;
        }
        if labels == OCTETS {
            return self.listed(table, self.lookup4(address), labels);
        }
        let free = 8 * (OCTETS - labels);
        let first = u64::from(address) << free;
        let last = first | ((1 << free) - 1);
        let network = (around.number, table, 4, free, u128::from(first));
        network_found(network, around, || self.any4(table, first, last))
    }

    fn find_nibbles(&self, table: usize, name: &Name, labels: usize, around: &mut Around) -> Found {
        let Some(address) = nibbles(name, labels) else {
            return Found::Nothing;
        };
        if labels == NIBBLES {
            return self.listed(table, self.lookup6(address), labels);
        }
        let free = 4 * (NIBBLES - labels);
        let first = address << free;
        let last = first | ((1 << free) - 1);
        network_found((around.number, table, 6, free, first), around, || self.any6(table, first, last))
    }

    fn listed(&self, table: usize, answer: u16, labels: usize) -> Found {
        if self.tables.get(table).is_some_and(|known| known.has(answer)) {
            Found::Listed(Listed { table, answer, labels })
        } else {
            Found::Nothing
        }
    }

    /// The newest file first.
    fn files(&self) -> impl Iterator<Item = &Snapshot> {
        self.delta.as_deref().into_iter().chain([&*self.base])
    }

    fn newest(&self) -> &Snapshot {
        self.delta.as_deref().unwrap_or(&self.base)
    }

    fn lookup4(&self, address: u32) -> u16 {
        self.files().find_map(|file| file.lookup4(address)).unwrap_or(0)
    }

    #[allow(clippy::cast_possible_truncation)] // the halves of an address
    fn lookup6(&self, address: u128) -> u16 {
        let (upper, lower) = ((address >> 64) as u64, address as u64);
        let newest = self.newest(); // it has all /64s that are listed in pieces
        if newest.has_deep() {
            if let Some(answer) = newest.lookup_deep(upper, lower) {
                return answer;
            }
        }
        self.files().find_map(|file| file.lookup64(upper)).unwrap_or(0)
    }

    fn any4(&self, table: usize, first: u64, last: u64) -> bool {
        let table = &self.tables[table];
        any_of(self.delta.as_deref(), &self.base, Family::V4, first, last, table)
    }

    #[allow(clippy::cast_possible_truncation)] // the upper halves
    fn any6(&self, table: usize, first: u128, last: u128) -> bool {
        let table = &self.tables[table];
        let newest = self.newest();
        if newest.deep_within(first, last).any(|answer| table.has(answer)) {
            return true;
        }
        let (first, last) = ((first >> 64) as u64, (last >> 64) as u64);
        if first == last && newest.is_deep(first) {
            return false; // the pieces inside are all there is of this /64
        }
        any_of(self.delta.as_deref(), &self.base, Family::V6, first, last, table)
    }

    /// A dot inside a label makes no two labels of it: such a label is listed by what is above it, and otherwise
    /// names nothing.
    fn find_name(&self, name: &Name, labels: usize) -> Found {
        let mut text = [0; MAX_NAME];
        let mut size = 0;
        let (mut answer, mut empty) = (0, false);
        let deepest = self.files().map(|file| file.deepest).max().unwrap_or(0);
        for number in (0..labels).rev() {
            let label = name.label(number);
            if label.contains(&b'.') || labels - number > deepest {
                empty = false;
                break;
            }
            if size > 0 {
                text[size] = b'.';
                size += 1;
            }
            text[size..size + label.len()].copy_from_slice(label);
            size += label.len();
            let value = self.name_value(&text[..size]);
            empty = value == Some(EMPTY_NAME);
            match value {
                Some(HOLE) => answer = 0,
                Some(value) if value < EMPTY_NAME => answer = value,
                _ => {}
            }
        }
        match answer {
            0 if empty => Found::Empty,
            0 => Found::Nothing,
            answer => self.listed(0, answer, labels),
        }
    }

    /// A name as it is, whatever is listed above it. A label with a dot in it is in none.
    fn find_exact(&self, name: &Name, labels: usize) -> Found {
        let mut text = [0; MAX_NAME];
        let mut size = 0;
        if labels > self.files().map(|file| file.deepest).max().unwrap_or(0) {
            return Found::Nothing;
        }
        for number in (0..labels).rev() {
            let label = name.label(number);
            if label.contains(&b'.') {
                return Found::Nothing;
            }
            if size > 0 {
                text[size] = b'.';
                size += 1;
            }
            text[size..size + label.len()].copy_from_slice(label);
            size += label.len();
        }
        match self.name_value(&text[..size]) {
            Some(EMPTY_NAME) => Found::Empty,
            Some(value) if value < EMPTY_NAME => self.listed(0, value, labels),
            _ => Found::Nothing,
        }
    }

    #[inline]
    fn name_value(&self, name: &[u8]) -> Option<u16> {
        match self.files().find_map(|file| file.name(name)) {
            Some(GONE) => None,
            value => value,
        }
    }

    /// The A records of a listed name.
    #[must_use]
    pub fn addresses(&self, listed: Listed) -> Option<&RecordSet> {
        self.tables.get(listed.table)?.addresses.get(usize::from(listed.answer))
    }

    /// Append the TXT records of a listed name to `sections`, one for each code that says something (RFC 5782 section
    /// 2.1); gives how many. `subject` is space to write in.
    pub fn texts(&self, name: &Name, listed: Listed, subject: &mut Vec<u8>, sections: &mut Vec<u8>) -> u16 {
        let mut count = 0;
        let codes = self.tables.get(listed.table).and_then(|known| known.codes.get(usize::from(listed.answer)));
        subject.clear();
        for code in codes.into_iter().flatten() {
            let Some(pieces) = self.texts.get(usize::from(*code)).filter(|pieces| !pieces.is_empty()) else {
                continue;
            };
            if count == 0 {
                self.write_subject(name, listed.labels, subject);
            }
            txt_record(pieces, subject, self.ttl, sections);
            count += 1;
        }
        count
    }

    /// What was asked about, as people write it.
    fn write_subject(&self, name: &Name, labels: usize, text: &mut Vec<u8>) {
        match (self.kind, labels) {
            (Kind::Domain, _) => join(text, (0..labels).map(|number| name.label(number)), presentation),
            (Kind::Hash, _) => {
                let (hash, what) = (0..labels - 1, name.label(labels - 1));
                text.extend_from_slice(what.get(1..).unwrap_or_default());
                text.push(b':');
                join(text, hash.map(|number| name.label(number)), Vec::extend_from_slice);
            }
            (Kind::E164, _) => {
                text.push(b'+');
                (0..labels).rev().for_each(|number| text.extend_from_slice(name.label(number)));
            }
            (Kind::Ip, OCTETS) => {
                join(text, (0..labels).rev().map(|number| name.label(number)), Vec::extend_from_slice);
            }
            (Kind::Ip, _) => {
                let digits = (0..labels).rev().filter_map(|number| nibble(name.label(number)));
                let address = digits.fold(0, |address, digit| address << 4 | u128::from(digit));
                write_address(text, address);
            }
        }
    }
}

fn join<'a>(text: &mut Vec<u8>, labels: impl Iterator<Item = &'a [u8]>, put: impl Fn(&mut Vec<u8>, &[u8])) {
    for (number, label) in labels.enumerate() {
        if number > 0 {
            text.push(b'.');
        }
        put(text, label);
    }
}

/// A label as in a zone file (RFC 1035 section 5.1): a stranger chose its bytes.
fn presentation(text: &mut Vec<u8>, label: &[u8]) {
    for &octet in label {
        match octet {
            b'\\' | b'.' | b'"' => text.extend_from_slice(&[b'\\', octet]),
            0x21..=0x7E => text.push(octet),
            _ => text.extend_from_slice(&[b'\\', b'0' + octet / 100, b'0' + octet / 10 % 10, b'0' + octet % 10]),
        }
    }
}

/// An IPv6 address as the C library writes it (RFC 5952, and `::192.0.2.1` for an embedded IPv4 address).
fn write_address(text: &mut Vec<u8>, address: u128) {
    let embedded = u32::try_from(address).unwrap_or(0);
    let written = if embedded >> 16 == 0 {
        write!(text, "{}", Ipv6Addr::from(address))
    } else {
        write!(text, "::{}", Ipv4Addr::from(embedded))
    };
    debug_assert!(written.is_ok(), "a vector takes all that is written");
}

/// One TXT record, owned by the name asked for; a long text becomes several strings (RFC 1035 section 3.3.14).
fn txt_record(pieces: &[Box<[u8]>], subject: &[u8], ttl: u32, sections: &mut Vec<u8>) {
    let start = sections.len();
    sections.extend_from_slice(&TO_QUESTION);
    sections.extend_from_slice(&qtype::TXT.to_be_bytes());
    sections.extend_from_slice(&crate::message::qclass::IN.to_be_bytes());
    sections.extend_from_slice(&ttl.to_be_bytes());
    sections.extend_from_slice(&[0; 2]);
    let data = sections.len();
    let size = pieces.iter().map(|piece| piece.len()).sum::<usize>() + (pieces.len() - 1) * subject.len();
    if let Ok(size) = u8::try_from(size) {
        sections.push(size);
        fill(pieces, subject, sections);
    } else {
        for string in long_text(pieces, subject).chunks(MAX_STRING) {
            sections.push(u8::try_from(string.len()).unwrap_or(u8::MAX));
            sections.extend_from_slice(string);
        }
    }
    let length = u16::try_from(sections.len() - data).unwrap_or(u16::MAX);
    sections[start + 10..data].copy_from_slice(&length.to_be_bytes());
}

fn fill(pieces: &[Box<[u8]>], subject: &[u8], text: &mut Vec<u8>) {
    let most = text.len() + MAX_TEXT;
    for (number, piece) in pieces.iter().enumerate() {
        if text.len() > most {
            break; // the rest is cut off anyway
        }
        if number > 0 {
            text.extend_from_slice(subject);
        }
        text.extend_from_slice(piece);
    }
}

/// A text of several strings: at most `MAX_TEXT` octets, cut between characters.
fn long_text(pieces: &[Box<[u8]>], subject: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(MAX_TEXT);
    fill(pieces, subject, &mut text);
    if text.len() > MAX_TEXT {
        text.truncate(MAX_TEXT);
        let whole = std::str::from_utf8(&text).map_or_else(|error| error.valid_up_to(), str::len);
        text.truncate(whole);
    }
    text
}

/// A number from 0 to 255, written in the one way that is a name.
#[inline]
pub(crate) fn octet(label: &[u8]) -> Option<u32> {
    let digit = |octet: u8| {
        let value = octet.wrapping_sub(b'0');
        (value < 10).then(|| u32::from(value))
    };
    match *label {
        [a] => digit(a),
        [a, b] if a != b'0' => Some(digit(a)? * 10 + digit(b)?),
        [a, b, c] if a != b'0' => Some(digit(a)? * 100 + digit(b)? * 10 + digit(c)?).filter(|value| *value < 256),
        _ => None,
    }
}

/// A path of nibbles, each a label, as a number: its low half comes first.
#[inline]
fn nibbles(name: &Name, labels: usize) -> Option<u128> {
    let mut halves = [0u64; 2];
    for (half, start) in halves.iter_mut().zip([0, NIBBLES / 2]) {
        for number in (start..labels.min(start + NIBBLES / 2)).rev() {
            *half = *half << 4 | u64::from(nibble(name.label(number))?);
        }
    }
    Some(u128::from(halves[1]) << 64 | u128::from(halves[0]))
}

/// A hexadecimal digit.
#[inline]
pub(crate) fn nibble(label: &[u8]) -> Option<u8> {
    match *label {
        [digit @ b'0'..=b'9'] => Some(digit - b'0'),
        [letter @ b'a'..=b'f'] => Some(letter - b'a' + 10),
        _ => None,
    }
}

/// Whether the layers together list anything of first..=last that the table answers; `over` covers `under`. Where it
/// hides all there is, in very many pieces, this says yes all the same, as `dnsbl/zones/layers.py` does and says why.
fn any_of(over: Option<&Snapshot>, under: &Snapshot, family: Family, mut first: u64, last: u64, table: &Table) -> bool {
    let wanted = &table.wanted;
    if over.is_some_and(|over| over.next(family, first, last, wanted).is_some()) {
        return true;
    }
    let mut nearest = [None; 2]; // of the singles and of the ranges: a column is looked through once, not once a turn
    for turn in 0..MAX_HIDDEN {
        for (kind, known) in nearest.iter_mut().enumerate() {
            if turn == 0 || known.is_some_and(|number| number < first) {
                *known = under.next_of(kind, family, first, last, wanted);
            }
        }
        let Some(found) = nearest.iter().flatten().copied().min() else {
            return false;
        };
        match over.and_then(|over| over.end(family, found)) {
            None => return true,
            Some(end) if end >= last => return false,
            Some(end) => first = end + 1,
        }
    }
    true
}
