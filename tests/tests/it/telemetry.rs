//! Goal: a grid is one trace from the command that submitted it to the upload of its pictures, whatever becomes of the
//! collector; what nodes logged of a cell can be read afterwards; probes tell whether a coordinator can work, and metrics
//! what it did, to those who may read them.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use atelier_proto::clock::Stopwatch;
use atelier_proto::v1::{self, CellState};
use atelier_tests::cluster::Cluster;
use atelier_tests::collector::{Collector, Span};
use atelier_tests::identity::Caller;
use atelier_tests::metrics::scrape;
use atelier_tests::pictures;
use atelier_tests::programs::{PATIENCE, Running, command};
use rustix::process::Signal;
use serde_json::Value;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

const SMALL: [&str; 6] = [
    "--set",
    "size=32",
    "--set",
    "scales=1",
    "--set",
    "iterations=2",
];

fn has_ended(answer: &v1::GetResponse) -> Option<()> {
    let ended = |cell: &v1::Cell| matches!(cell.state(), CellState::Done | CellState::Failed);
    answer.cells.iter().all(ended).then_some(())
}

/// Ends a program as its operator would, after which it has told everything.
async fn end(program: &mut Running) -> anyhow::Result<()> {
    program.signal(Signal::TERM)?;
    let status = program.wait().await?;
    ensure!(status.success(), "{status}:\n{}", program.log());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grid_is_one_trace_from_the_command_to_its_pictures() -> anyhow::Result<()> {
    let collector = Collector::start().await?;
    let tracing = ["--otlp-endpoint", collector.url.as_str()];
    let mut cluster = Cluster::coordinator_with(&tracing).await?;
    cluster.start_node_with(&tracing)?;
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 2, 1)?;
    let grid = cluster
        .submit(work.path(), &[&SMALL[..], &tracing].concat())
        .await?;
    cluster.until(&grid, "every cell ended", has_ended).await?;
    let secret = cluster.lends().await?.secret_access_key;
    end(&mut cluster.nodes[0]).await?;
    end(&mut cluster.coordinator).await?;

    let spans = collector.spans();
    let by_id: HashMap<&str, &Span> = spans.iter().map(|span| (span.id.as_str(), span)).collect();
    let named = |service: &'static str, name: &'static str| {
        let spans = spans.iter();
        spans.filter(move |span| span.service == service && span.name == name)
    };
    let only = |service, name| {
        let found: Vec<_> = named(service, name).collect();
        match found.as_slice() {
            [span] => Ok(*span),
            others => Err(anyhow::anyhow!("{name} of {service}: {others:#?}")),
        }
    };
    let command = only("atelier", "atelier submit")?;
    assert_eq!(command.parent, "", "it is where the trace begins");
    let submit = only("atelier-coordinator", "Grids.Submit")?;
    assert_eq!(submit.parent, command.id);
    assert_eq!((submit.kind, submit.status), (2, 0));
    assert_eq!(submit.attributes["grid"], grid);
    assert_eq!(submit.attributes["code"], "OK");
    let attempts: Vec<_> = named("atelier-node", "attempt").collect();
    assert_eq!(attempts.len(), 2, "one for each cell");
    for attempt in attempts {
        assert_eq!(attempt.trace, command.trace);
        assert_eq!(attempt.attributes["outcome"], "done");
        let lease = by_id[attempt.parent.as_str()];
        assert_eq!((lease.name.as_str(), &lease.parent), ("lease", &submit.id));
        assert_eq!(lease.attributes["cell"], attempt.attributes["cell"]);
        assert_eq!(lease.attributes["node"], attempt.attributes["node"]);
        let parts = spans.iter().filter(|span| span.service == "atelier-node");
        let parts = parts.filter(|span| span.parent == attempt.id);
        let mut parts: Vec<_> = parts.map(|span| span.name.as_str()).collect();
        parts.sort_unstable();
        assert_eq!(
            parts,
            ["complete", "fetch", "put", "put_thumbnails", "render"]
        );
        let told = named("atelier-coordinator", "Nodes.Complete").find(|told| {
            let parent = by_id.get(told.parent.as_str());
            parent.is_some_and(|parent| parent.parent == attempt.id)
        });
        let told = told.context("no Complete belongs to it")?;
        assert_eq!(told.trace, command.trace);
        assert_eq!(told.attributes["cell"], attempt.attributes["cell"]);
        assert_eq!(told.attributes["attempt"], "1");
    }
    // What a picture is put by is signed for its attempt.
    let signed = named("atelier-coordinator", "Bucket.Sign").find(|signed| {
        let parent = by_id.get(signed.parent.as_str());
        parent.is_some_and(|parent| parent.name == "put" && parent.trace == command.trace)
    });
    signed.context("no signature belongs to the put of a picture")?;
    // A renewal is of no grid.
    let renewal = named("atelier-coordinator", "Nodes.Renew").next();
    assert_ne!(renewal.context("no renewal")?.trace, command.trace);
    for span in &spans {
        assert!(!span.all.contains(&secret), "{span:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_costs_nothing_but_a_line() -> anyhow::Result<()> {
    // One that takes connections and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let silent = (format!("http://{}", silent.local_addr()?), silent);
    let nobody = "http://127.0.0.1:9".to_owned();
    for url in [&nobody, &silent.0] {
        let tracing = ["--otlp-endpoint", url];
        let mut cluster = Cluster::coordinator_with(&tracing).await?;
        cluster.start_simulated(&cluster.grpc.clone(), &tracing)?;
        let work = tempfile::tempdir()?;
        pictures::grid(work.path(), 2, 2)?;
        let submitting = Stopwatch::start();
        let grid = cluster.submit(work.path(), &tracing).await?;
        assert!(submitting.elapsed() < Duration::from_secs(15), "{url}");
        cluster.until(&grid, "every cell ended", has_ended).await?;
        let ending = Stopwatch::start();
        end(&mut cluster.coordinator).await?;
        assert!(ending.elapsed() < Duration::from_secs(20), "{url}");
        let log = cluster.coordinator.log();
        assert!(log.matches("traces are lost").count() <= 1, "{log}");
        if *url == nobody {
            assert!(log.contains("traces are lost"), "{log}");
        }
    }
    let no_url = ["list", "--otlp-endpoint", "collector:4317"];
    let cluster = Cluster::coordinator().await?;
    let refused = cluster.atelier(cluster.folder.path(), &no_url).await?;
    assert_eq!(refused.code(), Some(2));
    assert!(
        refused.stderr.contains("hint: write it as in"),
        "{}",
        refused.stderr
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_logged_of_a_cell_can_be_read_afterwards() -> anyhow::Result<()> {
    let mut cluster = Cluster::coordinator().await?;
    // Whatever it is told to log itself.
    cluster.start_node_with(&["--log", "error", "--log-format", "json"])?;
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 1, 1)?;
    let grid = cluster.submit(work.path(), &SMALL).await?;
    cluster.until(&grid, "every cell ended", has_ended).await?;
    let logs = async |more: &[&str]| {
        let args = [&["logs", grid.as_str(), "0"], more].concat();
        cluster.atelier(work.path(), &args).await
    };
    let told: Value = logs(&["--json"]).await?.json()?;
    assert_eq!(told["state"], "done");
    let attempt = &told["attempts"][0];
    assert_eq!(
        (&attempt["attempt"], &attempt["outcome"]),
        (&1.into(), &"done".into())
    );
    assert_eq!(attempt["node_name"], "node-0");
    let log = attempt["log"].as_str().context("no log")?;
    for line in ["inputs at hand", "rendered seconds=", "stored key="] {
        assert!(log.contains(line), "{line} is missing in {log}");
    }
    assert!(log.lines().all(|line| line.contains(" INFO ")), "{log}");
    let text = logs(&["--attempt", "1"]).await?.success()?;
    assert!(text.contains("attempt 1, done on node-0"), "{text}");
    let none = logs(&["--attempt", "2"]).await?;
    assert_eq!(none.code(), Some(3), "{}", none.stderr);
    // What succeeded is no failed attempt.
    assert_eq!(cluster.grid(&grid).await?.failed_attempts, []);
    // VGG16 has no such layer.
    let refused = [&SMALL[..], &["--set", "style_layers=conv5_4"]].concat();
    let grid = cluster.submit(work.path(), &refused).await?;
    cluster.until(&grid, "every cell ended", has_ended).await?;
    let id = format!("{grid}/0");
    let text = cluster
        .atelier(work.path(), &["logs", &id])
        .await?
        .success()?;
    assert!(text.contains("attempt 1, refused on node-0"), "{text}");
    assert!(text.contains("conv5_4"), "{text}");
    Ok(())
}

async fn get(url: &str) -> anyhow::Result<(u16, String)> {
    let response = reqwest::get(url).await?;
    Ok((response.status().as_u16(), response.text().await?))
}

async fn until_ready(url: &str, ready: bool) -> anyhow::Result<Value> {
    let asking = async {
        loop {
            let (status, text) = get(url).await?;
            let report: Value = serde_json::from_str(&text)?;
            ensure!(report["ready"] == (status == 200), "{status}: {text}");
            if report["ready"] == ready {
                return Ok(report);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await?
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_tell_whether_a_coordinator_can_work_and_metrics_what_it_did() -> anyhow::Result<()>
{
    // Another one's endpoint is the bucket of this one, so that it can be taken away.
    let mut other = Cluster::coordinator().await?;
    let lent = other.lends().await?;
    let folder = tempfile::tempdir()?;
    let mut start = command("atelier-coordinator", folder.path());
    start
        .args(["--exit-with-stdin", "--no-board", "--listen", "127.0.0.1:0"])
        .args(["--metrics-listen", "127.0.0.1:0"])
        .args(lent.args())
        .arg("--data")
        .arg(folder.path().join("data"))
        .envs(lent.environment());
    let mut coordinator = Running::start("watched", &mut start, &folder)?;
    let ready: Value = serde_json::from_str(&coordinator.line().await?)?;
    let metrics = ready["ready"]["metrics"].as_str().context("no metrics")?;
    let base = metrics.trim_end_matches("/metrics");
    assert_eq!(ready["ready"].get("board"), None);

    let report = until_ready(&format!("{base}/readyz"), true).await?;
    for check in ["database", "migrations", "bucket", "leader"] {
        assert_eq!(report[check]["ok"], true, "{report}");
    }
    assert_eq!(get(&format!("{base}/healthz")).await?.0, 200);
    let grpc = ready["ready"]["grpc"]
        .as_str()
        .context("no gRPC")?
        .to_owned();
    let mut health = HealthClient::new(Endpoint::from_shared(grpc.clone())?.connect_lazy());
    let mut serves = async || {
        let request = HealthCheckRequest {
            service: "atelier.v1.Grids".to_owned(),
        };
        Ok::<_, anyhow::Error>(health.check(request).await?.into_inner().status())
    };
    assert_eq!(serves().await?, ServingStatus::Serving);

    let mut grids = v1::grids_client::GridsClient::connect(grpc).await?;
    grids.list(v1::ListRequest::default()).await?;
    let told = scrape(metrics).await?;
    let rpcs = "atelier_coordinator_rpcs_total{method=\"Grids.List\",code=\"OK\"}";
    assert_eq!(told[rpcs], "1");
    for (name, value) in [
        ("atelier_coordinator_leads", "1"),
        ("atelier_coordinator_bucket_up", "1"),
        ("atelier_coordinator_database_up", "1"),
        ("atelier_fleet_cells_queued", "0"),
    ] {
        assert_eq!(told[name], value, "{name}");
    }

    other.coordinator.kill().await?;
    let report = until_ready(&format!("{base}/readyz"), false).await?;
    assert_eq!(report["bucket"]["ok"], false, "{report}");
    assert_eq!(report["database"]["ok"], true, "{report}");
    assert_eq!(get(&format!("{base}/healthz")).await?.0, 200, "it lives");
    let asking = async {
        while serves().await? != ServingStatus::NotServing {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok::<_, anyhow::Error>(())
    };
    tokio::time::timeout(PATIENCE, asking).await??;
    assert_eq!(scrape(metrics).await?["atelier_coordinator_bucket_up"], "0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_everybody_says_who_they_are_metrics_are_for_those_who_may_read_them()
-> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let mut start = command("atelier-coordinator", folder.path());
    start
        .args(["--exit-with-stdin", "--no-board", "--identity", "required"])
        .args(["--listen", "127.0.0.1:0", "--s3-listen", "127.0.0.1:0"])
        .args(["--metrics-listen", "127.0.0.1:0"])
        .args(["--client-calls-per-second", "1", "--data"])
        .arg(&data);
    let mut coordinator = Running::start("watched", &mut start, &folder)?;
    let ready: Value = serde_json::from_str(&coordinator.line().await?)?;
    let url = |name: &str| ready["ready"][name].as_str().context("it is not served");
    let (metrics, grpc) = (url("metrics")?, url("grpc")?);
    let operator = Caller::operator(grpc, &data).await?;
    let (reader, _) = operator
        .new_token(grpc, "prometheus", v1::Role::ReadOnly)
        .await?;
    let (client, _) = operator.new_token(grpc, "ann", v1::Role::Client).await?;
    let nobody = Caller::with(grpc, "").await?;
    let refused = nobody.grids().list(v1::ListRequest::default()).await;
    assert_eq!(
        refused.unwrap_err().code(),
        tonic::Code::Unauthenticated,
        "it is asked who calls"
    );

    let http = reqwest::Client::builder().no_proxy().build()?;
    let ask = async |token: &str| {
        let mut request = http.get(metrics);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await?;
        Ok::<_, anyhow::Error>((answer.status().as_u16(), answer.text().await?))
    };
    for (token, expected) in [
        ("", 401),
        ("nonsense", 401),
        (client.token.as_str(), 403),
        (operator.token.as_str(), 200),
    ] {
        let (status, text) = ask(token).await?;
        assert_eq!(status, expected, "{text}");
        assert_eq!(text.contains("atelier_"), status == 200, "{text}");
    }
    // Who is refused at the door is counted, too.
    let (_, text) = ask(&reader.token).await?;
    let counted = "rpcs_total{method=\"Grids.List\",code=\"UNAUTHENTICATED\"} 1\n";
    assert!(text.contains(counted), "{text}");
    // A second's calls are ten at once.
    let mut told = Vec::new();
    for _ in 0..20 {
        told.push(ask(&reader.token).await?.0);
    }
    assert!(told.contains(&429), "{told:?}");
    assert_eq!(
        ask(&operator.token).await?.0,
        200,
        "others are not kept out"
    );
    let base = metrics.trim_end_matches("/metrics");
    until_ready(&format!("{base}/readyz"), true).await?;
    assert_eq!(get(&format!("{base}/healthz")).await?.0, 200);
    Ok(())
}
