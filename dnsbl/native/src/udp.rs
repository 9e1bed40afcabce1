//! DNS over UDP: OS threads, one socket each, packets by the batch.
//!
//! A thread waits for packets, answers each where it lies, and sends the replies, all with two system calls a batch.
//! What the system does not take at once is dropped and counted: a resolver asks again. A panic costs the packet that
//! caused it. A socket bound to all addresses answers from the one that was asked (RFC 2181 section 4).
//!
//! Another way to carry packets (`AF_XDP`) would stand beside this module: `answer::reply` is all it needs.

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use libc::{c_int, c_uint, c_void, cmsghdr, iovec, mmsghdr, msghdr, sockaddr_storage, socklen_t};

use crate::access::Reason;
use crate::answer::{reply, Asked, Outcome, Reply, Scratch, Settings};
use crate::cookies::Worth;
use crate::counters::{Event, Tally};
use crate::glance::Glance;
use crate::message::rcode;
use crate::watch::{Queue, Sample, Sampler, Samples};
use crate::zone::Zones;

/// Packets for each turn.
const BATCH: usize = 64;
const BATCH_COUNT: c_uint = 64;
/// No query is longer; what is cut off makes it malformed. The largest reply over UDP has room, too.
const MAX_DATAGRAM: usize = 4096;
/// From one buffer to the next: not a multiple of a page, so that their first octets fall into different cache sets.
const STRIDE: usize = MAX_DATAGRAM + 192;
/// For the address that was asked: IPv6 takes more (RFC 3542 section 6.1).
const CONTROL: usize = 256;
/// How long a thread waits before it looks whether to stop.
const WAIT: Duration = Duration::from_millis(100);
/// Pause after an error that says nothing about a packet: no memory, no socket.
const AFTER_ERROR: Duration = Duration::from_millis(10);

/// What all threads share.
pub struct Shared {
    /// What the operator has set.
    pub settings: Settings,
    /// The zones served.
    pub zones: ArcSwap<Zones>,
    /// Samples of what is asked.
    pub samples: Samples,
    /// Queries for the Python path.
    pub queue: Queue<Handed>,
    /// Written to when there are any.
    pub bell: OwnedFd,
    /// Set to end all threads.
    pub stop: AtomicBool,
}

/// A query for the Python path, and the way back.
pub struct Handed {
    /// The message.
    pub wire: Vec<u8>,
    socket: Arc<OwnedFd>,
    client: sockaddr_storage,
    client_size: socklen_t,
    control: Vec<u8>,
}

/// The address of a client: 4 or 16 octets.
#[must_use]
pub fn address(client: &sockaddr_storage) -> &[u8] {
    match c_int::from(client.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says which structure it is; a sockaddr_storage is large enough and aligned for either.
            let client = unsafe { &*ptr::from_ref(client).cast::<libc::sockaddr_in>() };
            bytemuck::bytes_of(&client.sin_addr.s_addr)
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let client = unsafe { &*ptr::from_ref(client).cast::<libc::sockaddr_in6>() };
            &client.sin6_addr.s6_addr
        }
        _ => &[],
    }
}

impl Handed {
    /// Who asked.
    #[must_use]
    pub fn client(&self) -> &[u8] {
        address(&self.client)
    }

    /// Send the reply from where the query arrived; false where the system does not take it.
    #[must_use]
    pub fn send(&self, reply: &[u8]) -> bool {
        let mut part = iovec { iov_base: reply.as_ptr().cast_mut().cast(), iov_len: reply.len() };
        // SAFETY: all zero is a valid msghdr, with nothing in it.
        let mut message: msghdr = unsafe { zeroed() };
        message.msg_name = ptr::from_ref(&self.client).cast_mut().cast();
        message.msg_namelen = self.client_size;
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        if !self.control.is_empty() {
            message.msg_control = self.control.as_ptr().cast_mut().cast();
            message.msg_controllen = self.control.len();
        }
        // SAFETY: every pointer in the message is to memory that lives until the call is over, which only reads it.
        unsafe { libc::sendmsg(self.socket.as_raw_fd(), &raw const message, libc::MSG_DONTWAIT) >= 0 }
    }
}

