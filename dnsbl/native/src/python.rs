//! The Python module: objects that Python makes and holds, and the threads they run. What is said of each argument and
//! of each result is in `_native.pyi`.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::access::{KeyUse, Rules};
use crate::answer::{reply, Asked, Outcome, Scratch, Settings};
use crate::cookies::Cookies;
use crate::counters::{Event, Tally, BATCHES, EVENTS, MAX_ZONES, RCODES, TYPES};
use crate::keys::{Key, Keys, DIGEST};
use crate::limiter::{Limiter, Rate};
use crate::memory::Memory;
use crate::message::MAX_TCP;
use crate::networks::{Networks, Share};
use crate::udp::{count, prepare, sample, Handed, Loop, Next, Shared};
use crate::watch::{Queue, Sampler, Samples};
use crate::zone::{Kind, RecordSet, Table, Zone, Zones};

const MAX_PLACES: usize = 1 << 16; // zones whose usage is counted apart: their numbers have 16 bits
const MAX_PANICS_SAID: u32 = 10; // then they are only counted: a stranger may know how to cause one

#[pyclass(name = "Snapshot", frozen)]
struct PySnapshot(Arc<crate::snapshot::Snapshot>);

#[pymethods]
impl PySnapshot {
    #[new]
    #[allow(clippy::needless_pass_by_value)]
    fn new(py: Python, path: PathBuf) -> PyResult<Self> {
        let made = py.detach(|| {
            let memory = Memory::read(&path)?;
            Ok::<_, io::Error>(crate::snapshot::Snapshot::new(memory))
        })?;
        made.map(|snapshot| Self(Arc::new(snapshot))).map_err(|why| PyValueError::new_err(why.to_string()))
    }

    #[allow(clippy::needless_pass_by_value)]
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: std::os::raw::c_int,
    ) -> PyResult<()> {
        let bytes = slf.get().0.bytes();
        let size = ffi::Py_ssize_t::try_from(bytes.len())?;
        // SAFETY: the bytes never change and live as long as the object, which the view keeps; it is read-only.
        let done =
            unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), bytes.as_ptr().cast_mut().cast(), size, 1, flags) };
        if done < 0 {
            return Err(PyErr::fetch(slf.py()));
        }
        Ok(())
    }
}

#[pyclass(name = "Zone", frozen)]
struct PyZone(Arc<Zone>);

#[pyclass(name = "Handed", frozen)]
struct PyHanded(Handed);

#[pymethods]
impl PyHanded {
    #[getter]
    fn wire<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.wire)
    }

    #[getter]
    fn client(&self) -> String {
        text(self.0.client())
    }

    fn send(&self, reply: &[u8]) -> bool {
        self.0.send(reply)
    }
}

/// What Python's thread writes: replies over TCP, and space for them.
struct Own {
    scratch: Scratch,
    buffer: Vec<u8>,
    sampler: Sampler,
    fetched: u64, // replies, of all threads, when samples were last fetched
}

#[pyclass(name = "Server", frozen)]
struct PyServer {
    shared: Arc<Shared>,
    own: Mutex<Own>,
    tcp: Arc<Tally>,
    udp: Mutex<Vec<Arc<Tally>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    slots: Mutex<Vec<String>>,
    places: Mutex<Vec<String>>, // zones that do not answer everybody
    retired: Mutex<Vec<Arc<Zones>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type Codes = Vec<Vec<u8>>;
type Ranges = (Vec<(u32, u32)>, Vec<(u128, u128)>);
type Packed = (u16, Vec<u8>);

fn networks((v4, v6): Ranges) -> Networks {
    Networks { v4, v6 }
}

/// A zone's access, as Python says it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Access {
    networks: Option<Ranges>,
    refuse: Ranges,
    public: Ranges,
    keys: String,
    quota: u64,
    free: bool,
    tests: Vec<Vec<u8>>,
    denials: Vec<(Packed, Packed)>,
}

impl Access {
    fn ready(self, place: usize) -> PyResult<Rules> {
        let set = |(count, bytes): Packed| RecordSet { count, bytes: bytes.into() };
        Ok(Rules {
            place,
            networks: self.networks.map(networks),
            refuse: networks(self.refuse),
            public: networks(self.public),
            keys: KeyUse::of(&self.keys).ok_or_else(|| PyValueError::new_err("an unknown use of keys"))?,
            quota: self.quota,
            free: self.free,
            tests: self.tests.into_iter().map(Vec::into_boxed_slice).collect(),
            denials: self.denials.into_iter().map(|(address, text)| [set(address), set(text)]).collect(),
        })
    }
}

/// A key, as Python says it: number, digest, zones, queries a day, end.
type KeyRow = (u64, [u8; DIGEST], Vec<String>, u64, u64);

