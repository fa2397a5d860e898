//! TLS to PostgreSQL.
//!
//! Owns what is believed of a server's certificate. Called by the connector. Invariant: `verified`
//! believes a chain to a trusted root and the host's own name, nothing less.

use super::connector::wrong;
use crate::domain::Result;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use std::path::Path;
use std::sync::Arc;
use tokio_postgres::Socket;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres_rustls::MakeRustlsConnect;

/// An encrypted stream.
pub(super) type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// Believes a chain to one of the `roots`, or of the system's, and the name of the host.
pub(super) fn verified(roots: Option<&Path>) -> Result<MakeRustlsConnect> {
    match roots {
        Some(file) => {
            let config = ClientConfig::builder()
                .with_root_certificates(store(file)?)
                .with_no_client_auth();
            Ok(MakeRustlsConnect::new(config))
        }
        None => MakeRustlsConnect::with_native_certs()
            .map(|(connect, _)| connect)
            .map_err(|_| {
                wrong("asks for sslmode=verify-full, but this system has no certificate store: install ca-certificates or name a file with sslrootcert")
            }),
    }
}

/// Encrypts, but believes any certificate, as libpq does; with `roots`, one with a chain to them, under
/// whatever name.
pub(super) fn encrypted(roots: Option<&Path>) -> Result<MakeRustlsConnect> {
    let provider = CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
    let chain = match roots {
        Some(file) => {
            let roots = Arc::new(store(file)?);
            let built =
                WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
            Some(built.map_err(|e| wrong(format!("names no usable sslrootcert ({e})")))?)
        }
        None => None,
    };
    let config = ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyName { chain, provider }))
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn store(file: &Path) -> Result<RootCertStore> {
    let unusable = |e: &dyn std::fmt::Display| {
        wrong(format!(
            "names the sslrootcert {}, which is not usable: {e}",
            file.display()
        ))
    };
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file).map_err(|e| unusable(&e))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|e| unusable(&e))?;
        roots.add(certificate).map_err(|e| unusable(&e))?;
    }
    if roots.is_empty() {
        return Err(unusable(&"it holds no certificate"));
    }
    Ok(roots)
}

/// What `sslmode=require` and `prefer` mean in libpq: encryption against who listens, no proof against
/// who pretends.
#[derive(Debug)]
struct AnyName {
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            outcome => outcome,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
