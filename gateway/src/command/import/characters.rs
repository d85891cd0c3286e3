//! The characters of a file: UTF-8, UTF-16 with its mark, or what older tools write: Windows-1252, or Windows-1251 where
//! letters beyond ASCII stand side by side, as in no text of the Latin alphabet.

/// What the bytes 80 to 9F are in Windows-1252; the rest is as in Latin-1.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// What the bytes 80 to BF are in Windows-1251; from C0 on it is the Russian alphabet.
const WINDOWS_1251: &str = "ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–—\u{98}™љ›њќћџ\u{a0}ЎўЈ¤Ґ¦§Ё©Є«¬\u{ad}®Ї°±Ііґµ¶·ё№є»јЅѕї";

/// The character set that a file is taken to be in, where it does not tell.
pub(super) fn guessed(bytes: &[u8]) -> Option<&'static str> {
    let says = matches!(bytes, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]) || std::str::from_utf8(bytes).is_ok();
    (!says).then(|| if is_cyrillic(bytes) { "Windows-1251" } else { "Windows-1252" })
}

fn is_cyrillic(bytes: &[u8]) -> bool {
    let letters = bytes.iter().filter(|byte| **byte >= 0xC0).count();
    let beside = bytes.windows(2).filter(|pair| pair.iter().all(|byte| *byte >= 0xC0)).count();
    beside * 2 > letters
}

/// The text of a file, without a byte order mark.
pub(super) fn text(bytes: &[u8]) -> String {
    match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        [0xFF, 0xFE, rest @ ..] => utf_16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf_16(rest, u16::from_be_bytes),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) if is_cyrillic(bytes) => bytes.iter().map(|byte| windows_1251(*byte)).collect(),
            Err(_) => bytes.iter().map(|byte| windows_1252(*byte)).collect(),
        },
    }
}

fn utf_16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    char::decode_utf16(units).map(|found| found.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

fn windows_1252(byte: u8) -> char {
    match byte {
        0x80..=0x9F => WINDOWS_1252[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

fn windows_1251(byte: u8) -> char {
    let beyond = |index: usize| WINDOWS_1251.chars().nth(index).unwrap_or(char::REPLACEMENT_CHARACTER);
    match byte {
        0..=0x7F => char::from(byte),
        0x80..=0xBF => beyond(usize::from(byte - 0x80)),
        _ => char::from_u32(u32::from('А') + u32::from(byte - 0xC0)).unwrap_or(char::REPLACEMENT_CHARACTER),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn russian_is_told_from_german_by_its_letters_side_by_side() {
        assert_eq!(text(b"\xC4\xE0\xF2\xF7\xE8\xEA N 1, \xB8"), "Датчик N 1, ё");
        assert_eq!(text(b"T\xFCr \xF6ffnen, Gr\xF6\xDFe"), "Tür öffnen, Größe");
        assert_eq!(guessed(b"\xC4\xE0\xF2\xF7\xE8\xEA"), Some("Windows-1251"));
        assert_eq!((guessed(b"T\xFCr"), guessed("Tür".as_bytes()), guessed(b"a")), (Some("Windows-1252"), None, None));
        assert_eq!(WINDOWS_1251.chars().count(), 64);
    }

    #[test]
    fn every_way_in_which_tools_save_is_read() {
        assert_eq!(text(b"\xEF\xBB\xBFT\xC3\xBCr"), "Tür");
        assert_eq!(text(b"\xFF\xFET\0\xFC\0r\0"), "Tür");
        assert_eq!(text(b"\xFE\xFF\0T\0\xFC\0r"), "Tür");
        assert_eq!(text(b"T\xFCr \x80 5"), "Tür € 5");
        assert_eq!(text("Tür".as_bytes()), "Tür");
    }
}