#[pymethods]
impl PyServer {
    #[new]
    #[allow(clippy::needless_pass_by_value)]
    #[pyo3(signature = (udp_size, identity, secrets, rate = (0, 0, 0), exempt = (vec![], vec![])))]
    fn new(
        udp_size: u16, identity: Vec<u8>, secrets: Vec<[u8; 16]>, rate: (u16, u8, u16), exempt: Ranges,
    ) -> PyResult<Self> {
        let (responses, slip, window) = rate;
        let rate = Rate { responses, slip, window, exempt: networks(exempt) };
        let limiter = (responses > 0).then(|| Limiter::new(rate));
        // SAFETY: eventfd takes numbers and gives a descriptor or an error.
        let bell = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if bell < 0 {
            return Err(io::Error::last_os_error().into());
        }
        let shared = Shared {
            settings: Settings::new(udp_size, identity, Cookies::new(&secrets), limiter),
            zones: ArcSwap::default(),
            samples: Samples::default(),
            queue: Queue::default(),
            // SAFETY: it was just opened, and nobody else has it.
            bell: unsafe { OwnedFd::from_raw_fd(bell) },
            stop: AtomicBool::new(false),
        };
        Ok(Self {
            shared: Arc::new(shared),
            own: Mutex::new(Own {
                scratch: Scratch::default(),
                buffer: vec![0; MAX_TCP],
                sampler: Sampler::default(),
                fetched: 0,
            }),
            tcp: Arc::default(),
            udp: Mutex::default(),
            threads: Mutex::default(),
            slots: Mutex::new(vec![String::new()]),
            places: Mutex::default(),
            retired: Mutex::default(),
        })
    }

