//! What an uplink is told: what was configured for it, and of the gateway around it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use buffer::{Cursor, SeqRange};
use driver_core::{Clock, DataType, EndpointUrl, SpecError};

use super::{BoxFuture, registry, structure};
use crate::pipeline::schema::Schema;

/// What was configured for one uplink.
#[derive(Clone)]
pub struct UplinkSpec {
    /// The gateway's name, such as `acme/berlin/line7`.
    pub gateway: Box<str>,
    /// The uplink's name in the configuration.
    pub name: Box<str>,
    /// Where it leads, with the uplink's own options in the query.
    pub url: EndpointUrl,
    /// The topic's template; `None` takes the default.
    pub topic: Option<Box<str>>,
    /// The name of the format; `None` takes [`super::format::FORMAT_DEFAULT`].
    pub format: Option<Box<str>>,
    /// The operator's own template for payloads, where the format takes one.
    pub payload: Option<Box<str>>,
    /// Who logs in; `None` logs in without a name.
    pub user: Option<Box<str>>,
    /// The password, fetched at each connect so that a renewed one is used.
    pub password: Option<Password>,
    /// Certificates for TLS, read at each connect.
    pub tls: TlsFiles,
    /// Where the schemas of its records are kept, for destinations whose readers look there.
    pub registry: Option<registry::RegistrySpec>,
    /// How topics are made that are not there; `None` makes none.
    pub create_topics: Option<TopicsSpec>,
    /// Whose log the messages come from, for the messages' properties: the gateway's UUID.
    pub identity: Box<str>,
    /// The epoch of this start of the gateway; 0 where it is not known.
    pub epoch: u32,
    /// The gateway around it; `None` while a configuration is only looked at.
    pub site: Option<Site>,
    /// What its log knows to be delivered, for who remembers more than the log does.
    pub delivered: Option<Delivered>,
    /// Keeps blocks of its log as they are, for who may have to send the same again.
    pub hold: Option<Hold>,
}

/// Reads the uplink's cursor as it is written; `None` when the log is closed.
pub type Delivered = Arc<dyn Fn() -> BoxFuture<'static, Option<Cursor>> + Send + Sync>;

/// Has the log leave the blocks of these seqs as they are, instead of those of the last call.
pub type Hold = Arc<dyn Fn(Vec<SeqRange>) + Send + Sync>;

/// What an uplink is told of the gateway that it serves.
#[derive(Clone)]
pub struct Site {
    /// The names of all tags of this configuration, in its order.
    pub schema: Arc<Schema>,
    /// The types of their readings, in the same order; empty where no format asks for them.
    pub types: Arc<[TagType]>,
    /// A folder for what an uplink has to remember across restarts. It may not exist yet.
    pub folder: PathBuf,
    /// The gateway's clock.
    pub clock: Arc<dyn Clock>,
}

/// The type of a tag's readings, after scaling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagType {
    /// Of the value, or of each element of an array.
    pub data_type: DataType,
    /// How many elements there are; 1 when it is no array.
    pub elements: u32,
    /// What its structures are made of, where that is declared.
    pub structure: Option<Arc<structure::Structure>>,
}

impl TagType {
    /// The type of a tag of which no structure is declared.
    pub fn plain(data_type: DataType, elements: u32) -> TagType {
        TagType { data_type, elements, structure: None }
    }
}

impl UplinkSpec {
    /// An uplink of which nothing but its place is configured.
    pub fn new(gateway: &str, name: &str, url: EndpointUrl) -> UplinkSpec {
        UplinkSpec {
            gateway: gateway.into(),
            name: name.into(),
            url,
            topic: None,
            format: None,
            payload: None,
            user: None,
            password: None,
            tls: TlsFiles::default(),
            registry: None,
            create_topics: None,
            epoch: 0,
            identity: "".into(),
            site: None,
            delivered: None,
            hold: None,
        }
    }
}

/// Where an uplink keeps something across restarts: a file of its own, whatever its name holds.
pub fn file_of(folder: &Path, uplink: &str, extension: &str) -> PathBuf {
    let part = |c: char| match c {
        c if c.is_alphanumeric() || matches!(c, '-' | '_') => c.to_string(),
        c => format!("%{:x}%", u32::from(c)),
    };
    let name: String = uplink.chars().map(part).collect();
    folder.join(name).with_extension(extension)
}

/// How topics are made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicsSpec {
    /// Partitions; `None` leaves it to the broker.
    pub partitions: Option<u16>,
    /// Copies of each partition; `None` leaves it to the broker.
    pub replication: Option<u16>,
    /// Settings of the topic, such as `retention.ms`.
    pub settings: Vec<(Box<str>, Box<str>)>,
}

/// The files of a TLS connection, all in PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Whom to trust; `None` trusts whom the operating system trusts.
    pub ca: Option<PathBuf>,
    /// The certificate to show, with its chain.
    pub cert: Option<PathBuf>,
    /// The key of that certificate.
    pub key: Option<PathBuf>,
}

/// A way to the password: a file, the environment, a credential of the service. The error is for the operator.
pub type Password = Arc<dyn Fn() -> Result<Vec<u8>, String> + Send + Sync>;

/// What is wrong with the configuration of an uplink.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {message}")]
pub struct UplinkError {
    /// The key under the uplink's name, such as `url` or `topic`.
    pub key: &'static str,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl From<SpecError> for UplinkError {
    fn from(error: SpecError) -> UplinkError {
        UplinkError { key: "url", message: error.message }
    }
}

impl fmt::Debug for UplinkSpec {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UplinkSpec").field("name", &self.name).field("url", &self.url).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_names_share_a_file_and_none_leaves_the_folder() {
        let names = ["lake", "la_ke", "la ke", "la/ke", "../lake", "la%20%ke", "größe"];
        let file = |name: &&str| file_of(Path::new("/folder"), name, "kafka");
        let mut files: Vec<PathBuf> = names.iter().map(file).collect();
        assert_eq!((&*files[0], &*files[1]), (Path::new("/folder/lake.kafka"), Path::new("/folder/la_ke.kafka")));
        assert!(files.iter().all(|file| file.parent() == Some(Path::new("/folder"))));
        files.sort();
        files.dedup();
        assert_eq!(files.len(), names.len());
    }
}
