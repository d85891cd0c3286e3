//! What the tag numbers in stored blocks mean.
//!
//! A block holds tag ids, which are places in the configuration of the day. The names behind them are kept beside the
//! log, one file a configuration, so that a backlog is still understood after the configuration has changed.
//!
//! ```text
//! forebay-schema 1
//! <TAB>press                 a device: the tags that follow are its own
//! temperature<TAB>°C         a tag and its unit
//! current<TAB>
//! ```
//!
//! A change of the configuration while the gateway runs adds names behind those that are there and takes none away, so that
//! what was polled before it and is stored after it bears its own name. A device that gets tags later stands there twice.
//!
//! A schema that no block of the log bears any more is removed, see [`uses`].

mod uses;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use driver_core::TagId;
use tracing::{error, info, warn};

use uses::Uses;

const HEAD: &str = "forebay-schema 1\n";
const DEVICE: char = '\t';

/// Largest schema file that is read, bytes: a million tags with long names.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// Which blocks bear which schema, beside the schemas.
const USES: &str = "uses";

/// How many numbers are tried until one is free, should two configurations have the same checksum.
const ID_TRIES_MAX: u32 = 16;

/// The names of all tags of one configuration, in the order of their ids.
#[derive(Debug, PartialEq, Eq)]
pub struct Schema {
    text: Box<str>,
    devices: Box<[Range<u32>]>,
    tags: Box<[Entry]>,
}

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    device: u32,
    start: u32,
    tab: u32,
    end: u32,
}

/// The names of one tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagNames<'a> {
    /// The device's place in the order of the configuration.
    pub device_index: usize,
    /// The device's name.
    pub device: &'a str,
    /// The tag's name.
    pub tag: &'a str,
    /// The unit of its value; empty when none is given.
    pub unit: &'a str,
}

/// Gathers the names in the order of the tag ids.
pub struct SchemaBuilder {
    text: String,
}

impl Default for SchemaBuilder {
    fn default() -> SchemaBuilder {
        SchemaBuilder { text: HEAD.into() }
    }
}

impl SchemaBuilder {
    /// All that `schema` has keeps its ids; what is added comes behind it.
    pub fn after(schema: &Schema) -> SchemaBuilder {
        SchemaBuilder { text: schema.text.to_string() }
    }

    /// The tags that follow are this device's; one of this name that is there already is the same device. A name holds no
    /// control characters: the configuration sees to that.
    pub fn device(&mut self, name: &str) {
        self.text.push(DEVICE);
        self.text.push_str(name);
        self.text.push('\n');
    }

    /// The next tag; `unit` is empty when it has none.
    pub fn tag(&mut self, name: &str, unit: &str) {
        self.text.push_str(name);
        self.text.push('\t');
        self.text.push_str(unit);
        self.text.push('\n');
    }

    /// The schema of all that was given.
    pub fn build(self) -> Schema {
        Schema::parse(self.text.into_boxed_str()).expect("the builder writes what the parser reads")
    }
}

