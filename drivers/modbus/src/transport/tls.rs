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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::ServerConfig;
    use rustls::server::WebPkiClientVerifier;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::transport::KeepAlive;

    /// An authority, and the folder with the files that the gateway is given.
    struct Plant {
        authority: CertifiedIssuer<'static, KeyPair>,
        folder: tempfile::TempDir,
    }

    /// What a device asks of its clients.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Wants {
        Nothing,
        ClientCertificate,
    }

    impl Plant {
        fn new() -> Self {
            let mut params = CertificateParams::new(Vec::new()).expect("parameters");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().expect("a key");
            let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
            let folder = tempfile::tempdir().expect("a folder");
            std::fs::write(folder.path().join("ca.pem"), authority.pem()).expect("a file");
            Self { authority, folder }
        }

        fn certificate(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
            let key = KeyPair::generate().expect("a key");
            let params = CertificateParams::new([name.to_owned()]).expect("parameters");
            (params.signed_by(&key, &self.authority).expect("a certificate"), key)
        }

        /// A device that greets each connection with one byte; its port.
        async fn device(&self, name: &str, wants: Wants) -> u16 {
            let (certificate, key) = self.certificate(name);
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let mut roots = RootCertStore::empty();
            roots.add(self.authority.der().clone()).expect("a root");
            let builder = ServerConfig::builder_with_provider(provider.clone())
                .with_safe_default_protocol_versions()
                .expect("versions");
            let builder = if wants == Wants::ClientCertificate {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.expect("a verifier"))
            } else {
                builder.with_no_client_auth()
            };
            let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
            let config = builder.with_single_cert(vec![certificate.der().clone()], key).expect("a configuration");
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
            let port = listener.local_addr().expect("an address").port();
            tokio::spawn(async move {
                let acceptor = TlsAcceptor::from(Arc::new(config));
                while let Ok((stream, _)) = listener.accept().await {
                    if let Ok(mut tls) = acceptor.accept(stream).await {
                        tls.write_all(&[42]).await.expect("a client");
                        tls.flush().await.expect("a client");
                    }
                }
            });
            port
        }

        fn endpoint(&self, port: u16) -> TlsEndpoint {
            TlsEndpoint {
                tcp: TcpEndpoint { host: "127.0.0.1".to_owned(), port, keep_alive: KeepAlive::Off },
                ca: self.folder.path().join("ca.pem"),
                client: None,
                server_name: None,
            }
        }

        fn client_certificate(&self) -> ClientCertificate {
            let (certificate, key) = self.certificate("forebay");
            let [chain, path] = ["client.pem", "client.key"].map(|name| self.folder.path().join(name));
            std::fs::write(&chain, certificate.pem()).expect("a file");
            std::fs::write(&path, key.serialize_pem()).expect("a file");
            ClientCertificate { chain, key: path }
        }
    }

    /// Connects and reads the greeting: with TLS 1.3 a refused client learns of it only when it reads.
    async fn greeting(endpoint: &TlsEndpoint) -> Result<u8, String> {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut stream = endpoint.connect(deadline).await.map_err(|error| error.to_string())?;
        stream.read_u8().await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_device_whose_certificate_is_signed_by_the_authority_is_trusted() {
        let plant = Plant::new();
        let port = plant.device("127.0.0.1", Wants::Nothing).await;
        assert_eq!(greeting(&plant.endpoint(port)).await, Ok(42));
    }

    #[tokio::test]
    async fn a_foreign_authority_and_a_wrong_name_are_refused_with_the_next_step() {
        let plant = Plant::new();
        let foreign = plant.device("127.0.0.1", Wants::Nothing).await;
        let stranger = Plant::new().endpoint(foreign);
        let missing = greeting(&stranger).await.expect_err("no file");
        assert!(missing.contains("ca.pem"), "{missing}");

        let other = Plant::new();
        let refused =
            greeting(&TlsEndpoint { ca: other.folder.path().join("ca.pem"), ..plant.endpoint(foreign) }).await;
        assert!(refused.as_ref().is_err_and(|text| text.contains("check `ca`")), "{refused:?}");

        let misnamed = plant.device("press.example", Wants::Nothing).await;
        assert!(greeting(&plant.endpoint(misnamed)).await.is_err());
        let named = TlsEndpoint { server_name: Some("press.example".to_owned()), ..plant.endpoint(misnamed) };
        assert_eq!(greeting(&named).await, Ok(42));
    }

    #[tokio::test]
    async fn a_device_that_wants_a_client_certificate_gets_it_and_refuses_without() {
        let plant = Plant::new();
        let port = plant.device("127.0.0.1", Wants::ClientCertificate).await;
        assert!(greeting(&plant.endpoint(port)).await.is_err());
        let known = TlsEndpoint { client: Some(plant.client_certificate()), ..plant.endpoint(port) };
        assert_eq!(greeting(&known).await, Ok(42));
    }
}
