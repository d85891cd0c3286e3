//! The four codecs of record batches. What comes back from a broker is unpacked up to a bound.

use std::io::{self, Read, Write};

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use lz4_flex::frame::{FrameDecoder, FrameEncoder};

/// What one batch may unpack to, bytes.
const UNPACKED_BYTES_MAX: usize = 64 << 20;

/// Fast: the processor of an edge box is dearer than the last tenth of a link.
const ZSTD_LEVEL: i32 = 1;
const GZIP_LEVEL: u32 = 1;

/// How snappy-java frames its blocks, which is what Kafka's clients write: a magic, two versions, then each block behind
/// its size.
const XERIAL: &[u8] = b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01";
const XERIAL_MAGIC_BYTES: usize = 8;
const XERIAL_BLOCK_BYTES: usize = 32 << 10;

/// How a batch's records are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not.
    None,
    /// By gzip.
    Gzip,
    /// By snappy, in snappy-java's frames.
    Snappy,
    /// By LZ4, in its own frames.
    Lz4,
    /// By Zstandard.
    Zstd,
}

/// What compressing needs of memory, kept from batch to batch.
#[derive(Default)]
pub struct Packer {
    zstd: Option<zstd::bulk::Compressor<'static>>,
    packed: Vec<u8>,
}

impl Packer {
    /// Appends the compressed bytes to `out`.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn pack(&mut self, compression: Compression, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        match compression {
            Compression::None => out.extend_from_slice(bytes),
            Compression::Gzip => {
                let mut encoder = GzEncoder::new(out, flate2::Compression::new(GZIP_LEVEL));
                encoder.write_all(bytes)?;
                encoder.finish()?;
            }
            Compression::Snappy => xerial(bytes, out)?,
            Compression::Lz4 => {
                let mut encoder = FrameEncoder::new(out);
                encoder.write_all(bytes)?;
                encoder.finish().map_err(io::Error::other)?;
            }
            Compression::Zstd => {
                let zstd = match &mut self.zstd {
                    Some(zstd) => zstd,
                    none => none.insert(zstd::bulk::Compressor::new(ZSTD_LEVEL)?),
                };
                self.packed.clear();
                self.packed.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
                zstd.compress_to_buffer(bytes, &mut self.packed)?;
                out.extend_from_slice(&self.packed);
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer").finish_non_exhaustive()
    }
}

impl Compression {
    /// All, in the order of their numbers.
    pub const ALL: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    /// The word for it in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }

    /// The codec of this name.
    pub fn parse(text: &str) -> Option<Compression> {
        Compression::ALL.into_iter().find(|compression| compression.name() == text)
    }

    /// Its bits in a batch's attributes.
    pub fn attributes(self) -> i16 {
        self as i16
    }

    /// The codec that a batch's attributes name.
    pub fn of_attributes(attributes: i16) -> Option<Compression> {
        Compression::ALL.get(usize::from(attributes as u16 & 7)).copied()
    }

    /// The bytes as they were.
    ///
    /// # Errors
    /// They are no such bytes, or would be too many.
    pub fn unpack(self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        match self {
            Compression::None => out.extend_from_slice(bytes),
            Compression::Gzip => bounded(MultiGzDecoder::new(bytes), &mut out)?,
            Compression::Snappy => unpack_snappy(bytes, &mut out)?,
            Compression::Lz4 => bounded(FrameDecoder::new(bytes), &mut out)?,
            Compression::Zstd => bounded(zstd::stream::read::Decoder::new(bytes)?, &mut out)?,
        }
        Ok(out)
    }
}

fn bounded(reader: impl Read, out: &mut Vec<u8>) -> io::Result<()> {
    reader.take(UNPACKED_BYTES_MAX as u64 + 1).read_to_end(out)?;
    if out.len() > UNPACKED_BYTES_MAX { Err(too_large()) } else { Ok(()) }
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a batch unpacks to more than any batch may hold")
}

fn xerial(bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    out.extend_from_slice(XERIAL);
    for block in bytes.chunks(XERIAL_BLOCK_BYTES) {
        let packed = snap::raw::Encoder::new().compress_vec(block)?;
        out.extend_from_slice(&(packed.len() as u32).to_be_bytes());
        out.extend_from_slice(&packed);
    }
    Ok(())
}

/// librdkafka writes one block without a frame, snappy-java many with one.
fn unpack_snappy(bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    if !bytes.starts_with(&XERIAL[..XERIAL_MAGIC_BYTES]) {
        return unpack_block(bytes, out);
    }
    let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "a snappy block is cut short");
    let mut rest = bytes.get(XERIAL.len()..).ok_or_else(cut)?;
    while let Some((size, after)) = rest.split_first_chunk::<4>() {
        let (block, after) = after.split_at_checked(u32::from_be_bytes(*size) as usize).ok_or_else(cut)?;
        unpack_block(block, out)?;
        rest = after;
    }
    if rest.is_empty() { Ok(()) } else { Err(cut()) }
}

fn unpack_block(block: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    if out.len() + snap::raw::decompress_len(block)? > UNPACKED_BYTES_MAX {
        return Err(too_large());
    }
    out.extend_from_slice(&snap::raw::Decoder::new().decompress_vec(block)?);
    Ok(())
}
