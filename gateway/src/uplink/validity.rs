//! Until when a certificate holds: of X.509 (RFC 5280, 4.1) as much as leads to the two times.
//!
//! ```text
//! Certificate = SEQ { SEQ { [0] version?, INTEGER serial, SEQ algorithm, SEQ issuer, SEQ { notBefore, notAfter }, … }, … }
//! ```
//!
//! Nothing here decides about a connection: that is done by rustls. This is for who has to renew it in time.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use driver_core::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// The largest file that is read, bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Who has to renew a certificate is told this long ahead.
const AHEAD: Duration = Duration::from_secs(30 * 86_400);

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

const DAY_S: i64 = 86_400;

/// The times of a certificate, seconds since 1970 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// From when it holds.
    pub not_before_s: i64,
    /// Until when it holds.
    pub not_after_s: i64,
}

/// What is to be told of a certificate in a file.
///
/// # Errors
/// The file cannot be read, or holds no certificate.
pub fn of_file(path: &Path) -> Result<Validity, String> {
    let size = fs::metadata(path).map_err(|cause| cause.to_string())?.len();
    if size > FILE_BYTES_MAX {
        return Err("it is too large for a certificate".into());
    }
    let pem = fs::read(path).map_err(|cause| cause.to_string())?;
    let first = CertificateDer::pem_slice_iter(&pem).next();
    let der = first.and_then(Result::ok).ok_or("it holds no certificate in PEM")?;
    of_der(&der).ok_or_else(|| "its certificate cannot be understood".into())
}

/// The times of a certificate in DER; `None` for what is none.
pub fn of_der(der: &[u8]) -> Option<Validity> {
    let (certificate, _) = element(der, SEQUENCE)?;
    let (mut signed, _) = element(certificate, SEQUENCE)?;
    if let Some((_, rest)) = element(signed, VERSION) {
        signed = rest;
    }
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        (_, signed) = element(signed, tag)?;
    }
    let (validity, _) = element(signed, SEQUENCE)?;
    let (not_before_s, rest) = time(validity)?;
    let (not_after_s, _) = time(rest)?;
    Some(Validity { not_before_s, not_after_s })
}

/// The content of the first element, and what follows it; `None` unless it has this tag.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0x00..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x0f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    if *found == tag { rest.split_at_checked(length) } else { None }
}

fn time(der: &[u8]) -> Option<(i64, &[u8])> {
    let (text, rest, year_digits) = match element(der, UTC_TIME) {
        Some((text, rest)) => (text, rest, 2),
        None => element(der, GENERALIZED_TIME).map(|(text, rest)| (text, rest, 4))?,
    };
    let digits = text.strip_suffix(b"Z")?;
    let number = |from: usize, to: usize| -> Option<i64> {
        let part = std::str::from_utf8(digits.get(from..to)?).ok()?;
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten()
    };
    let year = match (number(0, year_digits)?, year_digits) {
        (year, 2) if year >= 50 => 1900 + year,
        (year, 2) => 2000 + year,
        (year, _) => year,
    };
    let part = |place: usize| number(year_digits + 2 * place, year_digits + 2 * place + 2);
    let (month, day, hour, minute, second) = (part(0)?, part(1)?, part(2)?, part(3)?, part(4)?);
    let days = days_since_1970(year, month, day)?;
    Some((days * DAY_S + hour * 3600 + minute * 60 + second, rest))
}

/// By the civil calendar, counted from March so that the leap day comes last.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

impl Validity {
    /// What who has to renew it is to be told; `None` while there is time.
    pub fn told(&self, now: Timestamp) -> Option<String> {
        let now_s = now.0.div_euclid(1_000_000_000);
        let left_s = self.not_after_s - now_s;
        let ahead_s = i64::try_from(AHEAD.as_secs()).unwrap_or(i64::MAX);
        match left_s {
            _ if now_s < self.not_before_s => Some("is not valid yet: check it, and this machine's clock".into()),
            left if left < 0 => Some("has expired: renew it".into()),
            left if left < 2 * DAY_S => Some("expires within two days: renew it".into()),
            left if left < ahead_s => Some(format!("expires in {} days: renew it in time", left / DAY_S)),
            _ => None,
        }
    }
}

/// Certificates that are looked at now and then, and what was told of each.
#[derive(Debug, Default)]
pub struct Watched {
    told: Vec<(PathBuf, Option<String>)>,
}