/// Make a socket ready for a thread. `wildcard`: it is bound to all addresses.
///
/// # Errors
/// What the system says.
pub fn prepare(socket: RawFd, wildcard: bool, ip6: bool) -> io::Result<()> {
    // SAFETY: fcntl with these commands takes and gives numbers only.
    let flags = unsafe { libc::fcntl(socket, libc::F_GETFL) };
    // SAFETY: as above.
    if flags < 0 || unsafe { libc::fcntl(socket, libc::F_SETFL, flags & !libc::O_NONBLOCK) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let wait = libc::timeval { tv_sec: 0, tv_usec: WAIT.subsec_micros().into() };
    set_option(socket, libc::SOL_SOCKET, libc::SO_RCVTIMEO, &wait)?;
    let on: c_int = 1;
    match (wildcard, ip6) {
        (false, _) => Ok(()),
        (true, false) => set_option(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, &on),
        (true, true) => set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, &on),
    }
}

fn set_option<T>(socket: RawFd, level: c_int, option: c_int, value: &T) -> io::Result<()> {
    let size = socklen_t::try_from(size_of::<T>()).unwrap_or(0);
    // SAFETY: the value lives until the call is over, and its size is said.
    let done = unsafe { libc::setsockopt(socket, level, option, ptr::from_ref(value).cast(), size) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Octets that are as aligned as a cmsghdr wants.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL]);

/// The memory that one batch of packets goes through: all pointers in `headers` are into the other fields, which are
/// allocated once and never move.
struct Batch {
    buffers: Vec<u8>,
    clients: Vec<sockaddr_storage>,
    controls: Vec<Control>,
    parts: Vec<iovec>,
    headers: Vec<mmsghdr>,
    replies: Vec<mmsghdr>,
    wildcard: bool,
}

impl Batch {
    fn new(wildcard: bool) -> Self {
        // SAFETY: all zero is a valid value of these plain structures.
        let (client, header): (sockaddr_storage, mmsghdr) = unsafe { (zeroed(), zeroed()) };
        let part = iovec { iov_base: ptr::null_mut(), iov_len: 0 };
        let mut made = Self {
            buffers: vec![0; BATCH * STRIDE],
            clients: vec![client; BATCH],
            controls: vec![Control([0; CONTROL]); BATCH],
            parts: vec![part; BATCH],
            headers: vec![header; BATCH],
            replies: vec![header; BATCH],
            wildcard,
        };
        made.renew(BATCH);
        made
    }

    /// Let the first `used` places take packets again. Pointers are those of the vectors themselves, which stay valid
    /// beside the references that are made to what they hold.
    fn renew(&mut self, used: usize) {
        let (buffers, parts) = (self.buffers.as_mut_ptr(), self.parts.as_mut_ptr());
        let (clients, controls) = (self.clients.as_mut_ptr(), self.controls.as_mut_ptr());
        for place in 0..used.min(BATCH) {
            let base = buffers.wrapping_add(place * STRIDE).cast();
            self.parts[place] = iovec { iov_base: base, iov_len: MAX_DATAGRAM };
            let header = &mut self.headers[place].msg_hdr;
            header.msg_name = clients.wrapping_add(place).cast();
            header.msg_namelen = socklen_t::try_from(size_of::<sockaddr_storage>()).unwrap_or(0);
            header.msg_iov = parts.wrapping_add(place);
            header.msg_iovlen = 1;
            if self.wildcard {
                header.msg_control = controls.wrapping_add(place).cast();
                header.msg_controllen = CONTROL;
            }
            header.msg_flags = 0;
        }
    }

    /// Wait for packets; gives how many came.
    fn receive(&mut self, socket: RawFd) -> io::Result<usize> {
        // SAFETY: BATCH headers, each with pointers to memory of ours of the sizes said, and nobody else uses it.
        let came = unsafe {
            libc::recvmmsg(socket, self.headers.as_mut_ptr(), BATCH_COUNT, libc::MSG_WAITFORONE, ptr::null_mut())
        };
        usize::try_from(came).map_err(|_| io::Error::last_os_error())
    }

    /// The message that lies in a place.
    fn message(&self, place: usize) -> &[u8] {
        let size = (self.headers[place].msg_len as usize).min(MAX_DATAGRAM);
        &self.buffers[place * STRIDE..][..size]
    }

    /// Put the reply that lies in a place in line to be sent.
    fn answer(&mut self, place: usize, size: usize, waiting: usize) {
        self.parts[place].iov_len = size;
        if self.wildcard {
            let kept = from_there(&mut self.controls[place].0, &self.headers[place].msg_hdr);
            self.headers[place].msg_hdr.msg_controllen = kept;
        }
        self.replies[waiting] = self.headers[place];
    }

