//! What no stranger may do, and the known answers of others. That replies are those of the Python path is tested from
//! Python, where both are.

use std::fs::File;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use dnsbl_native::answer::{reply, Asked as By, Outcome, Scratch};
use dnsbl_native::cookies::{Cookies, Worth};
use dnsbl_native::counters::{Event, Tally};
use dnsbl_native::keys::{Asked, Key, Keys, Known};
use dnsbl_native::limiter::{Limiter, Rate, Verdict as Let};
use dnsbl_native::message::{parse, Name, Parsed};
use dnsbl_native::networks::{Client, Share};
use dnsbl_native::snapshot::{Family, Wanted};
use dnsbl_native::testing::{addresses, broken_zones, file, names, numbers, seal, settings, snapshot, zones};
use dnsbl_native::udp::{prepare, Loop, Shared};
use dnsbl_native::usage::Counts;
use dnsbl_native::watch::{Queue, Sample, Sampler, Samples, MAX_HANDED};
use dnsbl_native::zone::Zones;
use proptest::collection::vec;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

const CASES: u32 = if cfg!(miri) { 8 } else { 2000 };
const CLIENT: [u8; 4] = [192, 0, 2, 1];

fn question(name: &str, rtype: u16) -> Vec<u8> {
    let mut wire = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0".to_vec();
    for label in name.split('.') {
        wire.push(u8::try_from(label.len()).expect("a short label"));
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    wire.extend_from_slice(&rtype.to_be_bytes());
    wire.extend_from_slice(&[0, 1]);
    wire
}

/// The reply to a message, as over UDP.
fn ask(wire: &[u8], tcp: bool) -> (Outcome, Vec<u8>) {
    let mut buffer = vec![0xEE; 65_535];
    buffer[..wire.len()].copy_from_slice(wire);
    let asked = By { client: &CLIENT, now: 1_000_000, tcp };
    let outcome = reply(&settings(), &zones(), &mut Scratch::default(), &mut buffer, wire.len(), asked);
    let size = if let Outcome::Reply(reply) = &outcome { reply.size } else { 0 };
    (outcome, buffer[..size].to_vec())
}

fn rcode(wire: &[u8]) -> u8 {
    ask(wire, false).1[3] & 0xF
}

#[test]
fn a_listed_address_is_answered() {
    let (_, answer) = ask(&question("2.0.0.127.bl.example", 1), false);
    assert_eq!(answer[..8], [0x12, 0x34, 0x85, 0, 0, 1, 0, 2]);
    assert!(answer.ends_with(&[0, 4, 127, 0, 0, 2]));
}

#[test]
fn names_are_told_apart() {
    assert_eq!(rcode(&question("7.2.0.192.bl.example", 1)), 0);
    assert_eq!(rcode(&question("7.3.0.192.bl.example", 1)), 3);
    assert_eq!(rcode(&question("0.192.bl.example", 1)), 0);
    assert_eq!(rcode(&question("1.192.bl.example", 1)), 3);
    assert_eq!(rcode(&question("2.0.0.127.sub.bl.example", 1)), 0);
    assert_eq!(rcode(&question("7.2.0.192.sub.bl.example", 1)), 3);
    assert_eq!(rcode(&question("www.test.dbl.example", 1)), 0);
    assert_eq!(rcode(&question("example", 1)), 5);
}

#[test]
fn a_number_or_a_hash_answers_for_itself_alone() {
    let (outcome, answer) = ask(&question("2.1.tel.example", 16), false);
    assert!(matches!(outcome, Outcome::Reply(reply) if reply.rcode == 0));
    assert!(answer.windows(13).any(|part| part == b"See +12 there"));
    assert_eq!(ask(&question("1.tel.example", 1), false).1[3..8], [0, 0, 1, 0, 0]);
    for absent in ["2.tel.example", "3.2.1.tel.example", "1.2.tel.example", "x.test.hash.example"] {
        assert_eq!(rcode(&question(absent, 1)), 3, "{absent}");
    }
    assert_eq!(rcode(&question("test.hash.example", 1)), 0);
}

#[test]
fn cookies_are_those_of_rfc_9018_appendix_a() {
    // A.1: a new cookie; A.2: the same client comes back later and gets a new one.
    let secret = 0xe5e9_73e5_a6b2_a43f_48e7_dc84_9e37_bfcf_u128.to_be_bytes();
    let cookies = Cookies::new(&[secret]);
    let client = [198, 51, 100, 100];
    let first = 0x2464_c4ab_cf10_c957_u64.to_be_bytes();
    let (made, worth) = cookies.reply(&first, &client, 1_559_731_985);
    assert_eq!(worth, Worth::None);
    let expected = 0x2464_c4ab_cf10_c957_0100_0000_5cf7_9f11_u128.to_be_bytes();
    assert_eq!(made[..16], expected);
    assert_eq!(made[16..], 0x1f81_30c3_eee2_9480_u64.to_be_bytes());
    let (kept, worth) = cookies.reply(&made, &client, 1_559_731_985 + 60);
    assert_eq!((kept, worth), (made, Worth::Valid));
    assert_eq!(cookies.reply(&made, &[198, 51, 100, 101], 1_559_731_985).1, Worth::Invalid);
    assert_eq!(cookies.reply(&made, &client, 1_559_731_985 + 3601).1, Worth::Invalid);
}

#[test]
fn counts_are_kept_by_zone_type_and_code() {
    let tally = Tally::default();
    for _ in 0..3 {
        tally.reply(1, 16, 3);
    }
    tally.reply(usize::MAX, 65_535, 23);
    tally.event(Event::Dropped, 2);
    tally.batch(5);
    assert_eq!(tally.replies().collect::<Vec<_>>(), [(1, 6, 3, 3), (255, 16, 7, 1)]);
    assert_eq!((tally.events(Event::Dropped), tally.events(Event::Failed)), (2, 0));
    assert_eq!(tally.batches()[2], 1);
}

#[test]
fn the_queue_is_bounded() {
    let queue = Queue::default();
    let taken = (0..MAX_HANDED + 5).filter(|number| queue.put(|| *number)).count();
    assert_eq!(taken, MAX_HANDED);
    let (first, more) = queue.take(10);
    assert_eq!((first, more), ((0..10).collect(), true));
}

#[test]
fn samples_stand_for_all_that_was_asked() {
    let (shared, mut own) = (Samples::default(), Sampler::default());
    let mut ask = |samples: &Samples, times: usize| {
        own.look(samples);
        (0..times).for_each(|_| own.count(samples, |weight| Sample { weight, ..Sample::default() }));
    };
    ask(&shared, 1000); // nobody fetches, nothing is sampled
    assert_eq!(shared.fetch(1000, 10), []);
    ask(&shared, 10_000);
    let taken = shared.fetch(10_000, 10);
    let stood_for: u64 = taken.iter().map(|sample| sample.weight).sum();
    assert!((50..=200).contains(&taken.len()), "{}", taken.len());
    assert!((10_800..=11_000).contains(&stood_for), "{stood_for}");
}

#[test]
fn damaged_files_are_refused() {
    for good in [addresses(), names(), numbers(), file(&[])] {
        assert!(snapshot(&good).is_ok());
        let step = if cfg!(miri) { 97 } else { 1 };
        for at in (0..good.len()).step_by(step) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(snapshot(&bad).is_err(), "octet {at} altered");
        }
        assert!(snapshot(&good[..good.len() - 1]).is_err());
        assert!(snapshot(&[&good[..], &[0]].concat()).is_err());
    }
}

