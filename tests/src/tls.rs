//! TLS as a load balancer has it: an authority of our own, and a listener that ends TLS in front of a program.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What a server proves with who it is, all of it as PEM.
#[derive(Debug)]
pub struct Identity {
    /// The authority that clients have to trust.
    pub authority: String,
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Identity {
    /// A certificate for `localhost`, by an authority that is new.
    pub fn new() -> anyhow::Result<Self> {
        let signing_key = KeyPair::generate()?;
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_certificate = authority.self_signed(&signing_key)?;
        let issuer = Issuer::new(authority, signing_key);
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(["localhost".to_owned()])?;
        let certificate = certificate.signed_by(&key, &issuer)?;
        Ok(Self {
            authority: authority_certificate.pem(),
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

/// Ends TLS, and passes on what it carries.
#[derive(Debug)]
pub struct Terminator {
    /// Where it listens.
    pub address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Terminator {
    /// One for what speaks HTTP/2 at an URL.
    ///
    /// # Errors
    /// When the URL names no address, or the identity is none.
    pub async fn to(url: &str, identity: &Identity) -> anyhow::Result<Self> {
        let upstream: SocketAddr = url
            .trim_start_matches("http://")
            .parse()
            .with_context(|| format!("{url} names no address"))?;
        let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes())?;
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes())?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        // As a network load balancer with the policy HTTP2Only.
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(upstream).await?;
                    let mut client = acceptor.accept(client).await?;
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        Ok(Self { address, accepting })
    }

    /// Its URL, by the name that its certificate is for.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }
}

impl Drop for Terminator {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
