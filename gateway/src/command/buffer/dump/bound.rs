//! From where and up to where: a seq or a time.

use crate::clock::parse_time;

/// One end of what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// A place in the log.
    Seq(u64),
    /// Nanoseconds since 1970 UTC.
    Time(i64),
}

const NOT_UNDERSTOOD: &str =
    "write a seq such as 1234, or a time such as 2026-11-23, 2026-11-23T02:28:33Z or 2026-11-23T03:28:33.5+01:00";

/// Digits are a seq, everything else is a time; one without a zone is in UTC.
pub(super) fn parse(text: &str) -> Result<Bound, String> {
    let seq = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    let bound = seq.map(Bound::Seq).or_else(|| parse_time(text).map(Bound::Time));
    bound.ok_or_else(|| NOT_UNDERSTOOD.into())
}

#[cfg(test)]
mod tests {
    use driver_core::Timestamp;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn seqs_and_times_are_told_apart() {
        let second = 1_000_000_000;
        let cases = [
            ("1234", Bound::Seq(1234)),
            ("2026-11-23T02:28:33Z", Bound::Time(1_795_400_913 * second)),
            ("2026-11-23 03:28:33.5+01:00", Bound::Time(1_795_400_913 * second + second / 2)),
            ("2026-11-22T21:28:33-05:00", Bound::Time(1_795_400_913 * second)),
            ("2000-02-29", Bound::Time(951_782_400 * second)),
            ("1969-12-31T23:59", Bound::Time(-60 * second)),
        ];
        for (text, bound) in cases {
            assert_eq!(parse(text), Ok(bound), "{text}");
        }
    }

    #[test]
    fn what_is_neither_is_refused_with_an_example() {
        let wrong = [
            "",
            "yesterday",
            "2026-13-01",
            "2025-02-29",
            "2026-11-23T24:00",
            "2026-11-23T1:00",
            "-5",
            "2026-1-1",
            "2026-11-23T02:28:33+1",
            "2026-11-23T02:28:33.1234567890Z",
            "9999-01-01",
            "99999999999999999999",
            "2026-11-23-04",
        ];
        for text in wrong {
            assert!(parse(text).is_err_and(|said| said.contains("2026-11-23")), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_time_that_is_printed_is_understood(nanos in -9_214_646_400_000_000_000_i64..9_214_646_400_000_000_000) {
            prop_assert_eq!(parse(&Timestamp(nanos).to_string()), Ok(Bound::Time(nanos)));
        }

        #[test]
        fn garbage_never_panics(text in "[0-9T:.+Z-]{0,30}|\\PC{0,20}") {
            parse(&text).ok();
        }
    }
}
