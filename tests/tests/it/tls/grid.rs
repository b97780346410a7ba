//! Goal: a whole grid is painted where everything goes by TLS, gRPC and S3 alike, and everybody has a certificate.

use atelier_tests::pictures;

use super::studio::{Studio, alone, assert_refused, simulated};

#[tokio::test(flavor = "multi_thread")]
async fn a_grid_is_painted_and_fetched_by_tls_with_certificates_of_ones_own_authority()
-> anyhow::Result<()> {
    let studio = Studio::asking().await?;
    let cluster = &studio.cluster;
    for url in [&cluster.grpc, &cluster.s3, &cluster.board] {
        assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    }
    studio.certs(&["node", "studio-1"]).await?;
    studio.certs(&["client", "ann"]).await?;
    let _node = studio.start_node(Some("node-studio-1")).await?;
    pictures::grid(studio.folder.path(), 1, 2)?;
    let submit = ["submit", "--photos", "photos/*.png", "--artists", "artists"];
    let submit = [
        &submit[..],
        &["--name", "ride", "--set", "size=32", "--wait"],
    ]
    .concat();
    studio
        .atelier(Some("client-ann"), &submit)
        .await?
        .success()?;
    studio
        .atelier(Some("client-ann"), &["fetch", "ride"])
        .await?
        .success()?;
    assert!(studio.path("ride/index.html").exists());

    // The board, too, and not without TLS.
    let authority = std::fs::read(studio.path("ca.pem"))?;
    let trusting = reqwest::Client::builder()
        .add_root_certificate(reqwest::Certificate::from_pem(&authority)?)
        .no_proxy()
        .build()?;
    let health = format!("{}/healthz", cluster.board);
    let answer = trusting.get(&health).send().await?.error_for_status()?;
    assert_eq!(answer.text().await?, "ok\n");
    let plain = health.replace("https:", "http:");
    assert!(trusting.get(&plain).send().await.is_err());

    // A profile says all of it once.
    let config = cluster.folder.path().join(".config/atelier");
    std::fs::create_dir_all(&config)?;
    for name in ["ca.pem", "client-ann.pem", "client-ann-key.pem"] {
        std::fs::copy(studio.path(name), config.join(name))?;
    }
    let profile = format!(
        "[profiles.studio]\ncoordinators = [\"{}\"]\nca = \"ca.pem\"\ncert = \"client-ann.pem\"\nkey = \"client-ann-key.pem\"\n",
        cluster.grpc
    );
    std::fs::write(config.join("profiles.toml"), profile)?;
    let list = ["list", "--profile", "studio", "--json"];
    let grids = alone(&cluster.folder, &list).await?.json()?;
    assert_eq!(grids[0]["name"], "ride");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_is_told_with_what_to_do() -> anyhow::Result<()> {
    let studio = Studio::open().await?;
    let file = |name: &str| studio.path(name).to_string_lossy().into_owned();
    let home = tempfile::tempdir()?;
    let plain = studio.cluster.grpc.replace("https:", "http:");
    let ran = alone(&home, &["--coordinator", &plain, "list"]).await?;
    assert_refused(&ran, 4, "name it by https://");

    let (url, key, ca) = (&studio.cluster.grpc, file("ca-key.pem"), file("ca.pem"));
    let wrong = [
        (vec!["--ca", &key], "holds no certificate"),
        (vec!["--ca", "none.pem"], "none.pem"),
        (vec!["--cert", &ca], "--cert and --key"),
    ];
    for (args, words) in wrong {
        let args = [&["--coordinator", url.as_str(), "list"][..], &args].concat();
        let ran = alone(&home, &args).await?;
        assert_eq!(ran.code(), Some(2), "{}", ran.stderr);
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
    }

    // A token is for nobody to read on its way.
    let beyond = "http://192.0.2.1:7878";
    let mut list = atelier_tests::programs::command("atelier", home.path());
    list.args(["--coordinator", beyond, "list"])
        .env("ATELIER_TOKEN", "secret-1");
    let mut node = simulated(home.path(), beyond);
    node.env("ATELIER_TOKEN", "secret-1");
    for command in [&mut list, &mut node] {
        let ran = atelier_tests::programs::run(command).await?;
        assert_refused(&ran, 2, "for all to read");
        assert!(!ran.stderr.contains("secret-1"), "{}", ran.stderr);
    }
    Ok(())
}
