//! The answer path for the queries that come a million times, and the loops that carry them.
//!
//! How a packet goes through:
//!
//! ```text
//! udp       OS threads: packets in by the batch, replies out by the batch
//! message   untrusted bytes become a query or an error; a reply is laid over the query it answers
//! glance    what the answers to a batch will read, read at once
//! answer    the ladder from query to reply: one function for every loop
//! access    who is answered: networks, keys (`keys`), quotas (`usage`); limiter: how often over UDP
//! zone      what a name of a zone stands for, and its packed records
//! snapshot  a zone's listings: a checked file in memory, asked in a few cache lines
//! cookies   server cookies (RFC 9018)
//! counters  what was asked and what became of it
//! watch     samples of queries, and the queue of those that Python answers
//! ```
//!
//! Python decides and packs, this answers: records come packed by the Python path, which is the reference and gives the
//! same bytes. What is not answered here is handed to it.

#[cfg(target_endian = "big")]
compile_error!("snapshot files are little-endian, and read in place");

pub mod access;
pub mod answer;
pub mod cookies;
pub mod counters;
pub mod glance;
pub mod keys;
pub mod limiter;
pub mod memory;
pub mod message;
pub mod networks;
pub mod snapshot;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(target_os = "linux")]
pub mod udp;
pub mod usage;
pub mod watch;
pub mod zone;

#[cfg(feature = "python")]
mod python;
