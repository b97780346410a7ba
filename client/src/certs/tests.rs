use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use atelier_proto::clock::Clock;
use atelier_proto::holder::{Holder, Role};
use atelier_proto::pem::PemFile;
use rustls::CertificateError as Why;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use tempfile::TempDir;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::*;
use crate::exit::Exit;

const START: &str = "2030-06-01T12:00:00Z";
const DAY: Duration = Duration::from_hours(24);

struct Studio {
    folder: TempDir,
    clock: Clock,
    authority: Authority,
}

fn studio() -> Studio {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::manual(START.parse().unwrap());
    let authority = Authority::make(folder.path(), 3650, false, clock.clone()).unwrap();
    Studio {
        folder,
        clock,
        authority,
    }
}

fn node(name: &str) -> Holder {
    Holder::new(Role::Node, name).unwrap()
}

fn certificate(path: &Path) -> CertificateDer<'static> {
    PemFile::read(path)
        .unwrap()
        .certificates()
        .unwrap()
        .remove(0)
}

impl Studio {
    fn now(&self) -> UnixTime {
        let seconds = self.clock.now().as_second();
        UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(seconds).unwrap()))
    }

    /// What a coordinator says to this certificate.
    fn as_client(&self, made: &Made) -> Result<(), rustls::Error> {
        let read = |path: &Path| PemFile::read(path).unwrap();
        let roots = Arc::new(read(&self.authority.certificate()).authorities().unwrap());
        let lists = read(&self.authority.revocation_list()).revocation_lists();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
            .with_crls(lists.unwrap())
            .build()
            .unwrap();
        let own = certificate(&made.certificate);
        verifier.verify_client_cert(&own, &[], self.now()).map(drop)
    }

    /// What a client says to it that calls this host.
    fn as_server(&self, made: &Made, host: &str) -> Result<(), rustls::Error> {
        let file = PemFile::read(&self.authority.certificate()).unwrap();
        let roots = Arc::new(file.authorities().unwrap());
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider)
            .build()
            .unwrap();
        let own = certificate(&made.certificate);
        let host = ServerName::try_from(host).unwrap();
        verifier
            .verify_server_cert(&own, &[], &host, &[], self.now())
            .map(drop)
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_is_issued_is_good_for_what_it_is_for_and_for_nothing_else() {
    let studio = studio();
    let names = ["studio.lan", "*.farm.lan", "10.0.0.7", "::1"];
    let names: Vec<HostName> = names.iter().map(|name| name.parse().unwrap()).collect();
    let server = studio.authority.server(&names, 365, false).unwrap();
    for host in ["studio.lan", "a.farm.lan", "10.0.0.7", "::1"] {
        studio.as_server(&server, host).unwrap();
    }
    for host in ["other.lan", "farm.lan", "10.0.0.8"] {
        assert!(studio.as_server(&server, host).is_err(), "{host}");
    }
    let painter = studio
        .authority
        .client(&node("studio-1"), 365, false)
        .unwrap();
    studio.as_client(&painter).unwrap();
    assert!(studio.as_client(&server).is_err());
    assert!(studio.as_server(&painter, "studio-1").is_err());

    let der = certificate(&painter.certificate);
    let (_, parsed) = X509Certificate::from_der(&der).unwrap();
    let names = parsed.subject_alternative_name().unwrap().unwrap();
    let text = format!("{:?}", names.value.general_names);
    assert!(text.contains("urn:atelier:node:studio-1"), "{text}");
    let oids: Vec<String> = parsed
        .extensions()
        .iter()
        .map(|it| it.oid.to_id_string())
        .collect();
    // Basic constraints, key usage, extended key usage, and whose key it is and who signed it.
    for oid in [
        "2.5.29.19",
        "2.5.29.15",
        "2.5.29.37",
        "2.5.29.14",
        "2.5.29.35",
    ] {
        assert!(
            oids.iter().any(|it| it == oid),
            "{oid} is missing in {oids:?}"
        );
    }
    assert_eq!(
        parsed.raw_serial_as_string().replace(':', ""),
        painter.entry.serial
    );
}

