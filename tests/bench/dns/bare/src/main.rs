//! The bare loop: receive up to 64 datagrams, set QR in each, send them back. Nothing else.
//!
//!     bare PORT

use std::net::UdpSocket;
use std::os::fd::AsRawFd;

const BATCH: usize = 64;
const SIZE: usize = 4096;
const QR: u8 = 0x80;

fn main() {
    let port: u16 = std::env::args().nth(1).and_then(|text| text.parse().ok()).expect("bare PORT");
    let socket = UdpSocket::bind(("127.0.0.1", port)).expect("bind");
    let fd = socket.as_raw_fd();
    let mut buffers = vec![[0u8; SIZE]; BATCH];
    let mut clients: Vec<libc::sockaddr_in> = vec![unsafe { std::mem::zeroed() }; BATCH];
    let mut parts: Vec<libc::iovec> = vec![unsafe { std::mem::zeroed() }; BATCH];
    let mut messages: Vec<libc::mmsghdr> = vec![unsafe { std::mem::zeroed() }; BATCH];
    for at in 0..BATCH {
        parts[at].iov_base = buffers[at].as_mut_ptr().cast();
        messages[at].msg_hdr.msg_name = (&mut clients[at] as *mut libc::sockaddr_in).cast();
        messages[at].msg_hdr.msg_iov = &mut parts[at];
        messages[at].msg_hdr.msg_iovlen = 1;
    }
    loop {
        for at in 0..BATCH {
            parts[at].iov_len = SIZE;
            messages[at].msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
        }
        // SAFETY: every header points at a buffer and an address of its own that live as long as the loop.
        let got = unsafe {
            libc::recvmmsg(fd, messages.as_mut_ptr(), BATCH as u32, libc::MSG_WAITFORONE, std::ptr::null_mut())
        };
        for at in 0..got.max(0) as usize {
            buffers[at][2] |= QR;
            parts[at].iov_len = messages[at].msg_len as usize;
        }
        let mut sent = 0;
        while sent < got {
            let more = unsafe { libc::sendmmsg(fd, messages.as_mut_ptr().add(sent as usize), (got - sent) as u32, 0) };
            sent += more.max(1); // one that cannot be sent is left out
        }
    }
}
