//! A directory with a gateway file and its buffer; a gateway started here again finds what the last one left.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::gateway::{self, Gateway};

/// A gateway's file and directory; both go with the value.
pub struct Site {
    folder: TempDir,
}

impl Site {
    /// A site whose file holds this text and, where the text has none, a `buffer:` in the site's folder.
    pub fn new(yaml: &str) -> Site {
        let site = Site { folder: TempDir::with_prefix("forebay-test-").expect("a temporary directory") };
        site.write(yaml);
        site
    }

    /// Replaces the file.
    pub fn write(&self, yaml: &str) {
        let buffer = self.buffer();
        let mut text = yaml.replace("$BUFFER", &buffer.display().to_string());
        if !text.contains("\nbuffer:") {
            text.push_str(&format!("\nbuffer: {{ path: {} }}\n", buffer.display()));
        }
        std::fs::write(self.file(), text).expect("the gateway file can be written");
    }

    /// Where the site stands.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The gateway file.
    pub fn file(&self) -> PathBuf {
        self.folder().join("gateway.yaml")
    }

    /// The buffer's folder.
    pub fn buffer(&self) -> PathBuf {
        self.folder().join("buffer")
    }

    /// `forebay run` on the site's file.
    pub fn start(&self) -> Gateway {
        Gateway::start(self.folder(), &self.file(), &[])
    }

    /// The same under another program, such as `faketime`, given with its arguments and environment.
    pub fn start_with(&self, environment: &[(&str, &str)]) -> Gateway {
        Gateway::start(self.folder(), &self.file(), environment)
    }

    /// The same of an earlier version's program.
    pub fn start_program(&self, program: &Path) -> Gateway {
        Gateway::start_program(program, self.folder(), &self.file(), &[])
    }

    /// Runs `forebay` with these arguments to its end.
    pub fn forebay(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(gateway::binary());
        command.current_dir(self.folder()).args(arguments);
        command.output().expect("the binary can be started")
    }
}