    #[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)]
    #[pyo3(signature = (*, name, kind, origin, soa, apex, ttl, records, texts, answers, sublists, base, delta,
        access = None, hosts = vec![], expired = false))]
    fn zone(
        &self, name: &str, kind: &str, origin: Vec<u8>, soa: Vec<u8>, apex: Vec<(u16, u16, Vec<u8>)>, ttl: u32,
        records: Vec<Vec<u8>>, texts: Vec<Vec<Vec<u8>>>, answers: Codes, sublists: Vec<(Vec<u8>, Codes)>,
        base: &PySnapshot, delta: Option<&PySnapshot>, access: Option<Access>, hosts: Vec<(Vec<u8>, Packed)>,
        expired: bool,
    ) -> PyResult<PyZone> {
        let boxed = |codes: Codes| codes.into_iter().map(Vec::into_boxed_slice).collect::<Vec<_>>();
        let table = |codes: Codes| Table::new(boxed(codes), &records).map_err(PyValueError::new_err);
        let mut tables = vec![table(answers)?];
        let mut labels = Vec::new();
        for (label, codes) in sublists {
            tables.push(table(codes)?);
            labels.push(label.into_boxed_slice());
        }
        let apex = apex.into_iter().map(|(rtype, count, bytes)| (rtype, RecordSet { count, bytes: bytes.into() }));
        Ok(PyZone(Arc::new(Zone {
            slot: self.slot(name),
            depth: depth(&origin)?,
            origin: origin.into(),
            kind: Kind::of(kind).ok_or_else(|| PyValueError::new_err("a zone of an unknown kind"))?,
            soa: soa.into(),
            apex: apex.collect(),
            ttl,
            texts: texts.into_iter().map(boxed).collect(),
            tables,
            sublists: labels,
            base: Arc::clone(&base.0),
            delta: delta.map(|delta| Arc::clone(&delta.0)),
            expired,
            access: access.map(|access| access.ready(self.place(name))).transpose()?,
            hosts: hosts
                .into_iter()
                .map(|(label, (count, bytes))| (label.into(), RecordSet { count, bytes: bytes.into() }))
                .collect(),
        })))
    }

    #[allow(clippy::needless_pass_by_value)]
    #[pyo3(signature = (zones, elsewhere = vec![]))]
    fn replace(&self, py: Python, zones: Vec<Py<PyZone>>, elsewhere: Vec<Vec<u8>>) {
        let zones: Vec<_> = zones.iter().map(|zone| Arc::clone(&zone.bind(py).get().0)).collect();
        py.detach(|| {
            let mut retired = locked(&self.retired);
            let generation = self.shared.zones.load().generation + 1;
            let elsewhere = elsewhere.into_iter().map(Vec::into_boxed_slice).collect();
            let mut zones = Zones::new(zones, generation);
            zones.elsewhere = elsewhere;
            retired.push(self.shared.zones.swap(Arc::new(zones)));
            // Given back here, not by the thread that happens to hold one last: it has packets to answer.
            retired.retain(|zones| Arc::strong_count(zones) > 1);
        });
    }

    #[allow(clippy::needless_pass_by_value)]
    fn keys(&self, py: Python, rows: Vec<KeyRow>) {
        py.detach(|| {
            let rows = rows.into_iter().map(|(id, digest, zones, queries, expires)| {
                let places = zones.iter().map(|zone| self.place(zone)).collect();
                (digest, Key { id, places, queries, expires, asked: Arc::default() })
            });
            let rows = rows.collect();
            let before = self.shared.settings.keys.load_full();
            let places = locked(&self.places).len();
            self.shared.settings.replace_keys(Arc::new(Keys::new(rows, places, before.as_deref())));
        });
    }

    #[allow(clippy::needless_pass_by_value)]
    fn seed(&self, day: u64, spent: std::collections::HashMap<u64, u64>, networks: Vec<(String, Vec<u8>, u32)>) {
        if let Some(keys) = self.shared.settings.keys.load_full() {
            for key in keys.iter() {
                if let Some(spent) = spent.get(&key.id) {
                    key.asked.seed(day, *spent);
                }
            }
        }
        for (zone, network, queries) in networks {
            if let Some(network) = Share::of(&network) {
                self.shared.settings.counts.seed(self.place(&zone), network, day, queries);
            }
        }
    }

    fn key_usage(&self) -> Vec<(u64, String, u64, u64)> {
        let Some(keys) = self.shared.settings.keys.load_full() else {
            return Vec::new();
        };
        let places = locked(&self.places);
        let name = |place: usize| places.get(place).cloned().unwrap_or_default();
        keys.iter()
            .flat_map(|key| key.asked.take().map(|(place, queries, refused)| (key.id, name(place), queries, refused)))
            .collect()
    }

    fn network_usage(&self, day: u64, most: usize) -> Vec<(String, Vec<u8>, u64)> {
        let found = self.shared.settings.counts.top(day, most);
        let places = locked(&self.places);
        let name = |place: usize| places.get(place).cloned().unwrap_or_default();
        found.into_iter().map(|(place, network, queries)| (name(place), network.octets(), queries)).collect()
    }

    fn reply(&self, py: Python, wire: &[u8], client: &str, tcp: bool, now: u32) -> PyResult<Py<PyAny>> {
        let octets = client.parse().map(octets).unwrap_or_default();
        let asked = Asked { client: &octets, now, tcp };
        let mut own = locked(&self.own);
        let Own { scratch, buffer, sampler, .. } = &mut *own;
        let Some(place) = buffer.get_mut(..wire.len()) else {
            return Err(PyValueError::new_err("longer than a message can be"));
        };
        place.copy_from_slice(wire);
        let zones = self.shared.zones.load();
        let outcome =
            catch_unwind(AssertUnwindSafe(|| reply(&self.shared.settings, &zones, scratch, buffer, wire.len(), asked)));
        let Ok(outcome) = outcome else {
            *scratch = Scratch::default();
            return Err(PyRuntimeError::new_err("the native path failed"));
        };
        if let Outcome::Reply(reply) = &outcome {
            sampler.look(&self.shared.samples);
            sampler.count(&self.shared.samples, |weight| sample(reply, weight, &octets, scratch));
        }
        Ok(match count(&self.tcp, &outcome) {
            Next::Send(size) => PyBytes::new(py, &buffer[..size]).into_any().unbind(),
            Next::HandOver => py.NotImplemented(),
            Next::Nothing => py.None(),
        })
    }

    fn serve(&self, socket: RawFd, wildcard: bool, ip6: bool, threads: usize) -> PyResult<()> {
        if self.shared.stop.load(Ordering::Relaxed) {
            return Err(PyRuntimeError::new_err("it was stopped; make another"));
        }
        // SAFETY: dup takes a number and gives a descriptor that is ours, or an error.
        let copy = unsafe { libc::fcntl(socket, libc::F_DUPFD_CLOEXEC, 0) };
        if copy < 0 {
            return Err(io::Error::last_os_error().into());
        }
        // SAFETY: it was just made, and nobody else has it.
        let socket = Arc::new(unsafe { OwnedFd::from_raw_fd(copy) });
        prepare(socket.as_raw_fd(), wildcard, ip6)?;
        for _ in 0..threads {
            let (shared, tally) = (Arc::clone(&self.shared), Arc::<Tally>::default());
            locked(&self.udp).push(Arc::clone(&tally));
            let work = Loop { shared, socket: Arc::clone(&socket), wildcard, tally };
            let thread = std::thread::Builder::new().name("dns-udp".into()).spawn(move || {
                // What fails outside of a packet costs one turn, not the thread.
                while catch_unwind(AssertUnwindSafe(|| work.run())).is_err() {
                    work.tally.event(Event::Failed, 1);
                }
            })?;
            locked(&self.threads).push(thread);
        }
        Ok(())
    }

    fn stop(&self, py: Python) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let threads = std::mem::take(&mut *locked(&self.threads));
        py.detach(|| threads.into_iter().for_each(|thread| drop(thread.join())));
        while self.shared.queue.take(usize::MAX).1 {} // each query there holds its socket open
    }

    fn fileno(&self) -> RawFd {
        self.shared.bell.as_raw_fd()
    }

    fn take(&self, most: usize) -> (Vec<PyHanded>, bool) {
        let mut rung = 0u64;
        // SAFETY: eight octets of ours are written. It fails only where the bell did not ring.
        let _ = unsafe { libc::read(self.fileno(), (&raw mut rung).cast(), 8) };
        let (handed, more) = self.shared.queue.take(most);
        (handed.into_iter().map(PyHanded).collect(), more)
    }

    fn samples(&self, wanted: u64) -> Vec<(u64, String, Vec<u8>, u16, u16, String)> {
        let tallies = locked(&self.udp);
        let replies = |tally: &Arc<Tally>| tally.replies().map(|(_, _, _, count)| count).sum::<u64>();
        let all = tallies.iter().chain([&self.tcp]).map(replies).sum::<u64>();
        drop(tallies);
        let before = std::mem::replace(&mut locked(&self.own).fetched, all);
        let taken = self.shared.samples.fetch(all.saturating_sub(before), wanted);
        let slots = locked(&self.slots);
        let name = |slot: usize| slots.get(slot).cloned().unwrap_or_default();
        taken
            .into_iter()
            .map(|one| (one.weight, text(&one.client), one.name, one.qtype, one.rcode, name(one.slot)))
            .collect()
    }

    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        locked(&self.retired).retain(|zones| Arc::strong_count(zones) > 1);
        let udp = locked(&self.udp);
        let tallies: Vec<_> = udp.iter().map(|tally| ("udp", tally)).chain([("tcp", &self.tcp)]).collect();
        let slots = locked(&self.slots);
        let mut rows = Vec::new();
        let mut batches = [0; BATCHES];
        for (transport, tally) in &tallies {
            for (zone, kind, code, count) in tally.replies() {
                let zone = slots.get(zone).map_or("", String::as_str);
                rows.push((zone.to_owned(), TYPES.get(kind).copied(), RCODES[code], *transport, count));
            }
            for (sum, number) in batches.iter_mut().zip(tally.batches()) {
                *sum += number;
            }
        }
        let counted = PyDict::new(py);
        counted.set_item("replies", rows)?;
        counted.set_item("batches", batches.to_vec())?;
        for (name, event) in EVENTS {
            counted.set_item(name, tallies.iter().map(|(_, tally)| tally.events(event)).sum::<u64>())?;
        }
        Ok(counted)
    }
}

