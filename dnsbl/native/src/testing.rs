//! Small snapshot files and zones, for tests and fuzz targets.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::answer::Settings;
use crate::cookies::Cookies;
use crate::memory::Memory;
use crate::snapshot::{Refused, Snapshot, EMPTY_NAME};
use crate::zone::{Kind, RecordSet, Table, Zone, Zones};

/// A section: its name, the octets of an item, its bytes.
pub type Part<'a> = (&'a str, usize, Vec<u8>);

/// Every section, empty.
#[must_use]
pub fn empty() -> Vec<Part<'static>> {
    let widths = [
        ("meta", 1),
        ("v4idx", 4),
        ("v4one", 4),
        ("v4onea", 1),
        ("v4low", 4),
        ("v4high", 4),
        ("v4a", 1),
        ("v6one", 8),
        ("v6onea", 1),
        ("v6low", 8),
        ("v6high", 8),
        ("v6a", 1),
        ("v6d", 8),
        ("v6dlow", 8),
        ("v6dhigh", 8),
        ("v6da", 1),
        ("nidx", 4),
        ("names", 1),
    ];
    widths.into_iter().map(|(name, width)| (name, width, indexes(name))).collect()
}

fn indexes(name: &str) -> Vec<u8> {
    if matches!(name, "v4idx" | "nidx") {
        vec![0; 8]
    } else {
        Vec::new()
    }
}

/// A file of these sections, with the others empty.
///
/// # Panics
/// Where a section has no such name.
#[must_use]
pub fn file(parts: &[Part]) -> Vec<u8> {
    let mut all = empty();
    for (name, width, bytes) in parts {
        let place = all.iter().position(|(known, _, _)| known == name).expect("a section of the format");
        all[place] = (all[place].0, *width, bytes.clone());
    }
    let mut table = Vec::new();
    let mut body = Vec::new();
    let start = (32 + 32 * all.len()).next_multiple_of(64);
    for (name, width, bytes) in &all {
        let mut field = [0; 8];
        field[..name.len()].copy_from_slice(name.as_bytes());
        table.extend_from_slice(&field);
        for number in [*width, start + body.len(), bytes.len() / width] {
            table.extend_from_slice(&(number as u64).to_le_bytes());
        }
        body.extend_from_slice(bytes);
        body.resize(body.len().next_multiple_of(64), 0);
    }
    let mut whole = b"DNSBLSNP\x02\0\0\0".to_vec();
    whole.extend_from_slice(&u32::try_from(all.len()).unwrap_or(0).to_le_bytes());
    whole.extend_from_slice(&[0; 16]);
    whole.extend_from_slice(&table);
    whole.resize(start, 0);
    whole.extend_from_slice(&body);
    seal(&mut whole);
    whole
}

/// Write size and checksum into the header, so that what else is wrong is looked at.
pub fn seal(file: &mut [u8]) {
    let size = file.len() as u64;
    let Some(fields) = file.get_mut(16..32) else {
        return;
    };
    fields[..8].copy_from_slice(&size.to_le_bytes());
    fields[8..].fill(0);
    let checksum = xxh3_64(file);
    file[24..32].copy_from_slice(&checksum.to_le_bytes());
}

/// A snapshot of a file's bytes.
///
/// # Errors
/// As `Snapshot::new`.
///
/// # Panics
/// Without memory.
pub fn snapshot(file: &[u8]) -> Result<Snapshot, Refused> {
    Snapshot::new(Memory::copy(file).expect("memory"))
}

fn words(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// An ip zone's file: 127.0.0.2 and 192.0.2.0/24.
#[must_use]
pub fn addresses() -> Vec<u8> {
    file(&[
        ("v4idx", 4, words(&[0, 1])),
        ("v4one", 4, words(&[0x7F00_0002])),
        ("v4onea", 1, vec![2]),
        ("v4low", 4, words(&[0xC000_0200])),
        ("v4high", 4, words(&[0xC000_02FF])),
        ("v4a", 1, vec![1]),
    ])
}

/// A domain zone's file: `test`.
#[must_use]
pub fn names() -> Vec<u8> {
    listed(&[("test", 1)])
}

/// A number zone's file: +12, and what is above it.
#[must_use]
pub fn numbers() -> Vec<u8> {
    listed(&[("1.2", 1), ("1", EMPTY_NAME)])
}

/// A file of names from the top label and their values.
fn listed(names: &[(&str, u16)]) -> Vec<u8> {
    let mut records = Vec::new();
    for (name, value) in names {
        records.push(u8::try_from(name.len()).unwrap_or(0));
        records.extend_from_slice(&value.to_le_bytes());
        records.extend_from_slice(name.as_bytes());
    }
    file(&[("nidx", 4, words(&[0, u32::try_from(records.len()).unwrap_or(0)])), ("names", 1, records)])
}

fn origin(name: &str) -> Box<[u8]> {
    let mut wire = Vec::new();
    for label in name.split('.') {
        wire.push(u8::try_from(label.len()).unwrap_or(0));
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    wire.into()
}

fn zone(kind: Kind, name: &str, file: &[u8]) -> Arc<Zone> {
    let record = [0xC0, 12, 0, 1, 0, 1, 0, 0, 1, 0x2C, 0, 4, 127, 0, 0, 2].to_vec();
    let records = [record.clone(), record];
    let codes = vec![Box::default(), [0].into(), [0, 1].into()];
    let table = Table::new(codes, &records).expect("codes that are there");
    let sub = Table::new(vec![Box::default(), Box::default(), [1].into()], &records).expect("codes that are there");
    let text = vec![b"See ".as_slice().into(), b" there".as_slice().into()];
    Arc::new(Zone {
        slot: 1,
        origin: origin(name),
        depth: name.split('.').count(),
        kind,
        soa: [0, 6, 0, 1, 0, 0, 0, 60, 0, 22].into_iter().chain([0; 22]).collect(),
        apex: vec![(6, RecordSet { count: 1, bytes: Box::new([0xC0, 12, 0, 6]) })],
        ttl: 300,
        texts: vec![text, Vec::new()],
        tables: vec![table, sub],
        sublists: vec![b"sub".as_slice().into()],
        base: Arc::new(snapshot(file).expect("a good file")),
        delta: None,
        expired: false,
        access: None,
        hosts: Vec::new(),
    })
}

/// `bl.example` with `addresses`, `dbl.example` with `names`, `tel.example` with `numbers`, and `hash.example`, whose
/// names are no hashes: `test`.
#[must_use]
pub fn zones() -> Zones {
    let made = [
        zone(Kind::Ip, "bl.example", &addresses()),
        zone(Kind::Domain, "dbl.example", &names()),
        zone(Kind::E164, "tel.example", &numbers()),
        zone(Kind::Hash, "hash.example", &names()),
    ];
    Zones::new(made.into(), 1)
}

/// The same, and `broken.example`: a zone with a mistake of ours in it, so that networks asked of it panic.
#[must_use]
pub fn broken_zones() -> Zones {
    let mut broken = zone(Kind::Ip, "broken.example", &addresses());
    if let Some(broken) = Arc::get_mut(&mut broken) {
        broken.tables.clear();
    }
    Zones::new(vec![broken, zone(Kind::Ip, "bl.example", &addresses())], 2)
}

/// Settings with an identity and a secret.
#[must_use]
pub fn settings() -> Settings {
    Settings::new(1232, b"site-1".to_vec(), Cookies::new(&[[7; 16]]), None)
}
