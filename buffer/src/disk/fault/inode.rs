//! One file's bytes: those in the cache, those on the device, and the way between them.

/// What a power cut keeps or loses as a whole, bytes.
const SECTOR_BYTES: usize = 512;

/// A small random generator (SplitMix64), so that a seed gives the same faults on every machine.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `limit - 1`.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }
}

/// A change that is not synced.
#[derive(Debug)]
enum Change {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

/// A file's content.
#[derive(Debug, Default)]
pub(super) struct Inode {
    cache: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

impl Inode {
    pub(super) fn cache(&self) -> &[u8] {
        &self.cache
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        overwrite(&mut self.cache, offset as usize, bytes);
        self.unsynced.push(Change::Write(offset as usize, bytes.to_vec()));
    }

    pub(super) fn set_len(&mut self, len: u64) {
        self.cache.resize(len as usize, 0);
        self.unsynced.push(Change::SetLen(len as usize));
    }

    pub(super) fn sync(&mut self) {
        for change in std::mem::take(&mut self.unsynced) {
            match change {
                Change::Write(offset, bytes) => overwrite(&mut self.durable, offset, &bytes),
                Change::SetLen(len) => self.durable.resize(len, 0),
            }
        }
    }

    pub(super) fn sync_failed(&mut self) {
        self.unsynced.clear();
    }

    pub(super) fn damage(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.cache);
        self.durable = self.cache.clone();
        self.unsynced.clear();
    }

    /// Of the unsynced changes keeps all, none, or a random part.
    pub(super) fn power_cut(&mut self, random: &mut Random) {
        let kept_of_four = random.below(5);
        for change in std::mem::take(&mut self.unsynced) {
            match change {
                Change::Write(offset, bytes) => {
                    for (i, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
                        if random.below(4) < kept_of_four {
                            overwrite(&mut self.durable, offset + i * SECTOR_BYTES, sector);
                        }
                    }
                }
                Change::SetLen(len) if random.below(4) < kept_of_four => self.durable.resize(len, 0),
                Change::SetLen(_) => {}
            }
        }
        self.cache = self.durable.clone();
    }
}

fn overwrite(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}
