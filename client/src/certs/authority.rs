//! The authority itself: makes and signs certificates and revocation lists.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use atelier_proto::clock::Clock;
use atelier_proto::holder::Holder;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, RevocationReason, RevokedCertParams, SanType, SerialNumber,
};
use rustix::fs::{FlockOperation, flock};
use time::OffsetDateTime;

use super::error::CertsError;
use super::files::{self, Readers};
use super::index::{Entry, Index, Kind};
use super::names::HostName;

/// The clocks of machines that have just been set up may be behind ours.
const BACKDATED_BY: SignedDuration = SignedDuration::from_mins(10);
/// 128 random bits, of at most 160: <https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.2>.
const SERIAL_BYTES: usize = 16;
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// An authority in a folder, which is its alone while it is open.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
    clock: Clock,
    _lock: File,
}

/// A certificate that was made.
#[derive(Debug)]
pub struct Made {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// What is remembered of it.
    pub entry: Entry,
    /// What of the same kind and name was made before and may still be used.
    pub before: Vec<Entry>,
}

impl Authority {
    /// Makes an authority that is valid for so many days, and opens it.
    ///
    /// # Errors
    /// When there is one, unless `force` is said: whatever the old one has issued is then worth nothing.
    pub fn make(folder: &Path, days: u32, force: bool, clock: Clock) -> Result<Self, CertsError> {
        fs::create_dir_all(folder).map_err(|source| CertsError::Write {
            path: folder.to_owned(),
            source,
        })?;
        let authority = Self::locked(folder, clock)?;
        if !force && authority.certificate().exists() {
            return Err(CertsError::Exists {
                path: authority.certificate(),
                hint: "say --force to put another authority in its place, after which nothing that it issued is worth anything",
            });
        }
        let now = authority.clock.now();
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        validity(
            &mut params,
            now,
            now + DAY * i32::try_from(days).unwrap_or(i32::MAX),
        );
        params.serial_number = Some(serial()?);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        // Two authorities must not have one name: whoever trusts both would not know whose a certificate is.
        let number = hex::encode(&serial()?.to_bytes()[..4]);
        params.distinguished_name = common_name(&format!("Atelier authority {number}"));
        let certificate = params.self_signed(&key)?;
        let write = |path: &Path, text: &str, readers| files::write(path, text, readers, true);
        write(&authority.key(), &key.serialize_pem(), Readers::Owner)?;
        write(&authority.certificate(), &certificate.pem(), Readers::All)?;
        let index = Index::default();
        index.write(&authority.index())?;
        authority.write_revocation_list(&index)?;
        Ok(authority)
    }

    /// Opens the one in a folder.
    pub fn open(folder: &Path, clock: Clock) -> Result<Self, CertsError> {
        if !folder.join(CERTIFICATE).exists() {
            return Err(CertsError::NoAuthority {
                folder: folder.to_owned(),
            });
        }
        Self::locked(folder, clock)
    }

    /// After whoever else is at it.
    fn locked(folder: &Path, clock: Clock) -> Result<Self, CertsError> {
        let failed = |source| CertsError::Read {
            path: folder.to_owned(),
            source,
        };
        let lock = File::open(folder).map_err(failed)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
        Ok(Self {
            folder: folder.to_owned(),
            clock,
            _lock: lock,
        })
    }

    /// Its certificate, for everybody.
    pub fn certificate(&self) -> PathBuf {
        self.folder.join(CERTIFICATE)
    }

