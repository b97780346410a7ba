//! Goal: a certificate lets its holder make exactly the calls of the role that stands in it.

use atelier_coordinator::domain::access::{self, Identity, Role};
use atelier_proto::connect::{Access, AccessOptions, Route};
use atelier_tests::identity::{call, calls};
use tonic::Code;

use super::studio::{Studio, assert_refused};

/// The way to a coordinator of somebody with the certificate with this stem, or with none.
fn route(studio: &Studio, stem: Option<&str>) -> anyhow::Result<Route> {
    let file = |end: &str| stem.map(|stem| studio.path(&format!("{stem}{end}")));
    let access = Access::new(AccessOptions {
        authorities: Some(studio.path("ca.pem")),
        certificate: file(".pem"),
        key: file("-key.pem"),
        ..AccessOptions::default()
    })?;
    Ok(access.route(&[&studio.cluster.grpc], |endpoint| endpoint)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_lets_its_holder_make_exactly_the_calls_of_its_role() -> anyhow::Result<()> {
    let studio = Studio::asking().await?;
    studio.certs(&["node", "studio-1"]).await?;
    for (name, role) in [
        ("ann", "client"),
        ("eve", "operator"),
        ("prometheus", "read-only"),
    ] {
        studio.certs(&["client", name, "--role", role]).await?;
    }
    let calls = calls()?;
    for (stem, role) in [
        ("node-studio-1", Role::Node),
        ("client-ann", Role::Client),
        ("operator-eve", Role::Operator),
        ("read-only-prometheus", Role::ReadOnly),
    ] {
        let route = route(&studio, Some(stem))?;
        let identity = access::Caller::Known(Identity {
            name: "somebody".to_owned(),
            role,
        });
        for (name, path) in &calls {
            let code = call(route.clone(), path).await?;
            assert_ne!(code, Code::Unauthenticated, "{role} {name}");
            let is_allowed = code != Code::PermissionDenied;
            let expected = access::check(&identity, name).is_ok();
            assert_eq!(is_allowed, expected, "{role} {name}: {code:?}");
        }
    }
    let nobody = route(&studio, None)?;
    for (name, path) in &calls {
        let code = call(nobody.clone(), path).await?;
        assert_eq!(code, Code::Unauthenticated, "{name}");
    }

    let told = studio.atelier(Some("client-ann"), &["whoami"]).await?;
    assert_eq!(told.success()?.trim(), "ann (client), by a certificate");
    let told = studio.atelier(None, &["list"]).await?;
    assert_refused(&told, 4, "say who you are");
    let told = studio
        .atelier(Some("read-only-prometheus"), &["tokens", "list"])
        .await?;
    assert_refused(&told, 4, "Tokens.List is for operator");
    Ok(())
}