impl Schema {
    /// The names of a tag; `None` for an id that this configuration did not have.
    pub fn tag(&self, id: TagId) -> Option<TagNames<'_>> {
        let entry = self.tags.get(id.index())?;
        Some(TagNames {
            device_index: entry.device as usize,
            device: self.device(entry.device as usize)?,
            tag: &self.text[entry.start as usize..entry.tab as usize],
            unit: &self.text[entry.tab as usize + 1..entry.end as usize],
        })
    }

    /// The place of a tag's device; `None` for an id that this configuration did not have.
    pub fn device_of(&self, id: TagId) -> Option<u32> {
        self.tags.get(id.index()).map(|entry| entry.device)
    }

    /// The name of a device by its place.
    pub fn device(&self, index: usize) -> Option<&str> {
        self.devices.get(index).map(|name| &self.text[name.start as usize..name.end as usize])
    }

    /// How many devices there are.
    pub fn devices(&self) -> usize {
        self.devices.len()
    }

    /// How many tags there are.
    pub fn tags(&self) -> usize {
        self.tags.len()
    }

    /// The schema of a block, out of the files in `folder`; `None` when its file is gone or damaged: a wrong name is worse
    /// than none.
    pub fn load(folder: &Path, id: u32) -> Option<Schema> {
        let path = path_of(folder, id);
        let size = fs::metadata(&path).ok()?.len();
        if size > FILE_BYTES_MAX {
            return None;
        }
        let text = fs::read_to_string(&path).ok().filter(|text| is_of(id, text.as_bytes()))?;
        Schema::parse(text.into())
    }

    fn parse(text: Box<str>) -> Option<Schema> {
        u32::try_from(text.len()).ok()?;
        let body = text.strip_prefix(HEAD)?;
        let (mut devices, mut tags) = (Vec::new(), Vec::new());
        let mut known: HashMap<&str, u32> = HashMap::new();
        let mut current = None;
        let mut start = HEAD.len();
        for line in body.split_terminator('\n') {
            let end = start + line.len();
            if let Some(name) = line.strip_prefix(DEVICE) {
                let place = *known.entry(name).or_insert_with(|| {
                    devices.push((start + DEVICE.len_utf8()) as u32..end as u32);
                    devices.len() as u32 - 1
                });
                current = Some(place);
            } else if let Some(tab) = line.find('\t') {
                let device = current?;
                tags.push(Entry { device, start: start as u32, tab: (start + tab) as u32, end: end as u32 });
            } else {
                return None;
            }
            start = end + 1;
        }
        Some(Schema { devices: devices.into(), tags: tags.into(), text })
    }
}

/// The schemas of the blocks in one buffer: this configuration's, and those of earlier ones as they are asked for.
pub struct Schemas {
    folder: PathBuf,
    current: u32,
    known: HashMap<u32, Arc<Schema>>,
    /// The names of this configuration could not be written yet.
    is_unwritten: bool,
}

impl Schemas {
    /// Keeps `schema` beside the log in `folder`, durably, unless it stands there already. A damaged file gives way. What
    /// cannot be written is told, and tried again with [`Schemas::keep`].
    pub fn open(folder: &Path, schema: Arc<Schema>) -> Schemas {
        let (current, written) = Schemas::written(folder, &schema);
        if let Err(cause) = &written {
            error!("cannot write the names of the tags to {}: {cause}. It is tried again", folder.display());
        }
        let known = HashMap::from([(current, schema)]);
        Schemas { folder: folder.into(), current, known, is_unwritten: written.is_err() }
    }

    /// Writes what could not be written before, if there is any.
    pub fn keep(&mut self) {
        let Some(schema) = self.known.get(&self.current).filter(|_| self.is_unwritten) else { return };
        let (number, written) = Schemas::written(&self.folder, schema);
        // Another configuration may have the number that was taken unseen: then blocks bear it already, and it stays.
        self.is_unwritten = written.is_err() || number != self.current;
        if !self.is_unwritten {
            info!("the names of the tags are written to {}", self.folder.display());
        }
    }

    /// The number of a schema, which is free or its own as far as can be seen, and whether it stands there.
    fn written(folder: &Path, schema: &Schema) -> (u32, io::Result<()>) {
        let made = fs::create_dir_all(folder);
        let first = crc32c::crc32c(schema.text.as_bytes());
        for id in (0..ID_TRIES_MAX).map(|step| first.wrapping_add(step)) {
            let path = path_of(folder, id);
            match fs::read(&path) {
                Ok(text) if text == schema.text.as_bytes() => return (id, Ok(())),
                Ok(text) if is_of(id, &text) => {}
                Ok(_) => return (id, write_durably(folder, &path, &schema.text)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return (id, made.and_then(|()| write_durably(folder, &path, &schema.text)));
                }
                Err(error) => return (id, Err(error)),
            }
        }
        (first, Err(io::Error::other(format!("no free name for this configuration's schema in {}", folder.display()))))
    }

    /// Where the schemas lie in a buffer's folder.
    pub fn folder_in(buffer: &Path) -> PathBuf {
        buffer.join("schemas")
    }

