//! Who may log in: names, roles and hashes of passwords, in the gateway's file or in one of their own.
//!
//! ```text
//! # name:role:hash, one a line; `forebay password` prints the hash
//! anna:operator:$argon2id$v=19$m=19456,t=2,p=1$…$…
//! ```
//!
//! A file that cannot be read, or has a line that cannot be understood, lets nobody in: an empty or broken list never means
//! that all may.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::pipeline::command::Role;

/// The longest password, bytes.
pub(crate) const PASSWORD_BYTES_MAX: usize = 256;

/// The shortest password that is hashed, characters.
pub(crate) const PASSWORD_CHARS_MIN: usize = 10;

/// The longest file of users, bytes.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// What one verification may cost, KiB and rounds: a hash from elsewhere must not stop the gateway.
const MEMORY_KIB_MAX: u32 = 64 * 1024;
const ROUNDS_MAX: u32 = 10;
const LANES_MAX: u32 = 4;

/// Somebody who may log in.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Their name.
    pub name: Box<str>,
    /// What they may do.
    pub role: Role,
    /// The hash of their password, `$argon2id$…`.
    pub hash: Box<str>,
}

impl std::fmt::Debug for User {
    /// Without the hash: it would be the start of guessing.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "User({}, {:?})", self.name, self.role)
    }
}

/// All who may log in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Users {
    /// Those in the gateway's file.
    pub written: Vec<User>,
    /// A file with more of them, read at each login.
    pub file: Option<PathBuf>,
}

impl Users {
    /// Whether nobody can ever log in.
    pub fn is_empty(&self) -> bool {
        self.written.is_empty() && self.file.is_none()
    }

    /// The user of this name. Waits for the file.
    ///
    /// # Errors
    /// The file cannot be used; for the operator.
    pub(super) fn find(&self, name: &str) -> Result<Option<User>, String> {
        if let Some(user) = self.written.iter().find(|user| &*user.name == name) {
            return Ok(Some(user.clone()));
        }
        let Some(path) = &self.file else { return Ok(None) };
        let users = read(path).map_err(|cause| format!("the file of users {}: {cause}", path.display()))?;
        Ok(users.into_iter().find(|user| &*user.name == name))
    }
}

fn read(path: &Path) -> Result<Vec<User>, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|cause| cause.to_string())?;
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|cause| cause.to_string())?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("it is longer than {FILE_BYTES_MAX} bytes"));
    }
    parse(&text)
}

fn parse(text: &str) -> Result<Vec<User>, String> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines.map(|(number, line)| user(line).map_err(|wrong| format!("line {number}: {wrong}"))).collect()
}

fn user(line: &str) -> Result<User, String> {
    let mut parts = line.splitn(3, ':');
    let (Some(name), Some(role), Some(hash)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("write name:role:hash".into());
    };
    if name.is_empty() {
        return Err("the name is empty".into());
    }
    let role = Role::from_name(role).ok_or("the role is viewer, operator, engineer or admin")?;
    check(hash)?;
    Ok(User { name: name.into(), role, hash: hash.into() })
}

/// Whether this is a hash that can be used.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check(hash: &str) -> Result<(), String> {
    let advice = "`forebay password` prints one";
    let parsed = PasswordHash::new(hash).map_err(|cause| format!("the hash cannot be read: {cause}; {advice}"))?;
    if parsed.algorithm != Algorithm::Argon2id.ident() || parsed.hash.is_none() {
        return Err(format!("the hash is none of argon2id; {advice}"));
    }
    let params = Params::try_from(&parsed).map_err(|cause| format!("the hash cannot be used: {cause}; {advice}"))?;
    if params.m_cost() > MEMORY_KIB_MAX || params.t_cost() > ROUNDS_MAX || params.p_cost() > LANES_MAX {
        return Err(format!("the hash costs more than m={MEMORY_KIB_MAX},t={ROUNDS_MAX},p={LANES_MAX}; {advice}"));
    }
    Ok(())
}

/// The hash of a password, with a salt of its own. Takes 19 MiB for some tens of milliseconds.
///
/// # Errors
/// The password is too short or too long, or the system gives no randomness.
pub(crate) fn hash(password: &str) -> Result<String, String> {
    if password.chars().count() < PASSWORD_CHARS_MIN || password.len() > PASSWORD_BYTES_MAX {
        return Err(format!(
            "a password has at least {PASSWORD_CHARS_MIN} characters and at most {PASSWORD_BYTES_MAX} bytes"
        ));
    }
    let mut salt = [0; 16];
    SystemRandom::new().fill(&mut salt).map_err(|_| "the system gives no randomness")?;
    let salt = SaltString::encode_b64(&salt).map_err(|cause| cause.to_string())?;
    Argon2::default()
        .hash_password(password.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(|cause| cause.to_string())
}

/// Whether a password is the one of a user. Without a user the same time passes, so that nobody learns who there is.
pub(super) fn verify(user: Option<&User>, password: &str) -> bool {
    let hash = user.map_or(NOBODY, |user| &user.hash);
    let same =
        PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok());
    same && user.is_some()
}

/// The hash of a password that nobody has.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$Zm9yZWJheWZvcmViYXk$7mGjRcnMNmCWwvP4K1OUTCXaHn7ZfQ8lqXTeA3iXQ2E";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash_and_no_other() {
        let user =
            User { name: "anna".into(), role: Role::Operator, hash: hash("correct horse").expect("a hash").into() };
        assert_eq!(check(&user.hash), Ok(()));
        assert_eq!(check(NOBODY), Ok(()));
        assert!(verify(Some(&user), "correct horse"));
        assert!(!verify(Some(&user), "correct horsf") && !verify(None, "correct horse"));
        assert!(!format!("{user:?}").contains("argon2"));
    }

    #[test]
    fn short_passwords_and_costly_hashes_are_refused() {
        assert!(hash("short").is_err() && hash(&"x".repeat(PASSWORD_BYTES_MAX + 1)).is_err());
        for wrong in ["", "secret", "$2b$10$abc", "$argon2id$v=19$m=19456,t=2,p=1$Zm9yZWJheQ"] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
        for costly in ["m=1048576,t=2,p=1", "m=19456,t=11,p=1", "m=19456,t=2,p=5"] {
            assert!(check(&NOBODY.replace("m=19456,t=2,p=1", costly)).is_err(), "{costly}");
        }
    }

    #[test]
    fn a_broken_file_lets_nobody_in() {
        let good = format!("# who\n\nanna:operator:{NOBODY}\nbert:admin:{NOBODY}\n");
        assert_eq!(
            parse(&good).expect("users").iter().map(|user| (&*user.name, user.role)).collect::<Vec<_>>(),
            [("anna", Role::Operator), ("bert", Role::Admin)]
        );
        for (broken, place) in [
            ("x\n", "line 5"),
            (&*format!("c:king:{NOBODY}\n"), "line 5"),
            ("c:admin:x", "line 5"),
            (":admin:x", "line 5"),
        ] {
            let wrong = parse(&format!("{good}{broken}")).expect_err("broken");
            assert!(wrong.starts_with(place), "{wrong}");
        }
        let users = Users { written: Vec::new(), file: Some("/nowhere/users".into()) };
        assert!(!users.is_empty() && users.find("anna").is_err_and(|wrong| wrong.contains("/nowhere/users")));
    }
}
