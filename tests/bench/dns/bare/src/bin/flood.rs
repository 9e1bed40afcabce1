//! As many queries as the server takes: each client sends a burst, and the next once all of it is answered.
//!
//!     flood PORT CLIENTS BURST SECONDS QUERY_FILE [edns]
//!
//! A burst is one call: the system cuts it into datagrams of one size (UDP_SEGMENT), so a core that sends is faster
//! than one that answers, and the server always finds queries waiting. The queries of a burst are therefore of one
//! length; else they come in the order of the file. Prints one line of JSON.

use std::collections::HashMap;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use bare::{client, query, Receiver, HEADER};

const MAX_QUERIES: usize = 400_000; // then from the beginning again
const PATIENCE: Duration = Duration::from_millis(200); // what is not answered by then is lost
const RCODE: u8 = 0x0F;
const NXDOMAIN: u8 = 3;

fn main() {
    let given: Vec<String> = std::env::args().collect();
    assert!(given.len() >= 6, "flood PORT CLIENTS BURST SECONDS QUERY_FILE [edns]");
    let port: u16 = given[1].parse().expect("port");
    let clients: usize = given[2].parse().expect("clients");
    let burst: usize = given[3].parse().expect("burst");
    let seconds: f64 = given[4].parse().expect("seconds");
    let text = std::fs::read_to_string(&given[5]).expect("query file");
    let bursts = bursts(&text, burst, given.len() > 6);
    let clients = (0..clients).map(|_| Client { socket: client(port), waiting: 0, since: Instant::now() }).collect();
    let mut run = Run { clients, bursts, burst, next: 0, counts: Counts::default() };
    run.measure(Duration::from_secs_f64(seconds));
    run.counts.print(seconds);
}

/// Queries of one length, one after the other.
struct Burst {
    size: usize,
    wires: Vec<u8>,
}

fn bursts(text: &str, count: usize, edns: bool) -> Vec<Burst> {
    let mut open: HashMap<usize, Vec<u8>> = HashMap::new();
    let mut full = Vec::new();
    for (number, line) in text.lines().take(MAX_QUERIES).enumerate() {
        let mut wire = query(line, edns);
        wire[..2].copy_from_slice(&(number as u16).to_be_bytes());
        let wires = open.entry(wire.len()).or_default();
        wires.extend_from_slice(&wire);
        if wires.len() == count * wire.len() {
            full.push(Burst { size: wire.len(), wires: std::mem::take(wires) });
        }
    }
    assert!(!full.is_empty(), "too few queries for a burst");
    full
}

struct Client {
    socket: UdpSocket,
    waiting: usize,
    since: Instant,
}

struct Run {
    clients: Vec<Client>,
    bursts: Vec<Burst>,
    burst: usize,
    next: usize,
    counts: Counts,
}

impl Run {
    fn measure(&mut self, time: Duration) {
        let mut receiver = Receiver::new();
        let end = Instant::now() + time;
        loop {
            let now = Instant::now();
            if now > end {
                return;
            }
            for client in &mut self.clients {
                for reply in receiver.receive(&client.socket) {
                    self.counts.add(reply);
                    client.waiting = client.waiting.saturating_sub(1);
                }
                if client.waiting > 0 && now.duration_since(client.since) > PATIENCE {
                    self.counts.lost += client.waiting as u64;
                    client.waiting = 0;
                }
                if client.waiting == 0 && send(&client.socket, &self.bursts[self.next]) {
                    (client.waiting, client.since) = (self.burst, now);
                    self.counts.sent += self.burst as u64;
                    self.next = (self.next + 1) % self.bursts.len();
                }
            }
        }
    }
}

/// One call for the whole burst; false where the system did not take it.
fn send(socket: &UdpSocket, burst: &Burst) -> bool {
    let mut part = libc::iovec { iov_base: burst.wires.as_ptr() as *mut _, iov_len: burst.wires.len() };
    let mut control = [0u64; 4]; // aligned, and more than one header with two octets takes
                                 // SAFETY: the message points at the burst, which is only read, and at `control`; both live through the call.
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(2) as _;
        let header = libc::CMSG_FIRSTHDR(&message);
        (*header).cmsg_level = libc::SOL_UDP;
        (*header).cmsg_type = libc::UDP_SEGMENT;
        (*header).cmsg_len = libc::CMSG_LEN(2) as _;
        libc::CMSG_DATA(header).cast::<u16>().write_unaligned(burst.size as u16);
        libc::sendmsg(socket.as_raw_fd(), &message, 0) >= 0
    }
}

#[derive(Default)]
struct Counts {
    sent: u64,
    lost: u64,
    listed: u64,
    absent: u64,
    other: u64, // neither an answer nor NXDOMAIN
}

impl Counts {
    fn add(&mut self, reply: &[u8]) {
        match reply.get(..HEADER).map(|head| (head[3] & RCODE, head[7])) {
            Some((0, 1..)) => self.listed += 1,
            Some((NXDOMAIN, _)) => self.absent += 1,
            _ => self.other += 1,
        }
    }

    fn print(&self, seconds: f64) {
        println!(
            "{{\"sent\": {}, \"answered\": {}, \"lost\": {}, \"listed\": {}, \"absent\": {}, \"other\": {}, \"seconds\": {seconds}}}",
            self.sent,
            self.listed + self.absent + self.other,
            self.lost,
            self.listed,
            self.absent,
            self.other,
        );
    }
}