#[test]
fn keys_are_for_their_owner_alone_and_nothing_is_lost_unasked() {
    let studio = studio();
    let folder = studio.folder.path();
    assert_eq!(mode(&folder.join("ca-key.pem")), 0o600);
    assert_eq!(mode(&folder.join("ca.pem")), 0o644);
    let first = studio.authority.client(&node("a"), 10, false).unwrap();
    assert_eq!(mode(&first.key), 0o600);
    let kept = std::fs::read(&first.key).unwrap();
    let again = studio.authority.client(&node("a"), 10, false).unwrap_err();
    assert!(matches!(again, CertsError::Exists { .. }), "{again}");
    assert_eq!(again.exit(), Exit::BadInput);
    assert_eq!(std::fs::read(&first.key).unwrap(), kept);
    let second = studio.authority.client(&node("a"), 10, true).unwrap();
    assert_ne!(std::fs::read(&second.key).unwrap(), kept);
    // The one before is still good, and that is said.
    assert_eq!(second.before, [first.entry]);
    // Somebody else of this name has files of their own.
    let ann = Holder::new(Role::Client, "a").unwrap();
    assert!(studio.authority.client(&ann, 10, false).is_ok());
    drop(studio.authority);

    let clock = studio.clock.clone();
    let authority = std::fs::read(folder.join("ca.pem")).unwrap();
    let other = Authority::make(folder, 10, false, clock.clone()).unwrap_err();
    assert!(matches!(other, CertsError::Exists { .. }), "{other}");
    assert_eq!(std::fs::read(folder.join("ca.pem")).unwrap(), authority);
    let none = Authority::open(&folder.join("none"), clock).unwrap_err();
    assert_eq!(none.exit(), Exit::NotFound);
}

#[test]
fn what_was_revoked_is_refused_by_its_name_or_its_number() {
    let studio = studio();
    let issue = |name: &str, force| studio.authority.client(&node(name), 365, force).unwrap();
    let (one, other, third) = (
        issue("one", false),
        issue("other", false),
        issue("third", false),
    );
    let one_more = issue("one", true);
    let serials = |revoked: Vec<Entry>| -> Vec<String> {
        revoked.into_iter().map(|entry| entry.serial).collect()
    };
    let revoked = serials(studio.authority.revoke("one").unwrap());
    assert_eq!(
        revoked,
        [one.entry.serial.clone(), one_more.entry.serial.clone()]
    );
    let number = other.entry.serial.to_uppercase();
    assert_eq!(
        serials(studio.authority.revoke(&number).unwrap()),
        std::slice::from_ref(&other.entry.serial)
    );
    for bad in [&one_more, &other] {
        let refused = studio.as_client(bad).unwrap_err();
        assert_eq!(refused, rustls::Error::InvalidCertificate(Why::Revoked));
    }
    studio.as_client(&third).unwrap();
    // Not twice, and nothing that never was.
    for name in ["one", "nobody", ""] {
        let unknown = studio.authority.revoke(name).unwrap_err();
        assert!(matches!(unknown, CertsError::Unknown { .. }), "{unknown}");
    }
    let ann = Holder::new(Role::Operator, "third").unwrap();
    studio.authority.client(&ann, 365, false).unwrap();
    let several = studio.authority.revoke("third").unwrap_err();
    assert!(several.to_string().contains("node, operator"), "{several}");
    studio.as_client(&third).unwrap();
}

#[test]
fn nothing_is_valid_for_longer_than_who_vouches_for_it() {
    let studio = studio();
    let early = studio.authority.client(&node("early"), 30, false).unwrap();
    studio.clock.advance(31 * DAY);
    let now = studio.clock.now();
    assert_eq!(early.entry.standing(now), Standing::Expired);
    let refused = studio.as_client(&early).unwrap_err();
    assert!(refused.to_string().contains("xpired"), "{refused}");
    studio.clock.advance(3600 * DAY);
    let late = studio.authority.client(&node("late"), 365, false).unwrap();
    let days = late
        .entry
        .expires_at
        .duration_since(studio.clock.now())
        .as_hours()
        / 24;
    assert_eq!(days, 3650 - 3631);
    studio.as_client(&late).unwrap();
    studio.clock.advance(20 * DAY);
    let never = studio
        .authority
        .client(&node("never"), 365, false)
        .unwrap_err();
    assert!(matches!(never, CertsError::Expired { .. }), "{never}");
}