    /// Send the first `waiting` replies; gives how many the system did not take.
    fn send(&mut self, socket: RawFd, waiting: usize) -> u64 {
        let (mut at, mut dropped) = (0, 0);
        while at < waiting {
            let rest = &mut self.replies[at..waiting];
            let count = c_uint::try_from(rest.len()).unwrap_or(BATCH_COUNT);
            // SAFETY: as many headers as said, with pointers to memory of ours that lives until the call is over.
            let sent = unsafe { libc::sendmmsg(socket, rest.as_mut_ptr(), count, libc::MSG_DONTWAIT) };
            match usize::try_from(sent) {
                Ok(sent) if sent > 0 => at += sent,
                _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                _ => {
                    // The first one: a full buffer, or a forged address that nothing can be sent to.
                    at += 1;
                    dropped += 1;
                }
            }
        }
        dropped
    }
}

/// Make ancillary data that came with a packet say where its reply leaves from; gives its size. The interface is left to
/// the routing table, but for IPv6, where a link-local address means nothing without it.
fn from_there(control: &mut [u8; CONTROL], header: &msghdr) -> usize {
    let size = header.msg_controllen.min(CONTROL);
    let start = size_of::<cmsghdr>(); // 16 octets, so that the data is aligned
    let mut at = 0; // a socket that came bound may have been told to say other things first, or after
    while size.saturating_sub(at) >= start {
        // SAFETY: sixteen octets are there, and any octets are a cmsghdr.
        let one: cmsghdr = unsafe { ptr::read_unaligned(control[at..].as_ptr().cast()) };
        if one.cmsg_len < start || one.cmsg_len > size - at {
            return 0;
        }
        let data = one.cmsg_len - start;
        let wanted = match (one.cmsg_level, one.cmsg_type) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => 12,
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => 20,
            _ => usize::MAX,
        };
        if data == wanted {
            control.copy_within(at..at + one.cmsg_len, 0);
            let data = &mut control[start..];
            if wanted == 12 {
                data[..4].fill(0); // the interface
                data[8..12].fill(0); // what the header said
            } else if data[..2] != [0xFE, 0x80] {
                data[16..20].fill(0);
            }
            return one.cmsg_len; // and nothing else: the system refuses to send some of what it tells
        }
        at += one.cmsg_len.next_multiple_of(size_of::<usize>());
    }
    0
}

/// One thread's loop.
pub struct Loop {
    /// What it shares with others.
    pub shared: Arc<Shared>,
    /// Its socket, made ready by `prepare`; threads may share one.
    pub socket: Arc<OwnedFd>,
    /// The socket is bound to all addresses.
    pub wildcard: bool,
    /// Where it counts; nobody else does.
    pub tally: Arc<Tally>,
}

/// What is left to do with a message.
pub enum Next {
    /// Send the reply of so many octets.
    Send(usize),
    /// Hand it to the Python path.
    HandOver,
    /// Be silent.
    Nothing,
}

impl Loop {
    /// Answer until told to stop.
    pub fn run(&self) {
        block_signals();
        let mut batch = Batch::new(self.wildcard);
        let mut scratch = Scratch::default();
        let mut sampler = Sampler::default();
        while !self.shared.stop.load(Ordering::Relaxed) {
            match batch.receive(self.socket.as_raw_fd()) {
                Ok(came) => {
                    sampler.look(&self.shared.samples);
                    self.turn(&mut batch, came, &mut scratch, &mut sampler);
                    batch.renew(came);
                }
                Err(error) => match error.kind() {
                    // Nothing came, a signal, or an ICMP error about an earlier reply.
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::ConnectionRefused => {}
                    _ => std::thread::sleep(AFTER_ERROR),
                },
            }
        }
    }

