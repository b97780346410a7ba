//! Goal: nodes and clients work with the bucket without keys to it, and what is signed for them is good for what they are there
//! for and for nothing else.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use atelier_gallery::keys::{GridKeys, input_key, weights_key};
use atelier_proto::ids::{Digest, NodeId};
use atelier_proto::v1::bucket_client::BucketClient;
use atelier_proto::v1::nodes_client::NodesClient;
use atelier_proto::v1::{self, Method, wanted::Right};
use atelier_tests::cluster::Cluster;
use atelier_tests::pictures;
use atelier_tests::programs::{Running, command, run};
use reqwest::StatusCode;
use tokio::task::JoinHandle;
use tonic::Code;
use tonic::transport::Channel;

/// A coordinator, and a node of our own that holds the first of its two cells and does what it likes.
struct Held {
    cluster: Cluster,
    bucket: BucketClient<Channel>,
    nodes: NodesClient<Channel>,
    http: reqwest::Client,
    node: String,
    cell: v1::LeasedCell,
    other: v1::LeasedCell,
    renewing: JoinHandle<()>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

fn held_cell(cell: &v1::LeasedCell) -> v1::HeldCell {
    v1::HeldCell {
        cell_id: cell.cell_id.clone(),
        attempt: cell.attempt,
    }
}

/// Keeps the leases of nodes.
async fn keep(mut nodes: NodesClient<Channel>, held: [(String, v1::LeasedCell); 2]) {
    loop {
        for (node, cell) in &held {
            let request = v1::RenewRequest {
                node_id: node.clone(),
                cells: vec![v1::CellProgress {
                    cell: Some(held_cell(cell)),
                    ..v1::CellProgress::default()
                }],
                leaving: String::new(),
            };
            // Whoever misses a lease tells of it.
            let _ = nodes.renew(request).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

impl Held {
    async fn start(args: &[&str]) -> anyhow::Result<Self> {
        let cluster = Cluster::coordinator_with(args).await?;
        let work = tempfile::tempdir()?;
        pictures::grid(work.path(), 2, 1)?;
        cluster.submit(work.path(), &[]).await?;
        let mut nodes = NodesClient::connect(cluster.grpc.clone()).await?;
        let mut register = async || -> anyhow::Result<String> {
            let request = v1::RegisterRequest {
                node_id: NodeId::generate().to_string(),
                name: "ours".to_owned(),
                device: "cpu".to_owned(),
                batch_capacity: 1,
                memory_bytes: 1 << 40,
                ..v1::RegisterRequest::default()
            };
            nodes.register(request.clone()).await?;
            Ok(request.node_id)
        };
        let (node, neighbour) = (register().await?, register().await?);
        let mut lease = async |node: &str| -> anyhow::Result<v1::LeasedCell> {
            let request = v1::LeaseRequest {
                node_id: node.to_owned(),
                cells_max: 1,
                wait: Some(Duration::from_secs(10).try_into()?),
                ..v1::LeaseRequest::default()
            };
            let leased = nodes.lease(request).await?.into_inner();
            leased.cells.into_iter().next().context("a cell")
        };
        let (cell, other) = (lease(&node).await?, lease(&neighbour).await?);
        let held = [(node.clone(), cell.clone()), (neighbour, other.clone())];
        Ok(Self {
            bucket: BucketClient::connect(cluster.grpc.clone()).await?,
            http: reqwest::Client::builder().no_proxy().build()?,
            renewing: tokio::spawn(keep(nodes.clone(), held)),
            nodes,
            node,
            cell,
            other,
            cluster,
        })
    }

    fn right(&self) -> Right {
        Right::Cell(held_cell(&self.cell))
    }

    async fn sign(&self, wanted: v1::Wanted) -> Result<v1::SignedRequest, tonic::Status> {
        let request = v1::SignRequest {
            node_id: self.node.clone(),
            wanted: vec![wanted],
        };
        let answer = self.bucket.clone().sign(request).await?.into_inner();
        let request = answer.requests.into_iter().next();
        request.ok_or_else(|| tonic::Status::internal("none"))
    }

    /// By the right of whoever holds the cell.
    fn of_cell(&self, method: Method, key: &str, content: Option<v1::Content>) -> v1::Wanted {
        v1::Wanted {
            right: Some(self.right()),
            ..wanted(method, key, content)
        }
    }

    async fn send(
        &self,
        request: &v1::SignedRequest,
        body: &'static [u8],
    ) -> anyhow::Result<(StatusCode, String)> {
        self.send_with(request, request.method(), &request.url, &[], body)
            .await
    }

    async fn send_with(
        &self,
        request: &v1::SignedRequest,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: &'static [u8],
    ) -> anyhow::Result<(StatusCode, String)> {
        let method = method.as_str_name().trim_start_matches("METHOD_");
        let mut sending = self.http.request(method.parse()?, url);
        // The length is that of the body.
        let signed = request.headers.iter();
        for (name, value) in signed.filter(|(name, _)| *name != "content-length") {
            if !headers.iter().any(|(other, _)| other == name) {
                sending = sending.header(name, value);
            }
        }
        for (name, value) in headers {
            sending = sending.header(*name, *value);
        }
        let answer = sending.body(body).send().await?;
        Ok((answer.status(), answer.text().await?))
    }
}

fn wanted(method: Method, key: &str, content: Option<v1::Content>) -> v1::Wanted {
    v1::Wanted {
        method: method.into(),
        key: key.to_owned(),
        content,
        ..v1::Wanted::default()
    }
}

/// A request that differs from the one that was signed: headers and bytes last.
type Try<'a> = (Method, &'a str, &'a [(&'a str, &'a str)], &'static [u8]);

fn content(content_type: &str, bytes: &[u8]) -> v1::Content {
    v1::Content {
        content_type: content_type.to_owned(),
        if_absent: true,
        sha256: Digest::of(bytes).to_string(),
        bytes: Some(bytes.len() as u64),
        ..v1::Content::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_given_nothing_but_what_its_cells_take() -> anyhow::Result<()> {
    let mut held = Held::start(&[]).await?;
    let (cell, other) = (held.cell.clone(), held.other.clone());
    let photo = |cell: &v1::LeasedCell| {
        let input = cell.photo.clone().and_then(|photo| photo.input);
        Ok::<_, anyhow::Error>(input_key(&input.context("a photo")?.sha256.parse()?))
    };
    let own = held
        .sign(held.of_cell(Method::Get, &photo(&cell)?, None))
        .await?;
    let (status, _) = held.send(&own, b"").await?;
    assert_eq!(status, StatusCode::OK);

    let keys = GridKeys::new(cell.grid_id.parse()?);
    let picture = Some(content("image/png", b"picture"));
    let html = Some(content("text/html", b"<script>"));
    let denied = [
        (Method::Get, photo(&other)?, None, Code::PermissionDenied),
        (
            Method::Put,
            other.picture_key.clone(),
            picture.clone(),
            Code::PermissionDenied,
        ),
        (
            Method::Get,
            other.checkpoint_key.clone(),
            None,
            Code::PermissionDenied,
        ),
        (
            Method::Delete,
            cell.picture_key.clone(),
            None,
            Code::PermissionDenied,
        ),
        (
            Method::Put,
            cell.picture_key.clone(),
            html.clone(),
            Code::InvalidArgument,
        ),
        (Method::Put, keys.page(), html, Code::PermissionDenied),
        (
            Method::Put,
            keys.manifest(),
            picture.clone(),
            Code::PermissionDenied,
        ),
        (Method::Get, String::new(), None, Code::PermissionDenied),
        (
            Method::Get,
            weights_key(&Digest::of(b"weights")),
            None,
            Code::PermissionDenied,
        ),
    ];
    for (method, key, content, code) in denied {
        let asked = held.sign(held.of_cell(method, &key, content)).await;
        let status = asked
            .err()
            .with_context(|| format!("{method:?} {key} was signed"))?;
        assert_eq!(status.code(), code, "{method:?} {key}: {status}");
    }
    // Whose cell it is, is looked up.
    let mut foreign = held.of_cell(Method::Get, &other.picture_key, None);
    foreign.right = Some(Right::Cell(held_cell(&other)));
    let status = held.sign(foreign).await.err().context("signed")?;
    assert_eq!(status.code(), Code::Aborted, "{status}");

    // All or nothing, and no more than is said.
    let ask = async |wanted| {
        let node_id = held.node.clone();
        held.bucket
            .clone()
            .sign(v1::SignRequest { node_id, wanted })
            .await
    };
    let good = held.of_cell(Method::Head, &cell.picture_key, None);
    let bad = held.of_cell(Method::Delete, &cell.picture_key, None);
    assert!(ask(vec![good.clone(), bad]).await.is_err());
    assert_eq!(
        ask(vec![good.clone(); 256])
            .await?
            .into_inner()
            .requests
            .len(),
        256
    );
    let many = ask(vec![good.clone(); 257]).await.err().context("signed")?;
    assert_eq!(many.code(), Code::InvalidArgument, "{many}");

    // Once the cell is given back, nothing of it is signed.
    let lost = good.clone();
    held.sign(lost).await?;
    let release = v1::ReleaseRequest {
        node_id: held.node.clone(),
        cells: vec![held_cell(&cell)],
        reason: String::new(),
    };
    held.nodes.release(release).await?;
    let lost = held.sign(good).await.err().context("signed")?;
    assert_eq!(lost.code(), Code::Aborted, "{lost}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_request_is_good_for_itself_alone() -> anyhow::Result<()> {
    let held = Held::start(&[]).await?;
    let cell = held.cell.clone();
    let is_jpeg = cell.picture_key.rsplit('.').next() == Some("jpg");
    let kind = if is_jpeg { "image/jpeg" } else { "image/png" };
    let picture = held.of_cell(
        Method::Put,
        &cell.picture_key,
        Some(content(kind, b"picture")),
    );
    let put = held.sign(picture).await?;
    let elsewhere = put.url.replace(&cell.picture_key, &held.other.picture_key);
    assert_ne!(elsewhere, put.url);
    let longer = put.url.replace("X-Amz-Expires=300", "X-Amz-Expires=900");
    assert_ne!(longer, put.url);
    let own = put.url.as_str();
    let tries: [Try<'_>; 8] = [
        (Method::Get, own, &[], b""),
        (Method::Delete, own, &[], b""),
        (Method::Put, &elsewhere, &[], b"picture"),
        (Method::Put, &longer, &[], b"picture"),
        (
            Method::Put,
            own,
            &[("content-type", "text/html")],
            b"picture",
        ),
        (Method::Put, own, &[("if-none-match", "other")], b"picture"),
        (
            Method::Put,
            own,
            &[("x-amz-copy-source", "/atelier/gallery")],
            b"picture",
        ),
        (Method::Put, own, &[], b"PICTURE"),
    ];
    for (number, (method, url, headers, body)) in tries.into_iter().enumerate() {
        let (status, text) = held.send_with(&put, method, url, headers, body).await?;
        let expected: &[StatusCode] = if body == b"PICTURE" {
            &[StatusCode::BAD_REQUEST]
        } else {
            &[StatusCode::FORBIDDEN]
        };
        ensure!(expected.contains(&status), "{number}: {status} {text}");
    }
    let bucket = held.cluster.bucket().await?;
    assert_eq!(bucket.head(&cell.picture_key).await?, None);
    let (status, text) = held.send(&put, b"picture").await?;
    assert_eq!(status, StatusCode::OK, "{text}");
    let (status, _) = held.send(&put, b"picture").await?;
    assert_eq!(status, StatusCode::PRECONDITION_FAILED);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_client_puts_other_bytes_under_a_digest_or_reads_inputs_of_others() -> anyhow::Result<()>
{
    let held = Held::start(&[]).await?;
    let client = async |wanted: v1::Wanted| {
        let request = v1::SignRequest {
            node_id: String::new(),
            wanted: vec![wanted],
        };
        held.bucket.clone().sign(request).await
    };
    let key = input_key(&Digest::of(b"photo"));
    let put = wanted(Method::Put, &key, Some(content("image/png", b"photo")));
    let signed = client(put).await?.into_inner().requests.remove(0);
    let (status, text) = held.send(&signed, b"other").await?;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
    let bucket = held.cluster.bucket().await?;
    assert_eq!(bucket.head(&key).await?, None);
    let (status, text) = held.send(&signed, b"photo").await?;
    assert_eq!(status, StatusCode::OK, "{text}");
    for (method, key, content) in [
        (
            Method::Put,
            key.clone(),
            Some(content("image/png", b"other")),
        ),
        (
            Method::Put,
            key.clone(),
            Some(content("text/html", b"photo")),
        ),
        (Method::Put, key.clone(), None),
        (Method::Get, key.clone(), None),
        (Method::Delete, key.clone(), None),
        (
            Method::Put,
            weights_key(&Digest::of(b"photo")),
            Some(content("image/png", b"photo")),
        ),
    ] {
        let signed = client(wanted(method, &key, content)).await;
        assert!(signed.is_err(), "{method:?} {key}");
    }
    // It is no input of that grid.
    let read = v1::Wanted {
        right: Some(Right::GridId(held.cell.grid_id.clone())),
        ..wanted(Method::Get, &key, None)
    };
    let status = client(read).await.err().context("signed")?;
    assert_eq!(status.code(), Code::PermissionDenied, "{status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_over_is_refused_and_a_grid_is_rendered_all_the_same()
-> anyhow::Result<()> {
    let mut held = Held::start(&["--url-duration", "3s"]).await?;
    let looking = held
        .sign(held.of_cell(Method::Head, &held.cell.picture_key, None))
        .await?;
    let (status, _) = held.send(&looking, b"").await?;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let get = held
        .sign(held.of_cell(Method::Get, &held.cell.picture_key, None))
        .await?;
    tokio::time::sleep(Duration::from_millis(4_100)).await;
    let (status, text) = held.send(&get, b"").await?;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(text.contains("expired"), "{text}");

    // A node has signed anew what it still wants to send then.
    held.cluster.start_node_with(&[
        "--checkpoint-interval",
        "500ms",
        "--preview-interval",
        "500ms",
    ])?;
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 3, 1)?;
    let slow = [
        "--wait",
        "--set",
        "size=48",
        "--set",
        "iterations=200",
        "--set",
        "scales=1",
    ];
    let grid = held.cluster.submit(work.path(), &slow).await?;
    let fetched = held.cluster.atelier(work.path(), &["fetch", &grid]).await?;
    fetched.success()?;
    let log = held.cluster.nodes[0].log();
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_and_clients_never_see_a_key() -> anyhow::Result<()> {
    // The first one lends its bucket, to which the second one has keys, in its environment.
    let mut cluster = Cluster::coordinator().await?;
    let lent = cluster.lends().await?;
    let url = cluster
        .start_beside(&lent.args(), &lent.environment())
        .await?;
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 2, 2)?;
    let mut node = command("atelier-node", work.path());
    node.args(["run", "--coordinator", &url, "--weights", "untrained"])
        .args(["--device", "cpu", "--exit-with-stdin", "--log", "debug"])
        .env("OMP_NUM_THREADS", "1");
    let mut node = Running::start("node", &mut node, &work)?;
    let mut said = node.line().await?;
    let mut atelier = async |args: &[&str]| -> anyhow::Result<String> {
        let mut command = command("atelier", work.path());
        command.args(["--coordinator", &url]).args(args);
        let ran = run(command.current_dir(work.path())).await?;
        said.push_str(&ran.stdout);
        said.push_str(&ran.stderr);
        ran.success()
    };
    let submit = [
        "submit",
        "--photos",
        "photos/*.png",
        "--artists",
        "artists",
        "--wait",
    ];
    let set = ["--set", "size=32", "--set", "iterations=4"];
    let grid = atelier(&[&submit[..], &set].concat()).await?;
    let grid = grid.lines().next().context("an id")?.to_owned();
    atelier(&["fetch", &grid, "--out", "gallery"]).await?;
    atelier(&["share", &grid, "--expires", "7d", "--out", "page.html"]).await?;
    let page = std::fs::read_to_string(work.path().join("page.html"))?;
    assert!(page.contains("X-Amz-Expires=604800"));
    said.push_str(&page);
    said.push_str(&node.log());

    let mut bucket = BucketClient::connect(url.clone()).await?;
    let key = GridKeys::new(grid.parse()?).manifest();
    let request = v1::SignRequest {
        node_id: String::new(),
        wanted: vec![wanted(Method::Get, &key, None)],
    };
    let signed = bucket.sign(request).await?.into_inner();
    said = format!("{said}{signed:?}");
    let request = v1::RegisterRequest {
        node_id: NodeId::generate().to_string(),
        name: "ours".to_owned(),
        device: "cpu".to_owned(),
        batch_capacity: 1,
        ..v1::RegisterRequest::default()
    };
    let mut nodes = NodesClient::connect(url).await?;
    let registered = nodes.register(request).await?.into_inner();
    said = format!("{said}{registered:?}");
    assert!(
        said.contains(&lent.access_key_id),
        "its public half is in each URL"
    );
    assert!(!said.contains(&lent.secret_access_key));
    // A log is no place for a signature either.
    assert!(!node.log().contains("X-Amz-Signature"));
    Ok(())
}
