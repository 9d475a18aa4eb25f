//! TLS of our own: the certificate and key of the settings, read again when they were renewed.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::{
    config::Server,
    error::{Error, Kind, Result},
};

/// Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    key: Arc<ArcSwap<CertifiedKey>>,
}

impl Tls {
    /// None without `tls_cert`.
    pub fn load(server: &Server) -> Result<Option<Self>> {
        let key = read(server)?;
        Ok(key.map(|key| Self { key: Arc::new(ArcSwap::from_pointee(key)) }))
    }

    /// New connections get what lies in the files now; on an error, what they got before.
    pub fn reload(&self, server: &Server) -> Result<()> {
        if let Some(key) = read(server)? {
            self.key.store(Arc::new(key));
        }
        Ok(())
    }

    pub fn config(&self) -> Result<ServerConfig> {
        // Named, not the process's default: both ring and another may be in the graph, and rustls would panic.
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let versions = builder.with_safe_default_protocol_versions().map_err(|error| failed(&error))?;
        Ok(versions.with_no_client_auth().with_cert_resolver(Arc::new(Resolver(self.key.clone()))))
    }
}

fn read(server: &Server) -> Result<Option<CertifiedKey>> {
    let (Some(cert), Some(key)) = (&server.tls_cert, &server.tls_key) else { return Ok(None) };
    let unread = |file: &std::path::Path, why: &dyn std::fmt::Display| {
        Error::new(Kind::Invalid, format!("cannot be read as PEM: {why}")).at(file.display())
    };
    let chain = CertificateDer::pem_file_iter(cert).map_err(|error| unread(cert, &error))?;
    let chain = chain.collect::<std::result::Result<Vec<_>, _>>().map_err(|error| unread(cert, &error))?;
    if chain.is_empty() {
        return Err(unread(cert, &"it holds no certificate"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unread(key, &error))?;
    CertifiedKey::from_der(chain, private, &ring::default_provider()).map(Some).map_err(|error| {
        Error::new(Kind::Invalid, format!("tls_cert and tls_key do not fit: {error}")).at(cert.display())
    })
}

fn failed(error: &rustls::Error) -> Error {
    Error::new(Kind::Internal, format!("setting up TLS: {error}"))
}

struct Resolver(Arc<ArcSwap<CertifiedKey>>);

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolver")
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}
