//! Addresses of all notations, their canonical form, and what is wrong with those that are none.

use super::*;

#[track_caller]
fn prints(text: &str, canonical: &str) {
    match Address::parse(text) {
        Ok(address) => {
            assert_eq!(address.to_string(), canonical, "{text}");
            assert_eq!(Address::parse(canonical), Ok(address), "{canonical}");
        }
        Err(error) => panic!("{text}: {error}"),
    }
}

#[test]
fn canonical_addresses_print_as_themselves() {
    for text in [
        "DB1.DBD4:REAL",
        "DB1.DBX2.1",
        "DB1.DBX2.7:BOOL[20]",
        "DB65535.DBB0:BYTE",
        "MW10:INT",
        "MW10:WORD@DCBA",
        "I0.0",
        "Q4.2",
        "DB2.DBB8:STRING(32)",
        "DB2.DBB8:WSTRING(254)[3]",
        "DB3.DBB16:LREAL",
        "DB3.DBB16:DATE_AND_TIME",
        "DB3.DBB24:DTL",
        "DB3.DBW36:S5TIME",
        "DB3.DBD38:TIME",
        "DB3.DBW38:DATE",
        "DB3.DBB40:LDT",
        "QB4:BYTE[5]",
        "MB7:CHAR",
        "MW7:WCHAR",
        "T5",
        "T0:S5TIME[4]",
        "C7",
        "C7:WORD",
        "PIW256:INT",
        "PQD260:DWORD",
    ] {
        prints(text, text);
    }
}