impl PyServer {
    /// Where the usage of a zone of this name is counted, now and whenever it comes again.
    fn place(&self, name: &str) -> usize {
        let mut places = locked(&self.places);
        if let Some(known) = places.iter().position(|known| known == name) {
            return known;
        }
        if places.len() < MAX_PLACES {
            places.push(name.to_owned());
        }
        places.len() - 1
    }

    /// Where a zone of this name is counted, now and whenever it comes again.
    fn slot(&self, name: &str) -> usize {
        let mut slots = locked(&self.slots);
        if let Some(known) = slots.iter().position(|known| known == name) {
            return known;
        }
        if slots.len() < MAX_ZONES {
            slots.push(name.to_owned());
        }
        slots.len() - 1
    }
}

impl Drop for PyServer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

/// How many labels a name on the wire has.
fn depth(origin: &[u8]) -> PyResult<usize> {
    let (mut at, mut labels) = (0, 0);
    loop {
        match origin.get(at) {
            Some(0) if at + 1 == origin.len() && labels > 0 => return Ok(labels),
            Some(&length) if length > 0 => {
                at += 1 + usize::from(length);
                labels += 1;
            }
            _ => return Err(PyValueError::new_err("not a name on the wire")),
        }
    }
}

fn octets(client: IpAddr) -> Vec<u8> {
    match client {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn text(client: &[u8]) -> String {
    let v4 = <[u8; 4]>::try_from(client).map(|octets| IpAddr::from(octets).to_string());
    v4.or_else(|_| <[u8; 16]>::try_from(client).map(|octets| IpAddr::from(octets).to_string())).unwrap_or_default()
}

/// Panics are said on stderr, the first few: each is a mistake of ours.
fn limit_panics() {
    static SAID: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if SAID.fetch_add(1, Ordering::Relaxed) < MAX_PANICS_SAID {
            before(info);
        }
    }));
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    limit_panics();
    module.add_class::<PySnapshot>()?;
    module.add_class::<PyServer>()?;
    module.add_class::<PyZone>()?;
    module.add_class::<PyHanded>()
}
