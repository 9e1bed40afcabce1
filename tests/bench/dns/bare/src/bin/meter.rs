//! Latency and loss at a steady rate: queries leave one socket in bursts each millisecond, whatever comes back.
//!
//!     meter PORT RATE SECONDS QUERY_FILE
//!
//! A reply belongs to the newest query under way with its id and its question, so ids may wrap. Replies are waited for
//! until LINGER after the last query; what has none by then is lost. Where this process was kept from its core, it
//! does not catch up with one great burst: the rest comes later, and `slipped` says by how much. Prints one line of
//! JSON, times in microseconds: `gap` is the longest time between two replies, `dropped_here` what this side's own
//! buffer had no room for.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use bare::{client, query, Receiver, HEADER};

const IDS: usize = 1 << 16;
const MAX_QUERIES: usize = 200_000;
const BURST: u64 = 1_000_000; // nanoseconds between two bursts
const CATCH_UP: u64 = 2 * BURST; // as much is sent at once where this process was late
const LINGER: Duration = Duration::from_secs(3);
const LOST: u64 = u64::MAX;

fn main() {
    let given: Vec<String> = std::env::args().collect();
    assert!(given.len() == 5, "meter PORT RATE SECONDS QUERY_FILE");
    let rate: u64 = given[2].parse().expect("rate");
    let seconds: f64 = given[3].parse().expect("seconds");
    let text = std::fs::read_to_string(&given[4]).expect("query file");
    let wires = text.lines().take(MAX_QUERIES).map(|line| query(line, false)).collect();
    let mut run = Run::new(client(given[1].parse().expect("port")), wires, (rate as f64 * seconds) as usize);
    run.measure(rate);
    run.print();
}

struct Run {
    socket: UdpSocket,
    wires: Vec<Vec<u8>>,
    total: usize,
    started: Instant,
    sent_at: Vec<u64>,
    latency: Vec<u64>,
    answered: usize,
    not_taken: u64, // by the system, when sent
    last: u64,
    gap: u64,
    slipped: u64,
}

impl Run {
    fn new(socket: UdpSocket, wires: Vec<Vec<u8>>, total: usize) -> Self {
        let (sent_at, latency) = (Vec::with_capacity(total), vec![LOST; total]);
        let started = Instant::now();
        Run { socket, wires, total, started, sent_at, latency, answered: 0, not_taken: 0, last: 0, gap: 0, slipped: 0 }
    }

    fn measure(&mut self, rate: u64) {
        let mut receiver = Receiver::new();
        self.started = Instant::now();
        let mut due = 0;
        while self.sent_at.len() < self.total {
            let now = self.now() - self.slipped;
            if now >= due {
                let late = (now - due).saturating_sub(CATCH_UP);
                self.slipped += late;
                due = ((now - late) / BURST + 1) * BURST;
                self.send((due as u128 * rate as u128 / 1_000_000_000) as usize);
            }
            self.receive(&mut receiver);
        }
        let end = Instant::now() + LINGER;
        while self.answered < self.total && Instant::now() < end {
            self.receive(&mut receiver);
        }
    }

    fn now(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }

    /// Send until so many have been sent in all.
    fn send(&mut self, upto: usize) {
        for number in self.sent_at.len()..upto.min(self.total) {
            self.sent_at.push(self.now());
            let place = number % self.wires.len();
            self.wires[place][..2].copy_from_slice(&(number as u16).to_be_bytes());
            self.not_taken += self.socket.send(&self.wires[place]).is_err() as u64;
        }
    }

    fn receive(&mut self, receiver: &mut Receiver) {
        let mut any = false;
        for reply in receiver.receive(&self.socket) {
            any = true;
            if let Some(number) = asked(reply, &self.sent_at, &self.latency, &self.wires) {
                self.latency[number] = self.started.elapsed().as_nanos() as u64 - self.sent_at[number];
                self.answered += 1;
            }
        }
        if any {
            let now = self.now();
            self.gap = self.gap.max(now - self.last);
            self.last = now;
        }
    }

    fn print(&self) {
        let mut known: Vec<u64> = self.latency.iter().copied().filter(|&time| time != LOST).collect();
        known.sort_unstable();
        let at = |share: f64| known.get((known.len() as f64 * share) as usize).map_or(0.0, |&time| time as f64 / 1e3);
        let (sent, seconds) = (self.sent_at.len(), self.sent_at.last().map_or(0.0, |&time| time as f64 / 1e9));
        println!(
            "{{\"sent\": {sent}, \"answered\": {}, \"lost\": {}, \"not_taken\": {}, \"dropped_here\": {}, \
             \"p50\": {:.1}, \"p99\": {:.1}, \"p99_9\": {:.1}, \"max\": {:.1}, \"gap\": {:.1}, \"slipped\": {:.1}, \"seconds\": {seconds:.3}}}",
            self.answered,
            sent - self.answered,
            self.not_taken,
            dropped(&self.socket),
            at(0.5),
            at(0.99),
            at(0.999),
            known.last().map_or(0.0, |&time| time as f64 / 1e3),
            self.gap as f64 / 1e3,
            self.slipped as f64 / 1e3,
        );
    }
}

/// The number of the query that this answers: newest first, one of its id whose question it repeats.
fn asked(reply: &[u8], sent_at: &[u64], latency: &[u64], wires: &[Vec<u8>]) -> Option<usize> {
    if reply.len() < HEADER {
        return None;
    }
    let id = u16::from_be_bytes([reply[0], reply[1]]) as usize;
    let mut number = sent_at.len().checked_sub(id + 1)? / IDS * IDS + id;
    loop {
        let question = &wires[number % wires.len()][HEADER..];
        if latency[number] == LOST && reply[HEADER..].starts_with(question) {
            return Some(number);
        }
        number = number.checked_sub(IDS)?;
    }
}

/// Replies that had no room in our own buffer: the last column of /proc/net/udp.
fn dropped(socket: &UdpSocket) -> u64 {
    let port = socket.local_addr().map_or(0, |address| address.port());
    let mark = format!(":{port:04X}");
    let table = std::fs::read_to_string("/proc/net/udp").unwrap_or_default();
    let row = table.lines().find(|line| line.split_whitespace().nth(1).is_some_and(|text| text.ends_with(&mark)));
    row.and_then(|line| line.split_whitespace().last()?.parse().ok()).unwrap_or(0)
}