impl Watched {
    /// Looks at these files; gives what is news.
    pub fn look(&mut self, files: &[PathBuf], now: Timestamp) -> Vec<(PathBuf, String)> {
        let mut news = Vec::new();
        let mut told = Vec::with_capacity(files.len());
        for file in files {
            let says = match of_file(file) {
                Ok(validity) => validity.told(now),
                Err(cause) => Some(format!("cannot be used: {cause}")),
            };
            let before = self.told.iter().find(|(known, _)| known == file).and_then(|(_, said)| said.as_ref());
            if let Some(says) = says.as_ref().filter(|says| Some(*says) != before) {
                news.push((file.clone(), says.clone()));
            }
            told.push((file.clone(), says));
        }
        self.told = told;
        news
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Self-signed by openssl for November 2026.
    const NOVEMBER: &str = "-----BEGIN CERTIFICATE-----
MIIBcjCCARmgAwIBAgIUGshRO/KEAGDyhTt7BxeLRMG0/JIwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAeFw0yNjExMDEwMDAwMDBaFw0yNjEyMDEwMDAwMDBa
MA8xDTALBgNVBAMMBHRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASA+Jm7
/ufl8rccv0OR/qKv/rS1UVVV55KVes/h+P/gVuHuq5mRkUGEyss0af+kt14zuNZB
3lB287nC5KyPS9O3o1MwUTAdBgNVHQ4EFgQUjNYYZ8W66Le60CwRiP3JsmtZtgcw
HwYDVR0jBBgwFoAUjNYYZ8W66Le60CwRiP3JsmtZtgcwDwYDVR0TAQH/BAUwAwEB
/zAKBggqhkjOPQQDAgNHADBEAiB0Jm3iOIIAiD5oxohvFr+Uoj2GXopExWMg75bp
+JQxIgIgXcNX2UEaACVHzHyN/QGOKyjz8+sOY3PaW3GcNcWti0s=
-----END CERTIFICATE-----
";

    /// Until 2081-08-31T03:32:17Z, which is beyond UTCTime.
    const FAR: &str = "-----BEGIN CERTIFICATE-----
MIIBdDCCARmgAwIBAgIULawAuJb9qWeJy0MODIlIma3F7p0wCgYIKoZIzj0EAwIw
DjEMMAoGA1UEAwwDZmFyMCAXDTI2MTEyODAzMzIxN1oYDzIwODEwODMxMDMzMjE3
WjAOMQwwCgYDVQQDDANmYXIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASA+Jm7
/ufl8rccv0OR/qKv/rS1UVVV55KVes/h+P/gVuHuq5mRkUGEyss0af+kt14zuNZB
3lB287nC5KyPS9O3o1MwUTAdBgNVHQ4EFgQUjNYYZ8W66Le60CwRiP3JsmtZtgcw
HwYDVR0jBBgwFoAUjNYYZ8W66Le60CwRiP3JsmtZtgcwDwYDVR0TAQH/BAUwAwEB
/zAKBggqhkjOPQQDAgNJADBGAiEA2RDOOei20RnVn6DGQ/apVoXt+ore8ZVTd94m
PGScJVcCIQDlH818cTNXSlMLVWricaX7/5R10TpOBEn0n5XxMe0XRw==
-----END CERTIFICATE-----
";

    const NOVEMBER_FROM_S: i64 = 1_793_491_200;

    #[test]
    fn the_times_are_those_that_openssl_says() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("c.pem");
        fs::write(&path, NOVEMBER).expect("writes");
        let november = Validity { not_before_s: NOVEMBER_FROM_S, not_after_s: NOVEMBER_FROM_S + 30 * DAY_S };
        assert_eq!(of_file(&path), Ok(november));
        fs::write(&path, FAR).expect("writes");
        assert_eq!(of_file(&path).map(|far| far.not_after_s), Ok(3_523_836_737));
        fs::write(&path, "nothing").expect("writes");
        assert!(of_file(&path).is_err());
    }

    #[test]
    fn it_is_told_ahead_and_once_a_day() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("c.pem");
        fs::write(&path, NOVEMBER).expect("writes");
        let mut watched = Watched::default();
        let mut look = |day: i64| {
            let now = Timestamp((NOVEMBER_FROM_S + day * DAY_S + 60) * 1_000_000_000);
            watched.look(std::slice::from_ref(&path), now).pop().map(|(_, says)| says)
        };
        assert!(look(-1).is_some_and(|says| says.contains("not valid yet")));
        assert_eq!(look(20).as_deref(), Some("expires in 9 days: renew it in time"));
        assert_eq!(look(20), None);
        assert_eq!(look(29).as_deref(), Some("expires within two days: renew it"));
        assert_eq!(look(31).as_deref(), Some("has expired: renew it"));
        fs::write(&path, FAR).expect("writes");
        assert_eq!(look(40), None, "it was renewed");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..370, flip: u8,
        ) {
            let der = CertificateDer::from_pem_slice(NOVEMBER.as_bytes()).expect("a certificate");
            let mut damaged = der.to_vec();
            damaged[at] ^= flip;
            for bytes in [&bytes[..], &damaged, &damaged[..at]] {
                // A year has at most four digits.
                prop_assert!(of_der(bytes).is_none_or(|found| found.not_after_s < 300_000_000_000));
            }
        }
    }
}
