use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use super::*;

fn with_token() -> AccessOptions {
    AccessOptions {
        token: Some("secret-1".into()),
        ..AccessOptions::default()
    }
}

fn route(options: AccessOptions, urls: &[&str]) -> Result<Route, AccessError> {
    Access::new(options)?.route(urls, |endpoint| endpoint)
}

#[tokio::test]
async fn a_token_goes_without_tls_to_this_machine_alone_unless_somebody_says_otherwise() {
    for local in [
        "http://127.0.0.1:7878",
        "http://localhost:7878",
        "http://[::1]:7878",
    ] {
        assert!(route(with_token(), &[local]).is_ok(), "{local}");
    }
    for beyond in [
        "http://10.0.0.7:7878",
        "http://studio",
        "http://localhost.evil.example",
    ] {
        let urls = ["http://127.0.0.1:7878", beyond];
        let error = route(with_token(), &urls).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(beyond) && text.contains("--insecure"),
            "{text}"
        );
        assert!(!text.contains("secret-1"), "{text}");
        assert!(route(AccessOptions::default(), &urls).is_ok());
        let insecure = AccessOptions {
            insecure: true,
            ..with_token()
        };
        assert!(route(insecure, &urls).is_ok());
    }
}

#[tokio::test]
async fn one_url_that_is_none_spoils_all() {
    for wrong in [
        "",
        "studio",
        "studio:7878",
        "ftp://studio",
        "http://",
        "https://",
        "http://a b",
        "https://exa_mple:1:2",
    ] {
        let error = route(AccessOptions::default(), &["http://127.0.0.1:1", wrong]).unwrap_err();
        assert!(
            matches!(&error, AccessError::BadUrl(url) if url == wrong),
            "{error}"
        );
    }
    assert!(route(AccessOptions::default(), &[]).is_err());
}

/// An authority and a certificate of it, as files.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        files.write();
        files
    }

    fn write(&self) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(Vec::new()).unwrap();
        let own = own.signed_by(&key, &issuer).unwrap().pem();
        std::fs::write(self.path("ca.pem"), authority).unwrap();
        std::fs::write(self.path("cert.pem"), own).unwrap();
        std::fs::write(self.path("key.pem"), key.serialize_pem()).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn options(&self) -> AccessOptions {
        AccessOptions {
            authorities: Some(self.path("ca.pem")),
            certificate: Some(self.path("cert.pem")),
            key: Some(self.path("key.pem")),
            ..AccessOptions::default()
        }
    }
}

#[test]
fn what_is_wrong_with_a_file_is_told_before_anything_is_called() {
    let (files, others) = (Files::new(), Files::new());
    assert!(Access::new(files.options()).is_ok());
    let refused = |options| Access::new(options).unwrap_err().to_string();
    let half = AccessOptions {
        key: None,
        ..files.options()
    };
    assert!(refused(half).contains("--cert and --key"));
    let mixed = AccessOptions {
        key: Some(others.path("key.pem")),
        ..files.options()
    };
    let text = refused(mixed);
    assert!(
        text.contains("it is not the key of") && text.contains("cert.pem"),
        "{text}"
    );
    let swapped = AccessOptions {
        authorities: Some(files.path("key.pem")),
        ..files.options()
    };
    let text = refused(swapped);
    assert!(text.contains("key.pem holds no certificate"), "{text}");
    let missing = AccessOptions {
        authorities: Some(files.path("none.pem")),
        ..files.options()
    };
    assert!(refused(missing).contains("none.pem"));
    std::fs::write(files.path("cert.pem"), "-----BEGIN CERTIFICATE-----\n%%%\n").unwrap();
    let text = refused(files.options());
    assert!(text.contains("cert.pem is no PEM file"), "{text}");
}

#[test]
fn certificates_are_taken_up_when_their_files_change_and_broken_ones_are_not() {
    let files = Files::new();
    let options = files.options();
    let trust = Trust::new(options.authorities, options.certificate, options.key).unwrap();
    let first = trust.config().unwrap();
    assert!(
        Arc::ptr_eq(&first, &trust.config().unwrap()),
        "nothing changed"
    );
    std::fs::write(files.path("cert.pem"), "half of").unwrap();
    let broken = trust.config().unwrap();
    assert!(Arc::ptr_eq(&first, &broken), "it goes on with what it has");
    files.write();
    let second = trust.config().unwrap();
    assert!(!Arc::ptr_eq(&first, &second), "it has new ones");
}

#[test]
fn what_tls_has_against_a_certificate_comes_with_what_to_do() {
    use rustls::AlertDescription as Alert;
    use rustls::CertificateError as Why;
    let ours = |alert| TlsFault::of_tls(&rustls::Error::AlertReceived(alert), true);
    for (alert, words, hint) in [
        (Alert::CertificateExpired, "has expired", "--cert"),
        (Alert::CertificateRevoked, "was revoked", "another"),
        (Alert::UnknownCA, "does not trust", "--client-ca"),
        (
            Alert::CertificateRequired,
            "without a client certificate",
            "--key",
        ),
        (
            Alert::UnsupportedCertificate,
            "does not accept",
            "clientAuth",
        ),
    ] {
        let fault = ours(alert);
        assert!(fault.problem.contains(words), "{alert:?}: {fault:?}");
        assert!(fault.hint.contains(hint), "{alert:?}: {fault:?}");
    }
    for (why, words) in [
        (Why::UnknownIssuer, "--ca"),
        (Why::Expired, "has expired"),
        (Why::NotValidYet, "clock"),
        (Why::Revoked, "was revoked"),
        (Why::NotValidForName, "for another name"),
    ] {
        let io = std::io::Error::other(rustls::Error::InvalidCertificate(why.clone()));
        let fault = TlsFault::in_causes(&io).unwrap();
        assert!(fault.hint.contains(words), "{why:?}: {fault:?}");
    }
    assert_eq!(TlsFault::in_causes(&std::io::Error::other("else")), None);
}
