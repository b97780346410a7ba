//! TLS for tests: an authority whose certificates are as good or bad as a test wants them, and a listener that ends TLS in
//! front of a program, as a load balancer does.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Bytes of a serial number.
const SERIAL_BYTES: usize = 16;

/// An authority.
#[derive(Debug)]
pub struct Authority {
    /// Its certificate, PEM.
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// What an authority issued, PEM.
#[derive(Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
    serial: SerialNumber,
}

/// Whether a certificate is to be valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// Now, and for centuries.
    Valid,
    /// It was, until 2001.
    Expired,
}

impl Authority {
    /// A new one, whose name is like that of no other.
    pub fn new() -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        let name = format!("Authority of a test {}", uuid::Uuid::new_v4());
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        Ok(Self { pem, issuer })
    }

    /// A certificate for what is called by these host names and addresses.
    pub fn server(&self, names: &[&str], validity: Validity) -> anyhow::Result<Issued> {
        let names = names.iter().map(|&name| {
            Ok(match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(name.try_into()?),
            })
        });
        let names = names.collect::<anyhow::Result<_>>()?;
        self.issue(names, ExtendedKeyUsagePurpose::ServerAuth, validity)
    }

    /// A certificate for whom these URIs name.
    pub fn client(&self, uris: &[&str], validity: Validity) -> anyhow::Result<Issued> {
        let uris = uris.iter().map(|&uri| Ok(SanType::URI(uri.try_into()?)));
        let uris = uris.collect::<anyhow::Result<_>>()?;
        self.issue(uris, ExtendedKeyUsagePurpose::ClientAuth, validity)
    }

    fn issue(
        &self,
        names: Vec<SanType>,
        usage: ExtendedKeyUsagePurpose,
        validity: Validity,
    ) -> anyhow::Result<Issued> {
        let key = KeyPair::generate()?;
        let mut serial = *uuid::Uuid::new_v4().as_bytes();
        serial[0] &= 0x7f;
        let serial = SerialNumber::from_slice(&serial[..SERIAL_BYTES]);
        let mut params = CertificateParams::default();
        params.serial_number = Some(serial.clone());
        params.subject_alt_names = names;
        params.extended_key_usages = vec![usage];
        if validity == Validity::Expired {
            params.not_after = date_time_ymd(2001, 1, 1);
        }
        Ok(Issued {
            certificate: params.signed_by(&key, &self.issuer)?.pem(),
            key: key.serialize_pem(),
            serial,
        })
    }

    /// A revocation list of these, PEM.
    pub fn revocation_list(&self, revoked: &[&Issued]) -> anyhow::Result<String> {
        let revoked = revoked.iter().map(|issued| RevokedCertParams {
            serial_number: issued.serial.clone(),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(3000, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(params.signed_by(&self.issuer)?.pem()?)
    }
}

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
        let authority = Authority::new()?;
        let issued = authority.server(&["localhost"], Validity::Valid)?;
        Ok(Self {
            authority: authority.pem,
            certificate: issued.certificate,
            key: issued.key,
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
        Self::with(url, &identity.certificate, &identity.key).await
    }

    /// The same with a certificate and its key, PEM.
    pub async fn with(url: &str, certificate: &str, key: &str) -> anyhow::Result<Self> {
        let upstream: SocketAddr = url
            .trim_start_matches("http://")
            .parse()
            .with_context(|| format!("{url} names no address"))?;
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes())?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
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
