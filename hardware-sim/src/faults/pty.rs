//! A pseudo-terminal with a name that does not change.

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tokio_serial::{SerialPort, SerialStream};

/// The near end of a pseudo-terminal whose far end has a path. Dropping it unplugs it.
#[derive(Debug)]
pub(super) struct Pty {
    pub(super) near: SerialStream,
    /// Held open, so that a program may close the port and open it again.
    _far: SerialStream,
    link: PathBuf,
}

impl Pty {
    /// Makes one, with a link to its far end.
    pub(super) fn plug(link: &Path) -> io::Result<Self> {
        let (near, far) = SerialStream::pair()?;
        let name = far.name().ok_or_else(|| io::Error::other("the pseudo-terminal has no name"))?;
        remove(link)?;
        symlink(name, link)?;
        Ok(Self { near, _far: far, link: link.to_owned() })
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // The directory may be gone already; then so is the link.
        drop(remove(&self.link));
    }
}

fn remove(link: &Path) -> io::Result<()> {
    match std::fs::remove_file(link) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
