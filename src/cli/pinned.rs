//! TLS to our own daemon: trusted is the one certificate that its settings name, by whatever name it is asked.

use std::{net::TcpStream, path::Path, sync::Arc};

use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};

use crate::error::{Error, Kind, Result};

pub fn connect(stream: TcpStream, certificate: &Path) -> Result<StreamOwned<ClientConnection, TcpStream>> {
    let failed = |why: &dyn std::fmt::Display| {
        Error::new(Kind::Unavailable, format!("TLS to the daemon: {why}")).at(certificate.display())
    };
    let address = stream.peer_addr().map_err(|error| failed(&error))?;
    let ours = CertificateDer::from_pem_file(certificate).map_err(|error| failed(&error))?;
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned { ours, provider }))
        .with_no_client_auth();
    let name = ServerName::IpAddress(address.ip().into());
    let connection = ClientConnection::new(Arc::new(config), name).map_err(|error| failed(&error))?;
    Ok(StreamOwned::new(connection, stream))
}

/// Neither names nor dates are looked at: the file of the settings says who it is.
#[derive(Debug)]
struct Pinned {
    ours: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        if shown.as_ref() == self.ours.as_ref() {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::General("the daemon shows another certificate than server.tls_cert".into()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