#[test]
fn a_file_read_is_not_the_file_any_more() {
    if cfg!(miri) {
        return; // it has no files here
    }
    let path = std::env::temp_dir().join(format!("dnsbl-native-{}.base", std::process::id()));
    std::fs::write(&path, addresses()).expect("a file");
    let taken = dnsbl_native::memory::Memory::read(&path).expect("its bytes");
    std::fs::write(&path, b"").expect("cut");
    let snapshot = dnsbl_native::snapshot::Snapshot::new(taken).expect("as it was");
    assert_eq!(snapshot.lookup4(0x7F00_0002), Some(2));
    std::fs::remove_file(&path).expect("gone");
}

/// A server of one thread on a socket of 127.0.0.1, while `ask` asks it.
fn serving(zones: Zones, ask: impl FnOnce(&UdpSocket)) -> Arc<Tally> {
    let server = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let client = UdpSocket::bind("127.0.0.1:0").expect("a port");
    client.connect(server.local_addr().expect("an address")).expect("connected");
    client.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit");
    let shared = Arc::new(Shared {
        settings: settings(),
        zones: ArcSwap::from_pointee(zones),
        samples: Samples::default(),
        queue: Queue::default(),
        bell: File::create("/dev/null").expect("no bell").into(),
        stop: AtomicBool::new(false),
    });
    prepare(server.as_raw_fd(), false, false).expect("a socket made ready");
    let tally = Arc::<Tally>::default();
    let work = Loop {
        shared: Arc::clone(&shared),
        socket: Arc::new(server.into()),
        wildcard: false,
        tally: Arc::clone(&tally),
    };
    let thread = std::thread::spawn(move || work.run());
    ask(&client);
    shared.stop.store(true, Ordering::Relaxed);
    thread.join().expect("a thread that ends by itself");
    tally
}

