//! What must hold for any bytes from outside. Run by the fuzz targets, and by the tests over the corpus.

use super::pipeline::encode::{Decoder, Encoder};

/// A block's payload: the first byte is its codec. What decodes, encodes and decodes to the same number of readings.
pub(crate) fn block(input: &[u8]) {
    let Some((&codec, payload)) = input.split_first() else { return };
    let mut decoder = Decoder::new().expect("zstd's memory");
    let mut readings = Vec::new();
    if decoder.decode(codec, payload, &mut readings).is_err() {
        assert!(readings.is_empty(), "an undecodable block leaves nothing");
        return;
    }
    let mut bytes = Vec::new();
    let codec = Encoder::new().expect("zstd's memory").encode(&readings, &mut bytes);
    let mut back = Vec::new();
    decoder.decode(codec, &bytes, &mut back).expect("what was encoded decodes");
    assert_eq!(back.len(), readings.len());
}