    /// New blocks are named by `schema` from here on; it is kept durably before. On an error nothing has changed.
    pub fn change(&mut self, schema: Arc<Schema>) -> io::Result<()> {
        let (number, written) = Schemas::written(&self.folder, &schema);
        written?;
        self.current = number;
        self.known.insert(number, schema);
        Ok(())
    }

    /// Removes the schemas that no block bears any more, of a log that begins with `first_seq` and goes on with `next_seq`.
    /// To be called before the first block bears the current one. What cannot be removed stays, and is told.
    pub fn sweep(&self, first_seq: u64, next_seq: u64) {
        // The number of the current one is not sure before its file is written; the next sweep finds that.
        if self.is_unwritten {
            return;
        }
        if let Err(cause) = self.swept(first_seq, next_seq) {
            warn!("names of tags that are needed no more stay in {}: {cause}", self.folder.display());
        }
    }

    fn swept(&self, first_seq: u64, next_seq: u64) -> io::Result<()> {
        let path = self.folder.join(USES);
        let before = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => String::new(),
            Err(error) => return Err(error),
        };
        let paths = fs::read_dir(&self.folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        let found: Vec<u32> = paths.iter().filter_map(|path| id_of(path)).collect();
        let mut uses = Uses::parse(&before);
        uses.begin(self.current, next_seq, &found);
        uses.forget(first_seq);
        let text = uses.text();
        if text != before {
            write_durably(&self.folder, &path, &text)?;
        }
        let over = found.into_iter().filter(|schema| !uses.bears(*schema));
        over.map(|schema| path_of(&self.folder, schema)).try_for_each(fs::remove_file)
    }

    /// The number that new blocks bear.
    pub fn current(&self) -> u32 {
        self.current
    }

    /// The schema of a block; `None` when its file is gone or damaged: a wrong name is worse than none.
    pub fn get(&mut self, id: u32) -> Option<Arc<Schema>> {
        if let Some(schema) = self.known.get(&id) {
            return Some(schema.clone());
        }
        let schema = Arc::new(Schema::load(&self.folder, id)?);
        self.known.insert(id, schema.clone());
        Some(schema)
    }
}

/// Whether a file of this number can hold this text: its checksum, or one of the numbers tried after it.
fn is_of(id: u32, text: &[u8]) -> bool {
    id.wrapping_sub(crc32c::crc32c(text)) < ID_TRIES_MAX
}

/// The file of a schema.
pub fn path_of(folder: &Path, id: u32) -> PathBuf {
    folder.join(format!("{id:08x}.schema"))
}

/// The number of a schema's file; `None` for other files.
fn id_of(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?.strip_suffix(".schema")?;
    u32::from_str_radix(name, 16).ok()
}

