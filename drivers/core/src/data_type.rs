//! The data types of IEC 61131-3, and the names by which they are written.

use std::fmt;

/// An elementary type; the widths are those of IEC 61131-3, clause 6.4.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[rustfmt::skip]
pub enum DataType {
    /// One bit.
    Bool,
    /// 8-bit signed.
    Sint,
    /// 8-bit unsigned.
    Usint,
    /// 16-bit signed.
    Int,
    /// 16-bit unsigned.
    Uint,
    /// 32-bit signed.
    Dint,
    /// 32-bit unsigned.
    Udint,
    /// 64-bit signed.
    Lint,
    /// 64-bit unsigned.
    Ulint,
    /// IEEE 754 binary16; not of IEC 61131, but some meters have it.
    Half,
    /// IEEE 754 binary32.
    Real,
    /// IEEE 754 binary64.
    Lreal,
    /// 8 bits.
    Byte,
    /// 16 bits.
    Word,
    /// 32 bits.
    Dword,
    /// 64 bits.
    Lword,
    /// One 8-bit character.
    Char,
    /// One 16-bit character.
    Wchar,
    /// 8-bit characters, at most this many.
    String(u16),
    /// 16-bit characters, at most this many.
    Wstring(u16),
    /// Signed 32-bit milliseconds.
    Time,
    /// Signed 64-bit nanoseconds.
    Ltime,
    /// Days since 1990-01-01 on Siemens, seconds since 1970-01-01 elsewhere.
    Date,
    /// Milliseconds since midnight, 32 bits.
    TimeOfDay,
    /// Nanoseconds since midnight, 64 bits.
    Ltod,
    /// Siemens' eight BCD bytes, seconds since 1970 in 32 bits elsewhere.
    DateAndTime,
    /// Siemens' twelve-byte date and time.
    Dtl,
    /// Siemens' BCD timer value, 16 bits.
    S5time,
    /// Nanoseconds since 1970, 64 bits.
    Ldt,
}

impl DataType {
    /// Understands an IEC name or an alias, in any case; lengths of strings stand elsewhere (`STRING` gives length 0).
    pub fn from_name(name: &str) -> Option<DataType> {
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, data_type)| *data_type)
    }

    /// The IEC name, without a string's length.
    pub fn name(self) -> &'static str {
        let plain = match self {
            DataType::String(_) => DataType::String(0),
            DataType::Wstring(_) => DataType::Wstring(0),
            other => other,
        };
        NAMES.iter().find(|(_, data_type)| *data_type == plain).map_or("?", |(name, _)| name)
    }

    /// All names that [`DataType::from_name`] knows, canonical ones first.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DataType::String(length) | DataType::Wstring(length) => write!(f, "{}({length})", self.name()),
            _ => f.write_str(self.name()),
        }
    }
}

/// Canonical names first: [`DataType::name`] takes the first that fits.
const NAMES: [(&str, DataType); 47] = [
    ("BOOL", DataType::Bool),
    ("SINT", DataType::Sint),
    ("USINT", DataType::Usint),
    ("INT", DataType::Int),
    ("UINT", DataType::Uint),
    ("DINT", DataType::Dint),
    ("UDINT", DataType::Udint),
    ("LINT", DataType::Lint),
    ("ULINT", DataType::Ulint),
    ("F16", DataType::Half),
    ("REAL", DataType::Real),
    ("LREAL", DataType::Lreal),
    ("BYTE", DataType::Byte),
    ("WORD", DataType::Word),
    ("DWORD", DataType::Dword),
    ("LWORD", DataType::Lword),
    ("CHAR", DataType::Char),
    ("WCHAR", DataType::Wchar),
    ("STRING", DataType::String(0)),
    ("WSTRING", DataType::Wstring(0)),
    ("TIME", DataType::Time),
    ("LTIME", DataType::Ltime),
    ("DATE", DataType::Date),
    ("TIME_OF_DAY", DataType::TimeOfDay),
    ("LTOD", DataType::Ltod),
    ("DATE_AND_TIME", DataType::DateAndTime),
    ("DTL", DataType::Dtl),
    ("S5TIME", DataType::S5time),
    ("LDT", DataType::Ldt),
    ("TOD", DataType::TimeOfDay),
    ("DT", DataType::DateAndTime),
    ("LTIME_OF_DAY", DataType::Ltod),
    ("bit", DataType::Bool),
    ("i8", DataType::Sint),
    ("u8", DataType::Usint),
    ("i16", DataType::Int),
    ("u16", DataType::Uint),
    ("i32", DataType::Dint),
    ("u32", DataType::Udint),
    ("i64", DataType::Lint),
    ("u64", DataType::Ulint),
    ("half", DataType::Half),
    ("f32", DataType::Real),
    ("f64", DataType::Lreal),
    ("double", DataType::Lreal),
    ("LDATE_AND_TIME", DataType::Ldt),
    ("DATE_AND_LTIME", DataType::Ldt),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_understood_and_canonical_names_come_back() {
        for name in DataType::names() {
            let data_type = DataType::from_name(name).expect("a name of the list");
            assert_eq!(DataType::from_name(data_type.name()), Some(data_type), "{name}");
        }
        assert_eq!(DataType::from_name("real"), Some(DataType::Real));
        assert_eq!(DataType::from_name("F32").map(DataType::name), Some("REAL"));
        assert_eq!(DataType::from_name("float99"), None);
        assert_eq!(DataType::String(32).to_string(), "STRING(32)");
    }
}
