//! Goal: a studio works by tokens alone: an operator gives them out, a node paints with one, and people submit, watch and fetch
//! with theirs, each their own.

use std::path::Path;

use atelier_tests::cluster::Cluster;
use atelier_tests::pictures;
use atelier_tests::programs::{Ran, Running, command, run};
use tempfile::TempDir;

/// A coordinator that asks who calls, and a folder with pictures and tokens.
struct Studio {
    cluster: Cluster,
    work: TempDir,
}

impl Studio {
    async fn open() -> anyhow::Result<Self> {
        let cluster = Cluster::coordinator_with(&["--identity", "required"]).await?;
        let work = tempfile::tempdir()?;
        pictures::grid(work.path(), 1, 2)?;
        let studio = Self { cluster, work };
        let operator = studio.cluster.folder.path().join("data/operator-token");
        for (name, role) in [
            ("ann", "client"),
            ("bob", "client"),
            ("eve", "read-only"),
            ("studio-1", "node"),
        ] {
            let file = format!("{name}.token");
            let create = ["tokens", "create", name, "--role", role, "--out", &file];
            studio.with(Some(&operator), &create).await?.success()?;
        }
        Ok(studio)
    }

    /// Runs `atelier` with the token of a file, or with none.
    async fn with(&self, token: Option<&Path>, args: &[&str]) -> anyhow::Result<Ran> {
        let mut command = command("atelier", self.cluster.folder.path());
        command
            .args(["--coordinator", &self.cluster.grpc])
            .args(args)
            .current_dir(self.work.path())
            .env("USER", "somebody");
        if let Some(token) = token {
            command.env("ATELIER_TOKEN_FILE", token);
        }
        run(&mut command).await
    }

    /// Runs `atelier` as somebody.
    async fn by(&self, name: &str, args: &[&str]) -> anyhow::Result<Ran> {
        let token = self.work.path().join(format!("{name}.token"));
        self.with(Some(&token), args).await
    }
}

fn assert_refused(ran: &Ran, code: i32, words: &str) {
    assert_eq!(ran.code(), Some(code), "{}", ran.stderr);
    assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    assert_eq!(ran.stdout, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_and_nodes_work_by_tokens_and_each_for_themselves() -> anyhow::Result<()> {
    let studio = Studio::open().await?;
    let told = studio.by("ann", &["whoami"]).await?.success()?;
    assert!(told.starts_with("ann (client), by the token "), "{told}");

    let mut node = command("atelier-node", studio.cluster.folder.path());
    node.args(["run", "--coordinator", &studio.cluster.grpc])
        .args(["--name", "left", "--exit-with-stdin"])
        .args(["--renderer", "simulated", "--simulated-cell-time", "10ms"])
        .env(
            "ATELIER_TOKEN_FILE",
            studio.work.path().join("studio-1.token"),
        );
    let mut node = Running::start("node", &mut node, &studio.cluster.folder)?;
    node.line().await?;

    let submit = ["submit", "--photos", "photos/*.png", "--artists", "artists"];
    let submit = [&submit[..], &["--set", "size=32", "--name", "ride"]].concat();
    let waiting = [&submit[..], &["--wait"]].concat();
    studio.by("ann", &waiting).await?.success()?;
    studio.by("ann", &["fetch", "ride"]).await?.success()?;
    assert!(studio.work.path().join("ride/index.html").exists());
    // By the name that the coordinator knows, and not by that of this system's user.
    let mine = studio
        .by("ann", &["list", "--mine", "--json"])
        .await?
        .json()?;
    assert_eq!(mine[0]["submitter"], "ann");
    let id = mine[0]["grid_id"].as_str().unwrap_or_default().to_owned();

    // Of somebody else it is told that there is none; who sees all sees it, and touches nothing.
    assert_eq!(studio.by("bob", &["list"]).await?.success()?, "");
    for args in [
        &["show", id.as_str()][..],
        &["cancel", &id],
        &["delete", &id, "--yes"],
    ] {
        let told = studio.by("bob", args).await?;
        assert_refused(&told, 3, "no grid has the id");
    }
    let told = studio.by("bob", &["fetch", &id, "--out", "stolen"]).await?;
    assert_ne!(told.code(), Some(0));
    assert!(!studio.work.path().join("stolen/index.html").exists());
    studio.by("eve", &["show", "ride"]).await?.success()?;
    studio
        .by("eve", &["fetch", "ride", "--out", "seen"])
        .await?
        .success()?;
    let told = studio.by("eve", &["pause", &id]).await?;
    assert_refused(&told, 4, "Grids.Pause is for client and operator");
    let for_bob = [&submit[..], &["--submitter", "bob"]].concat();
    assert_refused(
        &studio.by("ann", &for_bob).await?,
        4,
        "submitter: is \"bob\"",
    );
    assert_refused(&studio.with(None, &["list"]).await?, 4, "say who you are");

    // Whose a node is that calls itself otherwise.
    let nodes = studio.by("ann", &["nodes"]).await?.success()?;
    assert!(
        nodes.contains("left") && nodes.contains("studio-1"),
        "{nodes}"
    );

    // A node with a client's token is told so, and leaves.
    let mut wrong = command("atelier-node", studio.cluster.folder.path());
    wrong
        .args(["run", "--coordinator", &studio.cluster.grpc])
        .args(["--renderer", "simulated"])
        .env("ATELIER_TOKEN_FILE", studio.work.path().join("ann.token"));
    let told = run(&mut wrong).await?;
    assert_ne!(told.code(), Some(0));
    assert!(
        told.stderr.contains("Nodes.Register is for node"),
        "{}",
        told.stderr
    );
    Ok(())
}