    /// Answer the packets that came.
    fn turn(&self, batch: &mut Batch, came: usize, scratch: &mut Scratch, sampler: &mut Sampler) {
        let zones = self.shared.zones.load();
        let now = seconds();
        let glance = || Glance::at(&zones, (0..came).map(|place| batch.message(place))).touch();
        let _ = catch_unwind(AssertUnwindSafe(glance)); // it only makes things faster: what failed in it fails again below
        let mut waiting = 0;
        for place in 0..came {
            let size = batch.headers[place].msg_len as usize;
            let (buffer, client) = (&mut batch.buffers[place * STRIDE..][..MAX_DATAGRAM], &batch.clients[place]);
            let asked = Asked { client: address(client), now, tcp: false };
            let outcome =
                catch_unwind(AssertUnwindSafe(|| reply(&self.shared.settings, &zones, scratch, buffer, size, asked)));
            let Ok(outcome) = outcome else {
                self.tally.event(Event::Failed, 1);
                *scratch = Scratch::default(); // nobody knows what it was in the midst of
                continue;
            };
            if let Outcome::Reply(reply) = &outcome {
                sampler.count(&self.shared.samples, |weight| sample(reply, weight, asked.client, scratch));
            }
            match count(&self.tally, &outcome) {
                Next::Send(size) => {
                    batch.answer(place, size, waiting);
                    waiting += 1;
                }
                Next::HandOver => self.hand_over(batch, place),
                Next::Nothing => {}
            }
        }
        self.tally.batch(came);
        let dropped = batch.send(self.socket.as_raw_fd(), waiting);
        self.tally.event(Event::Dropped, dropped);
    }

    fn hand_over(&self, batch: &mut Batch, place: usize) {
        let header = &batch.headers[place].msg_hdr;
        let kept = if self.wildcard { from_there(&mut batch.controls[place].0, header) } else { 0 };
        let handed = || Handed {
            wire: batch.message(place).to_vec(),
            socket: Arc::clone(&self.socket),
            client: batch.clients[place],
            client_size: header.msg_namelen,
            control: batch.controls[place].0[..kept].to_vec(),
        };
        if self.shared.queue.put(handed) {
            self.tally.event(Event::Handed, 1);
            self.ring();
        } else {
            self.tally.event(Event::Overflowed, 1);
        }
    }

    fn ring(&self) {
        let one = 1u64;
        // SAFETY: the eight octets live until the call is over. It fails only where the bell rings already.
        let _ = unsafe { libc::write(self.shared.bell.as_raw_fd(), (&raw const one).cast::<c_void>(), 8) };
    }
}

/// Count what became of a message.
pub fn count(tally: &Tally, outcome: &Outcome) -> Next {
    match outcome {
        Outcome::Short => tally.event(Event::Malformed, 1),
        Outcome::Silent => tally.event(Event::Silent, 1),
        Outcome::HandOver => return Next::HandOver,
        Outcome::Limited(reply) => {
            tally.event(Event::Limited, 1);
            count_asked(tally, reply);
        }
        Outcome::Reply(reply) => {
            count_reply(tally, reply);
            return Next::Send(reply.size);
        }
    }
    Next::Nothing
}

fn count_reply(tally: &Tally, reply: &Reply) {
    tally.reply(reply.slot, reply.qtype, reply.rcode);
    if reply.rcode == rcode::FORMERR {
        tally.event(Event::Malformed, 1);
    }
    if reply.truncated {
        tally.event(Event::Truncated, 1);
    }
    if reply.slipped {
        tally.event(Event::Limited, 1);
        tally.event(Event::Slipped, 1);
    }
    count_asked(tally, reply);
}

/// What is counted of a query, whether it gets a reply or not.
fn count_asked(tally: &Tally, reply: &Reply) {
    if reply.admitted.keyed {
        tally.event(Event::Keyed, 1);
    }
    match reply.admitted.why {
        None => {}
        Some(Reason::Quota) => tally.event(Event::OverQuota, 1),
        Some(_) => tally.event(Event::Denied, 1),
    }
    if let Some(worth) = reply.cookie {
        let event = match worth {
            Worth::None => Event::CookieNew,
            Worth::Invalid => Event::CookieInvalid,
            Worth::Valid => Event::CookieValid,
        };
        tally.event(event, 1);
    }
}

/// A sample of a query just answered.
#[must_use]
pub fn sample(reply: &Reply, weight: u64, client: &[u8], scratch: &Scratch) -> Sample {
    let (client, name) = (client.to_vec(), scratch.name().to_vec());
    Sample { weight, client, name, qtype: reply.qtype, rcode: reply.rcode, slot: reply.slot }
}

#[allow(clippy::cast_possible_truncation)] // RFC 9018 section 4.3: 32 bits, which go round
fn seconds() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs() as u32)
}

/// Signals are for the threads that know what to do with them.
fn block_signals() {
    // SAFETY: the set is filled before it is used, and only this thread's mask changes.
    unsafe {
        let mut all: libc::sigset_t = zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, ptr::null_mut());
    }
}
