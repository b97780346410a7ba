//! Goal: a coordinator lets nobody connect with a certificate that is expired, revoked, of another authority or not for
//! clients, and client and node say which of these it is; who shows none may connect.

use atelier_tests::programs::run;
use atelier_tests::tls::{Authority, Validity};

use super::studio::{Studio, assert_refused, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_certificate_ends_the_handshake_and_none_is_fine() -> anyhow::Result<()> {
    let studio = Studio::open().await?;
    for name in ["ann", "lost"] {
        studio.certs(&["client", name]).await?;
    }
    studio.certs(&["client", "short", "--days", "1"]).await?;
    let none: Option<&str> = None;
    for well in [none, Some("client-ann"), Some("client-short")] {
        studio.atelier(well, &["list"]).await?.success()?;
    }
    studio.certs(&["revoke", "lost"]).await?;

    // What `atelier certs` cannot make: of somebody else, who is not trusted; beside it, what is not for clients.
    let other = Authority::new()?;
    let stranger = other.client(&["urn:atelier:client:ann"], Validity::Valid)?;
    std::fs::write(studio.path("stranger.pem"), &stranger.certificate)?;
    std::fs::write(studio.path("stranger-key.pem"), &stranger.key)?;
    let list = async || studio.atelier(Some("client-lost"), &["list"]).await;
    until("the revocation", list, |ran| ran.code() == Some(4)).await?;
    for (stem, words) in [
        ("client-lost", "the client certificate was revoked"),
        (
            "stranger",
            "does not trust who issued the client certificate",
        ),
        ("server-localhost", "does not accept the client certificate"),
    ] {
        let told = studio.atelier(Some(stem), &["list"]).await?;
        assert_refused(&told, 4, words);
        let told = run(&mut studio.node(Some(stem))).await?;
        assert_refused(&told, 4, words);
    }
    studio
        .atelier(Some("client-ann"), &["list"])
        .await?
        .success()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_refused() -> anyhow::Result<()> {
    let studio = Studio::open().await?;
    // Beside the authority of the others, one that makes what has expired.
    let second = Authority::new()?;
    let expired = second.client(&["urn:atelier:client:ann"], Validity::Expired)?;
    std::fs::write(studio.path("old.pem"), &expired.certificate)?;
    std::fs::write(studio.path("old-key.pem"), &expired.key)?;
    let append = |name: &str, text: &str| {
        let both = std::fs::read_to_string(studio.path(name))? + text;
        std::fs::write(studio.path(name), both)
    };
    append("crl.pem", &second.revocation_list(&[])?)?;
    append("ca.pem", &second.pem)?;
    let words = "the client certificate has expired";
    let list = async || studio.atelier(Some("old"), &["list"]).await;
    let told = until("the second authority", list, |ran| {
        ran.stderr.contains(words)
    })
    .await?;
    assert_refused(&told, 4, words);
    let told = run(&mut studio.node(Some("old"))).await?;
    assert_refused(&told, 4, words);
    Ok(())
}