/// The whole file or none of it, whatever happens meanwhile.
fn write_durably(folder: &Path, path: &Path, text: &str) -> io::Result<()> {
    let half = path.with_extension("half");
    let mut file = File::create(&half)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&half, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(unit: &str) -> Arc<Schema> {
        let mut builder = SchemaBuilder::default();
        builder.device("press");
        builder.tag("device", unit);
        builder.tag("current", "");
        builder.device("empty");
        builder.device("mixer");
        builder.tag("level", "m³");
        Arc::new(builder.build())
    }

    #[test]
    fn tags_are_found_by_their_ids() {
        let schema = schema("°C");
        let first = TagNames { device_index: 0, device: "press", tag: "device", unit: "°C" };
        assert_eq!(schema.tag(TagId(0)), Some(first));
        assert_eq!(schema.tag(TagId(2)), Some(TagNames { device_index: 2, device: "mixer", tag: "level", unit: "m³" }));
        assert_eq!(schema.tag(TagId(3)), None);
        assert_eq!((schema.devices(), schema.tags()), (3, 3));
    }

    #[test]
    fn what_is_added_takes_no_name_away() {
        let first = schema("°C");
        let mut builder = SchemaBuilder::after(&first);
        builder.device("press");
        builder.tag("speed", "");
        builder.device("new");
        builder.tag("level", "");
        let second = builder.build();
        (0..3).for_each(|id| assert_eq!(second.tag(TagId(id)), first.tag(TagId(id))));
        assert_eq!(second.tag(TagId(3)), Some(TagNames { device_index: 0, device: "press", tag: "speed", unit: "" }));
        assert_eq!(second.tag(TagId(4)), Some(TagNames { device_index: 3, device: "new", tag: "level", unit: "" }));
        assert_eq!((second.devices(), second.tags()), (4, 5));
    }

    #[test]
    fn blocks_of_an_earlier_configuration_keep_their_names() {
        let folder = tempfile::tempdir().expect("a folder");
        let old = Schemas::open(folder.path(), schema("°C")).current();
        let mut schemas = Schemas::open(folder.path(), schema("K"));
        assert_ne!(schemas.current(), old);
        assert_eq!(schemas.get(old), Some(schema("°C")));
        assert_eq!(schemas.get(schemas.current()), Some(schema("K")));
    }

    #[test]
    fn schemas_go_with_the_last_block_that_bears_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = || {
            fs::read_dir(folder.path())
                .expect("a folder")
                .filter(|entry| entry.as_ref().is_ok_and(|entry| id_of(&entry.path()).is_some()))
        };
        let begun = |unit: &str, first_seq, next_seq| {
            let schemas = Schemas::open(folder.path(), schema(unit));
            schemas.sweep(first_seq, next_seq);
            schemas.current()
        };
        let [kelvin, celsius] = [begun("K", 0, 0), begun("°C", 0, 500)];
        begun("°C", 499, 900);
        assert_eq!(files().count(), 2);
        begun("°C", 500, 900);
        assert_eq!(files().count(), 1);
        assert!(Schema::load(folder.path(), kelvin).is_none() && Schema::load(folder.path(), celsius).is_some());
        // An empty log: whatever was there before is over.
        begun("m", 1000, 1000);
        assert_eq!((files().count(), Schema::load(folder.path(), celsius)), (1, None));
    }

    #[test]
    fn two_configurations_with_one_checksum_get_two_numbers() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = crc32c::crc32c(schema("°C").text.as_bytes());
        let other = b"\x04\x10\x2f\x1b";
        assert_eq!(crc32c::crc32c(other), first);
        fs::write(path_of(folder.path(), first), other).expect("writes");
        let schemas = Schemas::open(folder.path(), schema("°C"));
        assert_eq!(schemas.current(), first.wrapping_add(1));
    }

    #[test]
    fn what_cannot_be_written_is_known_and_written_later() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = folder.path().join("schemas");
        fs::write(&inside, "a file where the folder should be").expect("writes");
        let mut schemas = Schemas::open(&inside, schema("K"));
        let id = schemas.current();
        assert_eq!(schemas.get(id), Some(schema("K")));
        schemas.keep();
        assert!(inside.is_file(), "still in the way");
        fs::remove_file(&inside).expect("removes");
        schemas.keep();
        assert_eq!(Schema::load(&inside, id), Some(Arc::into_inner(schema("K")).expect("one")));
    }

    #[test]
    fn a_damaged_schema_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut schemas = Schemas::open(folder.path(), schema("K"));
        fs::write(path_of(folder.path(), 7), "forebay-schema 1\ntag without device\t\n").expect("writes");
        assert_eq!(schemas.get(7), None);
        assert_eq!(schemas.get(8), None);
    }

    #[test]
    fn a_flipped_bit_changes_no_name_and_stops_no_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let id = Schemas::open(folder.path(), schema("K")).current();
        let path = path_of(folder.path(), id);
        let whole = fs::read(&path).expect("a file");
        for flip in [0x01, 0x80] {
            let mut damaged = whole.clone();
            damaged[20] ^= flip;
            fs::write(&path, &damaged).expect("writes");
            let mut other = Schemas::open(folder.path(), schema("m"));
            assert_eq!(other.get(id), None);
            assert_eq!(Schemas::open(folder.path(), schema("K")).current(), id);
            assert_eq!(fs::read(&path).expect("a file"), whole);
        }
    }
}
