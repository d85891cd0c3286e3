//! The scheme and options of an S7 URL, with one line of help each.

/// The schemes that this driver serves.
pub const SCHEMES: &[&str] = &["s7"];

/// The options that may stand in the query.
pub const OPTIONS: &[(&str, &str)] = &[
    (
        "plc",
        "s7-1200, s7-1500, s7-300, s7-400, logo, s7-200 or s7-200-smart: sets slot or TSAPs, and what is planned with",
    ),
    ("rack", "rack of the CPU, 0 to 7; default 0"),
    ("slot", "slot of the CPU, 0 to 31; default 1 (S7-1200, S7-1500), 2 with plc=s7-300, 3 with plc=s7-400"),
    ("as", "the PLC's kind of connection that is used: pg, op or basic (default)"),
    ("local-tsap", "our TSAP in hexadecimal, such as 01.00, where the PLC expects a certain one"),
    ("remote-tsap", "the PLC's TSAP in hexadecimal, such as 02.00, instead of rack, slot and as"),
    ("pdu", "largest message that is asked for, in bytes; default 960. What the PLC answers is obeyed"),
    ("in_flight", "jobs under way at once that are asked for, 1 to 32; default 8. What the PLC answers is obeyed"),
    ("timeout", "how long an answer may take, such as 500ms; default 1s"),
    ("keep_alive", "on (default) or off: whether the system probes an idle TCP connection"),
];
