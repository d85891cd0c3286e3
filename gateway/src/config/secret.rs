//! Secrets: where one is found, never what it is.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The longest secret, bytes.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// The environment variable that names the folder of systemd's credentials.
const CREDENTIALS_FOLDER: &str = "CREDENTIALS_DIRECTORY";

/// Where a secret is found.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The content of a file.
    File(PathBuf),
    /// The value of an environment variable.
    Env(Box<str>),
    /// A credential that systemd hands to the service.
    Credential(Box<str>),
    /// Written into the configuration, in so many words.
    Literal(Box<str>),
}

impl Secret {
    /// Fetches the secret as it is now; the line end that closes a file does not belong to it. The error says which place
    /// could not be read, and never what stands there.
    pub fn fetch(&self) -> Result<Vec<u8>, String> {
        match self {
            Secret::File(path) => read(path),
            Secret::Env(name) => match std::env::var_os(&**name) {
                Some(value) => Ok(value.into_encoded_bytes()),
                None => Err(format!("the environment variable {name} is not set")),
            },
            Secret::Credential(name) => match std::env::var_os(CREDENTIALS_FOLDER) {
                Some(folder) => read(&Path::new(&folder).join(&**name)),
                None => Err(format!(
                    "there is no credential {name}: {CREDENTIALS_FOLDER} is not set; add LoadCredential={name}:… to the \
                     service"
                )),
            },
            Secret::Literal(text) => Ok(text.as_bytes().to_vec()),
        }
    }
}

impl fmt::Debug for Secret {
    /// Where it is found; never a literal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::File(path) => write!(f, "Secret::File({path:?})"),
            Secret::Env(name) => write!(f, "Secret::Env({name:?})"),
            Secret::Credential(name) => write!(f, "Secret::Credential({name:?})"),
            Secret::Literal(_) => f.write_str("Secret::Literal(…)"),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |cause: std::io::Error| {
        let advice = match cause.kind() {
            ErrorKind::PermissionDenied => "; the service's user must be allowed to read it",
            _ => "",
        };
        format!("cannot read the secret in {}: {cause}{advice}", path.display())
    };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > SECRET_BYTES_MAX {
        return Err(format!("the secret in {} is longer than {SECRET_BYTES_MAX} bytes", path.display()));
    }
    for end in [b'\n', b'\r'] {
        if bytes.last() == Some(&end) {
            bytes.pop();
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_without_its_last_line_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("password");
        for (content, secret) in
            [("geheim", "geheim"), ("geheim\n", "geheim"), ("geheim\r\n", "geheim"), ("a\n\n", "a\n")]
        {
            std::fs::write(&path, content).expect("writes");
            assert_eq!(Secret::File(path.clone()).fetch(), Ok(secret.into()));
        }
    }

    #[test]
    fn what_cannot_be_fetched_is_named() {
        let error = Secret::File("/nowhere/password".into()).fetch().expect_err("no file");
        assert!(error.contains("/nowhere/password"), "{error}");
        let error = Secret::Env("FOREBAY_NOT_SET".into()).fetch().expect_err("no variable");
        assert!(error.contains("FOREBAY_NOT_SET"), "{error}");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("long");
        std::fs::write(&path, vec![b'x'; SECRET_BYTES_MAX as usize + 1]).expect("writes");
        assert!(Secret::File(path).fetch().is_err_and(|error| error.contains("longer than")));
    }

    #[test]
    fn a_literal_is_never_printed() {
        let secret = Secret::Literal("geheim".into());
        assert!(!format!("{secret:?} {secret:#?}").contains("geheim"));
    }
}
