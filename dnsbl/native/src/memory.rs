//! The bytes of a snapshot file in memory of our own.
//!
//! A file is read, not mapped: one that is cut or altered in place later can then neither end the process (SIGBUS) nor
//! put bytes into answers that nobody checked. Large pages where the system gives them, read-only once filled.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// A file larger than this is no snapshot of ours: four billion listings.
pub const MAX_FILE: u64 = 16 << 30;

/// Bytes at an address that suits any number, never written again.
#[derive(Debug)]
pub struct Memory(store::Store);

impl Memory {
    /// All of a file.
    ///
    /// # Errors
    /// What the system says; `InvalidData` for a file above `MAX_FILE`, `UnexpectedEof` for one that shrinks meanwhile.
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        if size > MAX_FILE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "larger than any snapshot"));
        }
        let size = usize::try_from(size).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        store::filled(size, |bytes| file.read_exact(bytes)).map(Self)
    }

    /// A copy of bytes.
    ///
    /// # Errors
    /// Where there is no memory.
    pub fn copy(content: &[u8]) -> io::Result<Self> {
        store::filled(content.len(), |bytes| {
            bytes.copy_from_slice(content);
            Ok(())
        })
        .map(Self)
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }
}

#[cfg(not(miri))]
mod store {
    use memmap2::{Mmap, MmapMut};
    use std::io;

    #[derive(Debug)]
    pub struct Store(Option<Mmap>, usize); // none: no bytes, which no system maps

    const LARGE: usize = 2 << 20; // a large page

    impl Store {
        pub fn bytes(&self) -> &[u8] {
            self.0.as_deref().and_then(|map| map.get(..self.1)).unwrap_or_default()
        }
    }

    pub fn filled(size: usize, fill: impl FnOnce(&mut [u8]) -> io::Result<()>) -> io::Result<Store> {
        if size == 0 {
            return Ok(Store(None, 0));
        }
        let whole = if size >= LARGE { size.next_multiple_of(LARGE) } else { size }; // else no page is a large one
        let mut map = MmapMut::map_anon(whole)?;
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage); // a wish: fewer page tables to walk for each look-up
        fill(&mut map[..size])?;
        map.make_read_only().map(|map| Store(Some(map), size))
    }
}

/// Miri knows no `mmap`.
#[cfg(miri)]
mod store {
    use std::io;

    #[derive(Debug)]
    pub struct Store(Vec<u64>, usize);

    impl Store {
        pub fn bytes(&self) -> &[u8] {
            &bytemuck::cast_slice(&self.0)[..self.1]
        }
    }

    pub fn filled(size: usize, fill: impl FnOnce(&mut [u8]) -> io::Result<()>) -> io::Result<Store> {
        let mut words = vec![0u64; size.div_ceil(8)];
        fill(&mut bytemuck::cast_slice_mut(&mut words)[..size])?;
        Ok(Store(words, size))
    }
}
