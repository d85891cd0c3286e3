//! TLS for Modbus (MODBUS/TCP Security): port 802, both sides with certificates where the device demands it.
//!
//! The device's certificate must be signed by the given authority and carry the host's name or address. Roles are the
//! device's matter: it reads them from the client certificate.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{ConnectError, TcpEndpoint};

/// A host and port that speak TLS.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TlsEndpoint {
    /// Where; port 802 is the one registered for it.
    pub tcp: TcpEndpoint,
    /// File with the certificates (PEM) of the authorities that may sign the device's.
    pub ca: PathBuf,
    /// Our own certificate, where the device asks for one.
    pub client: Option<ClientCertificate>,
    /// The name that the device's certificate must carry, where it is not the host's.
    pub server_name: Option<String>,
}

/// A client certificate and its key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    /// File with the certificate, followed by those between it and the authority.
    pub chain: PathBuf,
    /// File with the private key.
    pub key: PathBuf,
}

impl TlsEndpoint {
    pub(super) async fn connect(&self, deadline: Instant) -> Result<TlsStream<TcpStream>, ConnectError> {
        let connector = TlsConnector::from(Arc::new(self.config()?));
        let name = self.name()?;
        let stream = self.tcp.connect(deadline).await?;
        match timeout_at(deadline, connector.connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(ConnectError::Tls { to: self.tcp.to_string(), error }),
            Err(_) => Err(ConnectError::Silent { to: self.tcp.to_string() }),
        }
    }

    fn config(&self) -> Result<ClientConfig, ConnectError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.ca)? {
            roots.add(certificate).map_err(|error| unusable(&self.ca, error))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| self.settings(error))?
            .with_root_certificates(roots);
        match &self.client {
            None => Ok(builder.with_no_client_auth()),
            Some(client) => {
                let key = PrivateKeyDer::from_pem_file(&client.key).map_err(|error| unusable(&client.key, error))?;
                builder.with_client_auth_cert(certificates(&client.chain)?, key).map_err(|error| self.settings(error))
            }
        }
    }

    fn name(&self) -> Result<ServerName<'static>, ConnectError> {
        let name = self.server_name.as_ref().unwrap_or(&self.tcp.host);
        ServerName::try_from(name.clone()).map_err(|error| self.settings(error))
    }

    fn settings(&self, error: impl std::fmt::Display) -> ConnectError {
        ConnectError::TlsSettings { to: self.tcp.to_string(), reason: error.to_string() }
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| unusable(path, error))?;
    if certificates.is_empty() {
        return Err(unusable(path, "there is no certificate in it; it must be a PEM file"));
    }
    Ok(certificates)
}

fn unusable(path: &Path, reason: impl std::fmt::Display) -> ConnectError {
    ConnectError::File { path: path.to_owned(), reason: reason.to_string() }
}