#[test]
fn addresses_of_other_programs_are_taken_as_they_stand() {
    for (text, canonical) in [
        // German mnemonics, and what both languages' editors write.
        ("EW0", "IW0:WORD"),
        ("AW0", "QW0:WORD"),
        ("E1.3", "I1.3"),
        ("a4.2", "Q4.2"),
        ("ED4:DINT", "ID4:DINT"),
        ("PEW256:INT", "PIW256:INT"),
        ("PAB3", "PQB3:BYTE"),
        ("Z7", "C7"),
        ("%MW10", "MW10:WORD"),
        ("%IW64:P", "PIW64:WORD"),
        ("%IW64:P:INT", "PIW64:INT"),
        ("%QB3:p", "PQB3:BYTE"),
        ("db1.dbd4", "DB1.DBD4:DWORD"),
        // PLC4X, each of its patterns.
        ("%DB1.DBD4:REAL", "DB1.DBD4:REAL"),
        ("%DB1.DBX4.2:BOOL", "DB1.DBX4.2"),
        ("%DB1.DB4:INT[3]", "DB1.DBW4:INT[3]"),
        ("%DB1.DBX8:LREAL", "DB1.DBB8:LREAL"),
        ("%DB1.DBX8:STRING", "DB1.DBB8:STRING(254)"),
        ("%DB1.DBB8:STRING(20)[2]", "DB1.DBB8:STRING(20)[2]"),
        ("%DB1:4:REAL", "DB1.DBD4:REAL"),
        ("%DB1:4.2:BOOL", "DB1.DBX4.2"),
        ("%DB1:8:WSTRING(9)", "DB1.DBB8:WSTRING(9)"),
        ("%DB1:8:STRING", "DB1.DBB8:STRING(254)"),
        ("%M10.3:BOOL", "M10.3"),
        ("%MX10.3:BOOL", "M10.3"),
        ("%MD4:REAL[2]", "MD4:REAL[2]"),
        ("%Q4:BYTE", "QB4:BYTE"),
        ("%I0.0:BOOL[8]", "I0.0:BOOL[8]"),
        ("%DW256:INT", "PIW256:INT"),
        ("%C7:UINT", "C7"),
        ("10-02-00-01-00-01-84-00-00-20", "DB1.DBB4:BYTE"),
        ("10-08-00-03-00-00-83-00-00-50", "MD10:REAL[3]"),
        ("10-01-00-01-00-00-81-00-00-0B", "I1.3"),
        ("10-1D-00-02-00-00-1D-00-00-05", "T5:S5TIME[2]"),
        // Telegraf.
        ("DB1.R4", "DB1.DBD4:REAL"),
        ("DB3.LR12", "DB3.DBB12:LREAL"),
        ("DB3.LI12", "DB3.DBB12:LINT"),
        ("DB1.X3.1", "DB1.DBX3.1"),
        ("DB1.S8.20", "DB1.DBB8:STRING(20)"),
        ("DB1.W4", "DB1.DBW4:WORD"),
        ("DB1.I4", "DB1.DBW4:INT"),
        ("DB1.DW4", "DB1.DBD4:DWORD"),
        ("DB1.DI4", "DB1.DBD4:DINT"),
        ("DB1.B4", "DB1.DBB4:BYTE"),
        ("DB1.DT4", "DB1.DBB4:DATE_AND_TIME"),
        ("MK0.W10", "MW10:WORD"),
        ("PE0.X1.2", "I1.2"),
        ("PA1.B3", "QB3:BYTE"),
        // Node-RED.
        ("DB1,REAL4", "DB1.DBD4:REAL"),
        ("DB5,X0.1", "DB5.DBX0.1"),
        ("DB5,X0.1.9", "DB5.DBX0.1:BOOL[9]"),
        ("DB23,BYTE1", "DB23.DBB1:BYTE"),
        ("DB100,C2", "DB100.DBB2:CHAR"),
        ("DB42,I3", "DB42.DBW3:INT"),
        ("DB13,DINT5", "DB13.DBD5:DINT"),
        ("DB2,S7.10", "DB2.DBB7:STRING(10)"),
        ("DB2,S7.10.3", "DB2.DBB7:STRING(10)[3]"),
        ("DB1,REAL0.20", "DB1.DBD0:REAL[20]"),
        ("DB1,DT0", "DB1.DBB0:DATE_AND_TIME"),
        ("DB2,DTLZ12", "DB2.DBB12:DTL"),
        ("DB57,RWORD4", "DB57.DBW4:WORD@DCBA"),
        ("DB13,RDI5", "DB13.DBD5:DINT@DCBA"),
        ("MR38", "MD38:REAL"),
        ("EI10", "IW10:INT"),
        ("ADI24", "QD24:DINT"),
        ("MC9", "MB9:CHAR"),
        ("MRW20", "MW20:WORD@DCBA"),
        // LOGO! and S7-200.
        ("VW10", "DB1.DBW10:WORD"),
        ("V10.3", "DB1.DBX10.3"),
        ("VD4:REAL", "DB1.DBD4:REAL"),
    ] {
        prints(text, canonical);
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_what_to_write() {
    for (text, range, message) in [
        ("DB1.DBW4:REAL", 0..8, "write DB1.DBD4:REAL"),
        ("DB1.DBX4:BOOL", 9..13, "write DB1.DBX4.0"),
        ("DB1.DBX4", 0..8, "write DB1.DBX4.0"),
        ("DB1.DBX4.8", 9..10, "from 0 (least significant) to 7"),
        ("DB1.DBW4.3", 0..10, "a single bit is written"),
        ("DB1.DBX4.3:INT", 11..14, "a bit is BOOL"),
        ("DB1.DBD4:RAEL", 9..13, "did you mean REAL?"),
        ("DB0.DBB4", 2..3, "numbered from 1"),
        ("DB70000.DBB4", 2..7, "no number from 0 to 65535"),
        ("DB1", 3..3, "where in the data block?"),
        ("DB1.DBQ4", 6..7, "no width"),
        ("DB1.DWB4", 4..7, "did you mean DBB?"),
        ("DB1,RAEL4", 4..8, "did you mean REAL?"),
        ("BD1.DBW4", 0..2, "did you mean DB?"),
        ("XW4", 0..2, "an address is such as"),
        ("", 0..0, "an address is such as"),
        ("M10", 0..3, "name the type or the bit"),
        ("MW", 2..2, "a number is missing"),
        ("MW10x", 4..5, "not understood"),
        ("T5:INT", 0..6, "a timer holds S5TIME"),
        ("C5:REAL", 0..7, "a counter holds UINT"),
        ("TW5", 1..2, "timers are numbered"),
        ("MW2097152", 2..9, "no number from 0"),
        ("MB2097151:INT", 0..13, "the last one is 2097151"),
        ("DB1.DBB0:STRING(300)", 0..20, "up to 254 characters"),
        ("DB1.DBB0:DTL@DCBA", 0..17, "no byte order"),
        ("MW4:P", 0..3, "only inputs and outputs"),
        ("DB1,X3", 5..6, "the bit is missing"),
        ("DB1,S3", 5..6, "the length of the string is missing"),
        ("DB1,REAL4:INT", 10..13, "given twice"),
        ("P#DB1.DBX10.0", 0..2, "write DB1.DBX10.0, or with the width"),
        ("P#DB1.DBX10.0 BYTE 4", 0..2, "write DB1.DBB10:BYTE[4]"),
        ("p#DB1.DBX8.0 REAL 1", 0..2, "write DB1.DBD8:REAL"),
        ("P#M 10.0 BOOL 1", 0..2, "write M10.0"),
        ("P#nowhere", 0..2, "such as DB1.DBD10:REAL"),
        ("P#", 0..2, "such as DB1.DBD10:REAL"),
        ("10-77-00-01-00-01-84-00-00-20", 3..5, "names no type"),
        ("10-02-00-01-00-01-85-00-00-20", 18..20, "names no area"),
    ] {
        let error = Address::parse(text).expect_err(text);
        assert!(error.message.contains(message), "{text}: {error}");
        assert_eq!(error.range, range, "{text}: {error}");
    }
}

#[test]
fn where_it_lies_is_told_beside_it() {
    let also = |text: &str| Address::parse(text).expect(text).also();
    assert_eq!(also("DB1.DBD4:REAL"), "bytes 4..8 of data block 1");
    assert_eq!(also("IW64"), "bytes 64..66 = EW64");
    assert_eq!(also("Q4.2"), "byte 4 = A4.2");
    assert_eq!(also("PIW256"), "bytes 256..258 = PEW256");
    assert_eq!(also("MB7"), "byte 7");
    assert_eq!(also("C7"), "counter 7 = Z7");
    assert_eq!(also("T5"), "timer 5");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic_and_what_is_understood_prints_canonically(
        text in "(\\PC|[%DBMIQEATCZPVXWR.,:0-9\\[\\]()@-]|REAL|STRING|BOOL|DB1\\.|DB2,){0,12}",
    ) {
        match Address::parse(&text) {
            Ok(address) => {
                let printed = address.to_string();
                proptest::prop_assert_eq!(Address::parse(&printed), Ok(address), "{} as {}", text, printed);
                proptest::prop_assert!(address.bytes() > 0 && !address.also().is_empty());
            }
            Err(error) => proptest::prop_assert!(text.get(error.range.clone()).is_some(), "{:?} of {}", error.range, text),
        }
    }
}