#[test]
fn a_panic_costs_one_packet() {
    if cfg!(miri) {
        return; // it has no sockets here
    }
    let good = question("2.0.0.127.bl.example", 1);
    let tally = serving(broken_zones(), |client| {
        let mut answer = [0; 512];
        for _ in 0..3 {
            client.send(&question("127.broken.example", 1)).expect("sent");
            client.send(&good).expect("sent");
            let size = client.recv(&mut answer).expect("an answer in time");
            assert_eq!(answer[..size], ask(&good, false).1);
        }
    });
    assert_eq!(tally.events(Event::Failed), 3);
    assert_eq!(tally.replies().collect::<Vec<_>>(), [(1, 0, 0, 3)]);
}

fn messages() -> impl Strategy<Value = Vec<u8>> {
    let known = prop_oneof![
        Just(question("2.0.0.127.bl.example", 16)),
        Just(question("x.test.dbl.example", 255)),
        Just(question("2.1.tel.example", 16)),
        Just(question("test.hash.example", 16)),
        Just(question("bl.example", 6)),
        Just([question("bl.example", 6), b"\0\0\x29\x10\0\0\0\0\0\0\x0c\0\x0a\0\x08abcdefgh".to_vec()].concat()),
    ];
    let changed = (known, vec((any::<prop::sample::Index>(), any::<u8>()), 0..6)).prop_map(|(mut wire, changes)| {
        for (at, octet) in changes {
            let at = at.index(wire.len());
            wire[at] = octet;
        }
        wire
    });
    prop_oneof![vec(any::<u8>(), 0..600), changed]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_message_does_harm(wire in messages(), tcp in any::<bool>()) {
        let (outcome, answer) = ask(&wire, tcp);
        if let Outcome::Reply(_) = outcome {
            prop_assert_eq!(&answer[..2], &wire[..2]);
            prop_assert!(answer[2] & 0x80 != 0);
            prop_assert!(tcp || answer.len() <= 1232);
            prop_assert!(matches!(parse(&answer, &mut Name::default()), Parsed::Response));
        }
    }

    #[test]
    fn no_file_does_harm(
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..8), address in any::<u32>(), upper in any::<u64>(),
    ) {
        for mut bytes in [addresses(), names()] {
            for (at, octet) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *octet;
            }
            seal(&mut bytes);
            if let Ok(snapshot) = snapshot(&bytes) {
                let _ = (snapshot.lookup4(address), snapshot.lookup64(upper), snapshot.lookup_deep(upper, 0));
                let _ = (snapshot.name(b"test"), snapshot.name(b"com.example"));
                let wanted = Wanted::new(vec![true; 4]);
                for family in [Family::V4, Family::V6] {
                    let _ = (snapshot.next(family, upper, u64::MAX, &wanted), snapshot.end(family, upper));
                }
            }
        }
    }
}

fn key(letter: char) -> String {
    format!("dq-{}", letter.to_string().repeat(26))
}

