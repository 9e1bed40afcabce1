//! What the load generators share: queries as messages, and receiving many replies with one call.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// Octets of a message's header (RFC 1035 section 4.1.1).
pub const HEADER: usize = 12;
/// Replies taken with one call.
pub const BATCH: usize = 64;
const SIZE: usize = 1500;
const RECEIVE_BUFFER: libc::c_int = 16 << 20;
const OPT: [u8; 11] = [0, 0, 41, 0x04, 0xD0, 0, 0, 0, 0, 0, 0]; // RFC 6891 section 6.1.2: 1232 octets, no options

/// A line of dnsperf's format (`NAME TYPE`) as a message with id zero.
pub fn query(line: &str, edns: bool) -> Vec<u8> {
    let (name, kind) = line.split_once(' ').expect("NAME TYPE");
    let mut wire = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, edns as u8];
    for label in name.split('.') {
        wire.push(label.len() as u8);
        wire.extend_from_slice(label.as_bytes());
    }
    let number = match kind {
        "A" => 1,
        "TXT" => 16,
        other => panic!("no such type here: {other}"),
    };
    wire.extend_from_slice(&[0, 0, number, 0, 1]);
    if edns {
        wire.extend_from_slice(&OPT);
    }
    wire
}

/// A socket to that port of 127.0.0.1 that never waits, its receive buffer so large that no reply is lost here.
pub fn client(port: u16) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
    socket.connect(("127.0.0.1", port)).expect("connect");
    socket.set_nonblocking(true).expect("nonblocking");
    for option in [libc::SO_RCVBUF, libc::SO_RCVBUFFORCE] {
        // SAFETY: the option's value is an int, and lives through the call. The second needs root, and may fail.
        unsafe {
            libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, (&RECEIVE_BUFFER as *const i32).cast(), 4)
        };
    }
    socket
}

/// Buffers for a batch of replies.
pub struct Receiver {
    buffers: Vec<[u8; SIZE]>,
    messages: Vec<libc::mmsghdr>,
    _parts: Vec<libc::iovec>, // what the messages point at
}

impl Default for Receiver {
    fn default() -> Self {
        Self::new()
    }
}

impl Receiver {
    pub fn new() -> Self {
        let mut buffers = vec![[0u8; SIZE]; BATCH];
        let mut parts: Vec<libc::iovec> = buffers
            .iter_mut()
            .map(|buffer| libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: SIZE })
            .collect();
        // SAFETY: all zeros is a message without address, data or control.
        let mut messages: Vec<libc::mmsghdr> = vec![unsafe { std::mem::zeroed() }; BATCH];
        for (message, part) in messages.iter_mut().zip(&mut parts) {
            message.msg_hdr.msg_iov = part;
            message.msg_hdr.msg_iovlen = 1;
        }
        Receiver { buffers, messages, _parts: parts }
    }

    /// The replies that are there; none is waited for.
    pub fn receive(&mut self, socket: &UdpSocket) -> impl Iterator<Item = &[u8]> {
        // SAFETY: every message points at a part, and every part at a buffer, that live as long as the receiver.
        let got = unsafe {
            let messages = self.messages.as_mut_ptr();
            libc::recvmmsg(socket.as_raw_fd(), messages, BATCH as u32, libc::MSG_DONTWAIT, std::ptr::null_mut())
        };
        let sizes = self.messages.iter().map(|message| message.msg_len as usize);
        self.buffers.iter().zip(sizes).take(got.max(0) as usize).map(|(buffer, size)| &buffer[..size])
    }
}
