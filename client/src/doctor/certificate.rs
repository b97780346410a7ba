//! The certificate that a coordinator shows, trusted or not.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::Certificate;

/// How long a handshake may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The port of `https://` URLs that name none.
const HTTPS_PORT: u16 = 443;

/// The certificate that is shown at a URL, or why none is; `None` where the URL asks for no TLS.
pub(super) async fn shown_at(url: &str) -> Option<Result<Certificate, String>> {
    let url = Url::parse(url).ok().filter(|url| url.scheme() == "https")?;
    let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
    let port = url.port().unwrap_or(HTTPS_PORT);
    let shown = tokio::time::timeout(TIMEOUT, shake_hands(host, port)).await;
    Some(shown.unwrap_or_else(|_| Err("the handshake took too long".to_owned())))
}

async fn shake_hands(host: String, port: u16) -> Result<Certificate, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(OnlyLooking(provider.clone()));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect((host.as_str(), port)).await;
    let stream = stream.map_err(|error| error.to_string())?;
    let name = ServerName::try_from(host).map_err(|error| error.to_string())?;
    let connector = TlsConnector::from(Arc::new(config));
    let connected = connector.connect(name, stream).await;
    let connected = connected.map_err(|error| error.to_string())?;
    let shown = connected.get_ref().1.peer_certificates();
    let first = shown.and_then(|chain| chain.first());
    read(first.ok_or("there is none")?)
}

fn read(der: &CertificateDer<'_>) -> Result<Certificate, String> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let names = alternatives.map(|found| found.value.general_names.iter().filter_map(name));
    let issuer = certificate.issuer();
    let common = issuer.iter_common_name().next();
    let common = common.and_then(|name| name.as_str().ok());
    let expires_at = Timestamp::from_second(certificate.validity().not_after.timestamp());
    Ok(Certificate {
        names: names.into_iter().flatten().collect(),
        issuer: common.map_or_else(|| issuer.to_string(), str::to_owned),
        expires_at: expires_at.unwrap_or(Timestamp::MAX),
    })
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let address = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            Some(address.map_or_else(|_| hex::encode(bytes), |address| address.to_string()))
        }
        _ => None,
    }
}

/// Takes any certificate whose key the server proves to have. Nothing is sent to it and nothing that it says is believed: what
/// is wrong with a certificate can only be told of one that was seen. Calls verify theirs.
#[derive(Debug)]
struct OnlyLooking(Arc<CryptoProvider>);

impl ServerCertVerifier for OnlyLooking {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