fn keys(secrets: &[&str], before: Option<&Keys>) -> Keys {
    let row = |(id, secret): (u64, &&str)| {
        let key = Key { id, places: Vec::new(), queries: 2, expires: 0, asked: Arc::default() };
        (Sha256::digest(secret.as_bytes()).into(), key)
    };
    Keys::new((0..).zip(secrets).map(row).collect(), 2, before)
}

#[test]
fn a_key_is_found_until_it_ends_and_others_keep_what_they_spent() {
    let (a, b, c) = (key('a'), key('b'), key('c'));
    let first = Arc::new(keys(&[&a, &b], None));
    let mut known = Known::default();
    known.renew(Some(Arc::clone(&first)));
    for _ in 0..2 {
        assert_eq!(known.find(a.as_bytes()).map(|key| key.id), Some(0));
        assert!(known.find(c.as_bytes()).is_none());
        assert!(known.find(&a.as_bytes()[1..]).is_none());
    }
    assert_eq!(known.find(a.as_bytes()).expect("a key").asked.spend(9), 1);
    known.renew(Some(Arc::new(keys(&[&a], Some(&first)))));
    assert!(known.find(b.as_bytes()).is_none());
    let asked = &known.find(a.as_bytes()).expect("a key").asked;
    assert_eq!((asked.spend(9), asked.spend(10)), (2, 1));
}

#[test]
fn threads_spend_one_quota() {
    let shared = Arc::new(Asked::default());
    let spend = |asked: Arc<Asked>| std::thread::spawn(move || (0..1000).filter(|_| asked.spend(1) <= 500).count());
    let threads: Vec<_> = (0..4).map(|_| spend(Arc::clone(&shared))).collect();
    let answered: usize = threads.into_iter().map(|thread| thread.join().expect("its count")).sum();
    assert_eq!(answered, 500);
}

#[test]
fn a_flood_from_everywhere_does_not_end_the_limit_of_one_network() {
    let limiter = Limiter::new(Rate { responses: 5, slip: 0, window: 10, ..Rate::default() });
    let victim = Client::V4(0xC000_0201);
    let mut sent = 0;
    for number in 0..20_000 {
        let _ = limiter.take(Client::V4(0x0A00_0000 + (number << 8)), 0, 7);
        sent += u32::from(limiter.take(victim, 0, 7) == Let::Send);
    }
    // It begins anew when another network falls on its bucket: once in 65,536 each, on average.
    assert!((5..=30).contains(&sent), "{sent}");
}

#[test]
fn who_asks_most_is_known_however_many_ask() {
    let counts = Counts::default();
    let much = Client::V4(0xC000_0201).share().expect("a network");
    for _ in 0..100 {
        counts.spend(3, much, 20_000);
    }
    for number in 0..if cfg!(miri) { 100 } else { 200_000 } {
        counts.spend(3, Client::V4(number << 8).share().expect("a network"), 20_000);
    }
    assert_eq!(counts.top(20_000, 1), [(3, much, 100)]);
    assert_eq!(counts.spend(3, much, 20_000), 101);
    assert_eq!(counts.spend(3, much, 20_001), 1);
    assert_eq!(counts.top(20_000, 1).first().map(|(place, ..)| *place), Some(3));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_network_is_its_octets(number in 0..0xFFFF_u128 << 112, v4 in any::<u32>()) { // beyond is multicast: no client
        for client in [Client::of(&number.to_be_bytes()), Client::of(&v4.to_be_bytes())] {
            let share = client.share().expect("a network");
            prop_assert_eq!(Share::of(&share.octets()), Some(share));
        }
    }

    #[test]
    fn no_bucket_holds_more_than_a_second_or_sends_more_than_that(steps in vec(0u32..3, 0..200), rate in 1u16..5) {
        let limiter = Limiter::new(Rate { responses: rate, slip: 0, window: 2, ..Rate::default() });
        let (mut now, mut sent) = (0u32, 0u32);
        for step in steps {
            now += step;
            sent += u32::from(limiter.take(Client::V4(1 << 24), 0, now) == Let::Send);
        }
        prop_assert!(sent <= (now + 1) * u32::from(rate));
    }
}
