//! Certificates for a test, made by openssl: an authority, a server for 127.0.0.1, a client.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::need;

/// Where the files are.
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// Makes an authority and, signed by it, `server` and `client`, each as `NAME.pem` and `NAME.key`; `None` where
    /// openssl is not installed.
    pub fn make(folder: &Path) -> Option<Certificates> {
        let openssl = need::program("openssl")?;
        let script = need::root().join("tests/far/certificates");
        let made = Command::new(script).arg(folder).env("OPENSSL", openssl).output().expect("a shell");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Some(Certificates { folder: folder.to_owned() })
    }

    /// A file by its name, such as `ca.pem` or `client.key`.
    pub fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}