    /// What was revoked, for coordinators.
    pub fn revocation_list(&self) -> PathBuf {
        self.folder.join("crl.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.join("ca-key.pem")
    }

    fn index(&self) -> PathBuf {
        self.folder.join("index.json")
    }

    /// Everything that it issued, oldest first.
    pub fn issued(&self) -> Result<Vec<Entry>, CertsError> {
        Ok(Index::read(&self.index())?.issued)
    }

    /// Makes a certificate for a coordinator that is called by these names, at least one.
    pub fn server(&self, names: &[HostName], days: u32, force: bool) -> Result<Made, CertsError> {
        let in_certificate = names.iter().map(HostName::in_certificate);
        let first = names.first();
        let wanted = Wanted {
            kind: Kind::Server,
            name: first.map(HostName::to_string).unwrap_or_default(),
            file: first.map(HostName::in_file_name).unwrap_or_default(),
            host_names: names.iter().map(HostName::to_string).collect(),
            in_certificate: in_certificate.collect::<Result<_, _>>()?,
            usage: ExtendedKeyUsagePurpose::ServerAuth,
        };
        self.issue(wanted, days, force)
    }

    /// Makes a certificate for a node or a person.
    pub fn client(&self, holder: &Holder, days: u32, force: bool) -> Result<Made, CertsError> {
        let wanted = Wanted {
            kind: holder.role().into(),
            name: holder.name().to_owned(),
            file: holder.name().to_owned(),
            host_names: Vec::new(),
            in_certificate: vec![SanType::URI(holder.to_string().try_into()?)],
            usage: ExtendedKeyUsagePurpose::ClientAuth,
        };
        self.issue(wanted, days, force)
    }

    fn issue(&self, wanted: Wanted, days: u32, force: bool) -> Result<Made, CertsError> {
        let stem = format!("{}-{}", wanted.kind, wanted.file);
        let certificate_path = self.folder.join(format!("{stem}.pem"));
        let key_path = self.folder.join(format!("{stem}-key.pem"));
        for path in [&certificate_path, &key_path] {
            if !force && path.exists() {
                return Err(files::exists(path));
            }
        }
        let now = self.clock.now();
        let end = self.expires_at()?;
        if end <= now {
            return Err(CertsError::Expired { on: end });
        }
        let serial = serial()?;
        let entry = Entry {
            serial: hex::encode(serial.to_bytes()),
            kind: wanted.kind,
            name: wanted.name,
            host_names: wanted.host_names,
            issued_at: now,
            // None is valid for longer than who vouches for it.
            expires_at: end.min(now + DAY * i32::try_from(days).unwrap_or(i32::MAX)),
            revoked_at: None,
        };
        let mut params = CertificateParams::default();
        validity(&mut params, now, entry.expires_at);
        params.serial_number = Some(serial);
        // Unlike `NoCa` it says so in the certificate, and gives it a key identifier.
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![wanted.usage];
        params.use_authority_key_identifier_extension = true;
        params.distinguished_name = common_name(&entry.name);
        params.subject_alt_names = wanted.in_certificate;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &self.issuer()?)?;

        // What is not remembered could not be revoked, so that comes first.
        let mut index = Index::read(&self.index())?;
        let is_before = |before: &&Entry| {
            before.kind == entry.kind
                && before.name == entry.name
                && before.standing(now) == super::Standing::Valid
        };
        let before = index.issued.iter().filter(is_before).cloned().collect();
        index.issued.push(entry.clone());
        index.write(&self.index())?;
        files::write(&key_path, &key.serialize_pem(), Readers::Owner, force)?;
        files::write(&certificate_path, &certificate.pem(), Readers::All, force)?;
        Ok(Made {
            certificate: certificate_path,
            key: key_path,
            entry,
            before,
        })
    }

    /// Revokes what has this serial number, or all that may still be used of this name, and writes the revocation list
    /// anew; what that was.
    pub fn revoke(&self, name: &str) -> Result<Vec<Entry>, CertsError> {
        let mut index = Index::read(&self.index())?;
        let revoked = index.revoke(name, self.clock.now())?;
        index.write(&self.index())?;
        self.write_revocation_list(&index)?;
        Ok(revoked)
    }

    fn write_revocation_list(&self, index: &Index) -> Result<(), CertsError> {
        let now = self.clock.now();
        let revoked = index.issued.iter().filter_map(|entry| {
            let serial = hex::decode(&entry.serial).ok()?;
            Some(RevokedCertParams {
                serial_number: SerialNumber::from_slice(&serial),
                revocation_time: date(entry.revoked_at?),
                reason_code: Some(RevocationReason::Unspecified),
                invalidity_date: None,
            })
        });
        let params = CertificateRevocationListParams {
            this_update: date(now),
            // There is no service that would write it anew, so that it is good until it is written again.
            next_update: date(self.expires_at()?),
            // It must grow, and does with time.
            crl_number: SerialNumber::from_slice(&now.as_millisecond().to_be_bytes()),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer()?)?;
        files::write(&self.revocation_list(), &list.pem()?, Readers::All, true)
    }

    fn issuer(&self) -> Result<Issuer<'static, KeyPair>, CertsError> {
        let damaged = |path: PathBuf, error: rcgen::Error| CertsError::Damaged {
            path,
            problem: error.to_string(),
        };
        let key = KeyPair::from_pem(&files::read(&self.key())?);
        let key = key.map_err(|error| damaged(self.key(), error))?;
        Issuer::from_ca_cert_pem(&files::read(&self.certificate())?, key)
            .map_err(|error| damaged(self.certificate(), error))
    }

    fn expires_at(&self) -> Result<Timestamp, CertsError> {
        let path = self.certificate();
        let damaged = |problem: String| CertsError::Damaged {
            path: path.clone(),
            problem,
        };
        let pem = files::read(&path)?;
        let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes())
            .map_err(|error| damaged(error.to_string()))?;
        let certificate = pem
            .parse_x509()
            .map_err(|error| damaged(error.to_string()))?;
        let end = certificate.validity().not_after.timestamp();
        Timestamp::from_second(end).map_err(|error| damaged(error.to_string()))
    }
}

const CERTIFICATE: &str = "ca.pem";

/// What is to be issued.
struct Wanted {
    kind: Kind,
    name: String,
    file: String,
    host_names: Vec<String>,
    in_certificate: Vec<SanType>,
    usage: ExtendedKeyUsagePurpose,
}

fn validity(params: &mut CertificateParams, from: Timestamp, until: Timestamp) {
    params.not_before = date(from - BACKDATED_BY);
    params.not_after = date(until);
}

fn date(time: Timestamp) -> OffsetDateTime {
    // Both reach from before the Christian era to the year 9999.
    OffsetDateTime::from_unix_timestamp(time.as_second()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// A positive number that nobody can foresee.
fn serial() -> Result<SerialNumber, CertsError> {
    let mut bytes = [0; SERIAL_BYTES];
    getrandom::fill(&mut bytes)?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}
