//! Goal: what lets somebody in ends when it should, is kept nowhere as it is, and what was done with it is written down.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use atelier_proto::v1;
use atelier_tests::cluster::Cluster;
use atelier_tests::identity::{Caller, small_grid};
use atelier_tests::issuer::Issuer;
use atelier_tests::postgres::Postgres;
use atelier_tests::programs::PATIENCE;
use rustix::process::Signal;
use serde_json::{Value, json};
use tonic::Code;

/// Within so long a revocation is felt at every coordinator.
const FELT_WITHIN: Duration = Duration::from_secs(5);

async fn who(caller: &Caller) -> Result<v1::WhoAmIResponse, tonic::Status> {
    let answer = caller.tokens().who_am_i(v1::WhoAmIRequest {}).await;
    answer.map(tonic::Response::into_inner)
}

/// Waits until somebody is not let in any more.
async fn until_refused(caller: &Caller) -> anyhow::Result<tonic::Status> {
    let refused = async {
        loop {
            match who(caller).await {
                Ok(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                Err(status) => return status,
            }
        }
    };
    tokio::time::timeout(FELT_WITHIN, refused)
        .await
        .context("still let in")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_is_felt_at_every_coordinator_and_ends_what_is_watched() -> anyhow::Result<()>
{
    let Some(postgres) = Postgres::start()? else {
        return Ok(());
    };
    let database = [("ATELIER_DATABASE", postgres.database()?)];
    let environment = [(database[0].0, database[0].1.as_str())];
    let keys = tempfile::tempdir()?;
    let operator_token = keys.path().join("operator-token");
    let operator_file = operator_token.display().to_string();
    let asking = [
        "--identity",
        "required",
        "--operator-token-file",
        &operator_file,
    ];
    let mut cluster = Cluster::coordinator_in(&asking, &environment).await?;
    let other = cluster
        .start_beside(
            &[&asking[..], &["--s3-listen", "127.0.0.1:0"]].concat(),
            &environment,
        )
        .await?;

    // One file for both: whoever has it is the operator at both.
    let operator = Caller::operator(&cluster.grpc, keys.path()).await?;
    let there = Caller::with(&other, &operator.token).await?;
    assert_eq!(who(&there).await?.proof(), v1::Proof::OperatorToken);

    let (ann, id) = operator
        .new_token(&cluster.grpc, "ann", v1::Role::Client)
        .await?;
    let ann_there = Caller::with(&other, &ann.token).await?;
    assert_eq!(who(&ann_there).await?.name, "ann");
    let bucket = operator.bucket().await?;
    let submitted = ann
        .grids()
        .submit(small_grid(&bucket, "watched").await?)
        .await?;
    let watch = v1::WatchRequest {
        grid_id: submitted.into_inner().grid_id,
        ..v1::WatchRequest::default()
    };
    let mut changes = ann_there.grids().watch(watch).await?.into_inner();
    changes.message().await?.context("nothing to be seen")?;

    operator
        .tokens()
        .revoke(v1::RevokeTokenRequest { token_id: id })
        .await?;
    let refused = who(&ann).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(refused.message().contains("revoked"), "{refused}");
    let (there, watched) = tokio::join!(
        until_refused(&ann_there),
        tokio::time::timeout(FELT_WITHIN, async {
            loop {
                match changes.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => anyhow::bail!("it ended without a word"),
                    Err(status) => return Ok(status),
                }
            }
        })
    );
    for status in [there?, watched.context("still watched")??] {
        assert_eq!(status.code(), Code::Unauthenticated);
        assert!(status.message().contains("revoked"), "{status}");
    }
    Ok(())
}

/// All bytes of the files of a folder.
fn bytes_under(folder: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(bytes_under(&path)?);
        } else {
            found.push((path.display().to_string(), std::fs::read(&path)?));
        }
    }
    Ok(found)
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[expect(clippy::too_many_lines, reason = "one grid, seen from all sides")]
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_kept_or_told_and_the_audit_log_has_who_did_what() -> anyhow::Result<()> {
    let logs = tempfile::tempdir()?;
    let path = logs.path().join("audit.jsonl");
    let file = path.display().to_string();
    let args = [
        "--identity",
        "required",
        "--audit-log",
        &file,
        "--log",
        "debug,s3s=off",
    ];
    let cluster = Cluster::coordinator_with(&args).await?;
    let data = cluster.folder.path().join("data");
    let operator = Caller::operator(&cluster.grpc, &data).await?;
    let (ann, id) = operator
        .new_token(&cluster.grpc, "ann", v1::Role::Client)
        .await?;
    assert_eq!(who(&ann).await?.token_id, id);
    let http = reqwest::Client::builder().no_proxy().build()?;
    let login = http
        .post(format!("{}/api/session", cluster.board))
        .header("content-type", "application/json")
        .body(json!({"token": ann.token}).to_string())
        .send()
        .await?;
    let cookie = login.headers()["set-cookie"].to_str()?.to_owned();
    let session = cookie.split(['=', ';']).nth(1).context("no cookie")?;

    let bucket = operator.bucket().await?;
    let submitted = ann
        .grids()
        .submit(small_grid(&bucket, "audited").await?)
        .await?;
    let grid_id = submitted.into_inner().grid_id;
    ann.fleet()
        .scale(v1::ScaleRequest::default())
        .await
        .unwrap_err();
    Caller::with(&cluster.grpc, "a wrong token")
        .await?
        .grids()
        .list(v1::ListRequest::default())
        .await
        .unwrap_err();

    let lines = |path: &Path| -> anyhow::Result<Vec<Value>> {
        let text = std::fs::read_to_string(path)?;
        text.lines()
            .map(|line| Ok(serde_json::from_str(line)?))
            .collect()
    };
    let before = lines(&path)?;
    let found = |call: &str, outcome: &str| -> anyhow::Result<Value> {
        let mut fitting = before
            .iter()
            .filter(|line| line["call"] == call && line["outcome"] == outcome);
        fitting
            .next()
            .cloned()
            .with_context(|| format!("no {call} {outcome} in {before:#?}"))
    };
    let made = found("Tokens.Create", "ok")?;
    assert_eq!(
        (&made["name"], &made["proof"]),
        (&json!("operator"), &json!("operator-token"))
    );
    assert!(
        made["on"].as_str().is_some_and(|on| on.starts_with(&id)),
        "{made}"
    );
    let submitted = found("Grids.Submit", "ok")?;
    assert_eq!(
        (&submitted["name"], &submitted["role"]),
        (&json!("ann"), &json!("client"))
    );
    assert_eq!(
        (&submitted["token"], &submitted["on"]),
        (&json!(id), &json!(grid_id))
    );
    assert_eq!(submitted["from"], json!("127.0.0.1"));
    assert_eq!(
        found("Fleet.Scale", "PermissionDenied")?["name"],
        json!("ann")
    );
    assert_eq!(found("Grids.List", "Unauthenticated")?["name"], Value::Null);
    assert_eq!(found("Board.LogIn", "ok")?["name"], json!("ann"));

    // Somebody moves the file away, and says so.
    let moved = logs.path().join("audit.1");
    std::fs::rename(&path, &moved)?;
    cluster.coordinator.signal(Signal::HUP)?;
    let reopened = async {
        while !path.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, reopened)
        .await
        .context("it was not opened anew")?;
    operator
        .tokens()
        .revoke(v1::RevokeTokenRequest {
            token_id: id.clone(),
        })
        .await?;
    assert_eq!(lines(&path)?[0]["on"], json!(id));
    assert_eq!(lines(&moved)?.len(), before.len());

    // A copy of all that is kept lets nobody in, and neither does what was told.
    let secret = ann.token.rsplit('_').next().context("no secret")?;
    let mut kept = bytes_under(&data)?;
    kept.extend(bytes_under(logs.path())?);
    kept.push(("the log".to_owned(), cluster.coordinator.log().into_bytes()));
    assert!(
        kept.iter().any(|(_, bytes)| holds(bytes, &id)),
        "it is looked for in vain"
    );
    for (place, bytes) in &kept {
        assert!(!holds(bytes, secret), "{place} holds the secret of a token");
        assert!(
            !holds(bytes, session),
            "{place} holds the secret of a session"
        );
        let is_its_own = place.ends_with("operator-token");
        assert_eq!(holds(bytes, &operator.token), is_its_own, "{place}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn people_of_a_company_come_in_by_its_issuer() -> anyhow::Result<()> {
    let issuer = Issuer::start(jsonwebtoken::Algorithm::RS256).await?;
    let args = [
        "--identity",
        "required",
        "--oidc-issuer",
        &issuer.url,
        "--oidc-audience",
        "atelier",
        "--oidc-default-role",
        "read-only",
    ];
    let cluster = Cluster::coordinator_with(&args).await?;
    let now = atelier_proto::clock::Clock::system().now().as_second();
    let ann = issuer.sign(&issuer.claims(now, json!({})))?;
    let ann = Caller::with(&cluster.grpc, &ann).await?;
    let told = who(&ann).await?;
    assert_eq!(
        (told.name.as_str(), told.role(), told.proof()),
        ("ann@example.com", v1::Role::Client, v1::Proof::Oidc)
    );
    assert!(told.expires_at.is_some_and(|at| at.seconds >= now + 3600));
    let refused = ann
        .tokens()
        .list(v1::ListTokensRequest::default())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);

    let no_role = issuer.sign(&issuer.claims(now, json!({"atelier_role": null})))?;
    assert_eq!(
        who(&Caller::with(&cluster.grpc, &no_role).await?)
            .await?
            .role(),
        v1::Role::ReadOnly
    );
    let operator = issuer.claims(now, json!({"atelier_role": "operator"}));
    for forged in [
        issuer.forge(&operator, "none")?,
        issuer.forge(&operator, "HS256")?,
        issuer.sign(&issuer.claims(now, json!({"aud": "another"})))?,
        issuer.sign(&issuer.claims(now - 7200, json!({})))?,
    ] {
        let refused = who(&Caller::with(&cluster.grpc, &forged).await?)
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_made_listed_and_ended_by_commands() -> anyhow::Result<()> {
    let cluster = Cluster::coordinator().await?;
    let work = tempfile::tempdir()?;
    let run = async |args: &[&str]| cluster.atelier(work.path(), args).await;
    let anyone = run(&["whoami"]).await?.success()?;
    assert!(anyone.starts_with("anyone"), "{anyone}");
    let create = [
        "tokens",
        "create",
        "ann",
        "--role",
        "client",
        "--out",
        "ann.token",
    ];
    let made = run(&create).await?;
    assert_eq!(made.code(), Some(0), "{}", made.stderr);
    assert_eq!(made.stdout, "");
    let file = work.path().join("ann.token");
    let token = std::fs::read_to_string(&file)?;
    let secret = token
        .trim()
        .rsplit('_')
        .next()
        .context("no token")?
        .to_owned();
    assert_eq!(secret.len(), 64);
    let permissions = std::fs::metadata(&file)?.permissions();
    assert_eq!(permissions.mode() & 0o777, 0o600);
    assert!(!made.stderr.contains(&secret));
    // What is there is not written over, and no token is made in vain.
    assert_eq!(run(&create).await?.code(), Some(8));
    let printed = run(&[
        "tokens",
        "create",
        "studio-1",
        "--role",
        "node",
        "--expires",
        "never",
    ])
    .await?
    .success()?;
    assert!(printed.starts_with("atelier_"), "{printed}");

    let listed = run(&["tokens", "list", "--json"]).await?.json()?;
    let listed = listed.as_array().context("no list")?.clone();
    let told: Vec<_> = listed
        .iter()
        .map(|token| (&token["name"], &token["role"]))
        .collect();
    assert_eq!(
        told,
        [
            (&json!("studio-1"), &json!("node")),
            (&json!("ann"), &json!("client"))
        ]
    );
    assert_eq!(listed[0]["expires_at"], Value::Null);
    assert!(!serde_json::to_string(&listed)?.contains(&secret));
    let id = listed[1]["token_id"].as_str().context("no id")?;
    run(&["tokens", "revoke", id]).await?.success()?;
    let listed = run(&["tokens", "list"]).await?.success()?;
    assert!(
        !listed.contains("ann") && listed.contains("studio-1"),
        "{listed}"
    );
    let all = run(&["tokens", "list", "--all"]).await?.success()?;
    assert!(all.contains("revoked"), "{all}");

    let other = "01890a5d-ac96-774b-bcce-b302099a8057";
    let unknown = run(&["tokens", "revoke", other]).await?;
    assert_eq!(unknown.code(), Some(3));
    assert!(
        unknown.stderr.contains("tokens list --all"),
        "{}",
        unknown.stderr
    );
    let wrong = run(&["tokens", "create", "a b", "--role", "client"]).await?;
    assert_eq!(wrong.code(), Some(2));
    assert!(wrong.stderr.contains("name"), "{}", wrong.stderr);
    Ok(())
}
