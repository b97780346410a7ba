//! Goal: each call is for the roles that the table says and for nobody else, and people see and touch what is theirs.

use std::collections::BTreeMap;

use anyhow::Context as _;
use atelier_coordinator::domain::access::{self, Identity, Role, Who};
use atelier_proto::ids::{GridId, NodeId};
use atelier_proto::v1;
use atelier_tests::cluster::Cluster;
use atelier_tests::identity::{Caller, call, calls, small_grid};
use tonic::{Code, Status};

/// A coordinator that asks who calls, and its operator.
async fn asking(args: &[&str]) -> anyhow::Result<(Cluster, Caller)> {
    let args = [&["--identity", "required"], args].concat();
    let cluster = Cluster::coordinator_with(&args).await?;
    let data = cluster.folder.path().join("data");
    let operator = Caller::operator(&cluster.grpc, &data).await?;
    Ok((cluster, operator))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_may_make_exactly_the_calls_that_the_table_gives_it() -> anyhow::Result<()> {
    let (cluster, operator) = asking(&[]).await?;
    let url = &cluster.grpc;
    let calls = calls()?;
    assert!(calls.len() > 20, "{calls:?}");
    let roles = [
        (Role::Client, v1::Role::Client),
        (Role::Node, v1::Role::Node),
        (Role::Operator, v1::Role::Operator),
        (Role::ReadOnly, v1::Role::ReadOnly),
    ];
    let mut callers = vec![(Role::Operator, operator.clone())];
    for (role, wire) in roles {
        let name = format!("some-{role}");
        callers.push((role, operator.new_token(url, &name, wire).await?.0));
    }
    let mut may: BTreeMap<(Role, &str), bool> = BTreeMap::new();
    for (role, caller) in &callers {
        let identity = access::Caller::Known(Identity {
            name: "somebody".to_owned(),
            role: *role,
        });
        for (name, path) in &calls {
            let code = call(caller.channel.clone(), path).await?;
            assert_ne!(code, Code::Unauthenticated, "{role} {name}");
            let is_allowed = code != Code::PermissionDenied;
            let expected = access::check(&identity, name).is_ok();
            assert_eq!(is_allowed, expected, "{role} {name}: {code:?}");
            may.insert((*role, name), is_allowed);
        }
    }
    // What is not to be lost by a slip in the table.
    for (role, name, is_allowed) in [
        (Role::Client, "Grids.Submit", true),
        (Role::Client, "Grids.Storage", false),
        (Role::Client, "Nodes.Lease", false),
        (Role::Client, "Fleet.Drain", false),
        (Role::Client, "Tokens.Create", false),
        (Role::Node, "Nodes.Lease", true),
        (Role::Node, "Grids.Get", false),
        (Role::Node, "Grids.Storage", false),
        (Role::Node, "Tokens.List", false),
        (Role::ReadOnly, "Grids.Get", true),
        (Role::ReadOnly, "Grids.Submit", false),
        (Role::ReadOnly, "Grids.Cancel", false),
        (Role::ReadOnly, "Tokens.List", false),
        (Role::Operator, "Tokens.Create", true),
        (Role::Operator, "Nodes.Complete", false),
    ] {
        assert_eq!(may.get(&(role, name)), Some(&is_allowed), "{role} {name}");
    }
    // Nobody gets anywhere who does not say who they are, or says so wrongly.
    let unknown = format!(
        "atelier_{}_{}",
        NodeId::generate().as_uuid().simple(),
        "0".repeat(64)
    );
    for token in ["", "nonsense", &unknown, &format!("{}x", operator.token)] {
        let nobody = Caller::with(url, token).await?;
        for (name, path) in &calls {
            let code = call(nobody.channel.clone(), path).await?;
            // Whoever is wrong too often is told to wait.
            let is_refused = matches!(code, Code::Unauthenticated)
                || (token == unknown && code == Code::ResourceExhausted);
            assert!(is_refused, "{token:?} {name}: {code:?}");
        }
    }
    assert!(access::RULES.iter().all(|rule| rule.who != Who::Everybody));

    // Whether a coordinator lives is for all; what calls it has is not.
    let nobody = Caller::with(url, "").await?;
    let health = "/grpc.health.v1.Health/Check".parse()?;
    assert_eq!(call(nobody.channel.clone(), &health).await?, Code::Ok);
    let reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo".parse()?;
    assert_eq!(
        call(nobody.channel.clone(), &reflection).await?,
        Code::Unauthenticated
    );
    let code = call(callers[1].1.channel.clone(), &reflection).await?;
    assert!(
        !matches!(code, Code::Unauthenticated | Code::PermissionDenied),
        "{code:?}"
    );

    // What is said to whoever shows nothing or too little says what to do.
    let refused = nobody
        .grids()
        .list(v1::ListRequest::default())
        .await
        .unwrap_err();
    assert!(refused.message().contains("hint: "), "{refused}");
    let refused = callers[1]
        .1
        .fleet()
        .drain(v1::DrainRequest::default())
        .await
        .unwrap_err();
    assert!(
        refused.message().contains("Fleet.Drain is for operator")
            && refused.message().contains("is client"),
        "{refused}"
    );
    Ok(())
}

/// Every call that names a grid, as one asks it.
async fn touch(caller: &Caller, grid: &str) -> Vec<(&'static str, Result<(), Status>)> {
    let grid_id = || grid.to_owned();
    let mut grids = caller.grids();
    let mut ended = Vec::new();
    macro_rules! asked {
        ($name:literal, $call:ident, $request:expr) => {
            ended.push(($name, grids.$call($request).await.map(|_| ())));
        };
    }
    asked!("Get", get, v1::GetRequest { grid_id: grid_id() });
    let first = format!("{grid}/0");
    asked!("Logs", logs, v1::LogsRequest { cell_id: first });
    let watch = v1::WatchRequest {
        grid_id: grid_id(),
        ..v1::WatchRequest::default()
    };
    asked!("Watch", watch, watch);
    asked!("Pause", pause, v1::PauseRequest { grid_id: grid_id() });
    asked!("Resume", resume, v1::ResumeRequest { grid_id: grid_id() });
    let priority = v1::SetPriorityRequest {
        grid_id: grid_id(),
        priority: 20,
    };
    asked!("SetPriority", set_priority, priority);
    asked!("Cancel", cancel, v1::CancelRequest { grid_id: grid_id() });
    let retry = v1::RetryRequest {
        grid_id: grid_id(),
        cell_ids: Vec::new(),
    };
    asked!("Retry", retry, retry);
    asked!("Delete", delete, v1::DeleteRequest { grid_id: grid_id() });
    ended
}

async fn listed(
    caller: &Caller,
    request: v1::ListRequest,
) -> anyhow::Result<Vec<(String, String)>> {
    let answer = caller.grids().list(request).await?.into_inner();
    Ok(answer
        .grids
        .into_iter()
        .map(|grid| (grid.name, grid.submitter))
        .collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_sees_and_touches_its_own_grids_and_of_others_is_told_that_there_are_none()
-> anyhow::Result<()> {
    let (cluster, operator) = asking(&[]).await?;
    let url = &cluster.grpc;
    let bucket = operator.bucket().await?;
    let (ann, _) = operator.new_token(url, "ann", v1::Role::Client).await?;
    let (bob, _) = operator.new_token(url, "bob", v1::Role::Client).await?;
    let (reader, _) = operator.new_token(url, "eve", v1::Role::ReadOnly).await?;

    let of_ann = small_grid(&bucket, "of ann").await?;
    let submitted = ann.grids().submit(of_ann.clone()).await?.into_inner();
    let grid = submitted.grid_id;
    // In somebody else's name, and in one's own.
    let for_bob = v1::SubmitRequest {
        submitter: "bob".to_owned(),
        ..small_grid(&bucket, "for bob").await?
    };
    let refused = ann.grids().submit(for_bob.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    assert!(
        refused.message().contains("submitter: is \"bob\""),
        "{refused}"
    );
    operator.grids().submit(for_bob).await?;
    let mut own_name = small_grid(&bucket, "in her name").await?;
    own_name.submitter = "ann".to_owned();
    own_name.user = "root".to_owned();
    ann.grids().submit(own_name).await?;

    // The same request of somebody else makes another grid, and of the same one none.
    let again = ann.grids().submit(of_ann.clone()).await?.into_inner();
    assert_eq!(
        (again.grid_id.as_str(), again.created),
        (grid.as_str(), false)
    );
    let mut stolen = of_ann.clone();
    stolen.name = "stolen".to_owned();
    let of_bob = bob.grids().submit(stolen).await?.into_inner();
    assert!(of_bob.created && of_bob.grid_id != grid);

    let owned = |name: &str, submitter: &str| (name.to_owned(), submitter.to_owned());
    let anns = [owned("in her name", "ann"), owned("of ann", "ann")];
    let bobs = [owned("stolen", "bob"), owned("for bob", "bob")];
    assert_eq!(listed(&ann, v1::ListRequest::default()).await?, anns);
    assert_eq!(listed(&bob, v1::ListRequest::default()).await?, bobs);
    let mine = v1::ListRequest {
        mine: true,
        user: "root".to_owned(),
        ..v1::ListRequest::default()
    };
    assert_eq!(listed(&ann, mine.clone()).await?, anns);
    assert_eq!(listed(&operator, mine).await?, []);
    let of_submitter = |submitter: &str| v1::ListRequest {
        submitter: Some(submitter.to_owned()),
        ..v1::ListRequest::default()
    };
    assert_eq!(listed(&ann, of_submitter("bob")).await?, []);
    assert_eq!(listed(&reader, of_submitter("bob")).await?, bobs);
    assert_eq!(
        listed(&operator, v1::ListRequest::default()).await?.len(),
        4
    );

    // Somebody else's grid is like none, word by word.
    let nothing = GridId::generate().to_string();
    for ((name, theirs), (_, none)) in touch(&bob, &grid)
        .await
        .into_iter()
        .zip(touch(&bob, &nothing).await)
    {
        let (theirs, none) = (theirs.unwrap_err(), none.unwrap_err());
        assert_eq!(
            (theirs.code(), none.code()),
            (Code::NotFound, Code::NotFound),
            "{name}"
        );
        let same = theirs.message().replace(&grid, &nothing);
        assert_eq!(same, none.message(), "{name}");
    }
    let cells = ann
        .grids()
        .get(v1::GetRequest {
            grid_id: grid.clone(),
        })
        .await?;
    let summary = cells.into_inner().grid.and_then(|grid| grid.summary);
    assert_eq!(
        summary.context("no summary")?.state(),
        v1::GridState::Active
    );
    for (name, ended) in touch(&reader, &grid).await {
        let code = ended.err().map(|status| status.code());
        let is_read = matches!(name, "Get" | "Logs" | "Watch");
        assert_eq!(code, (!is_read).then_some(Code::PermissionDenied), "{name}");
    }
    // Whose it is, and an operator, may do all of it: it is cancelled before it is tried again and deleted.
    for (caller, grid) in [(&ann, &grid), (&operator, &of_bob.grid_id)] {
        for (name, ended) in touch(caller, grid).await {
            match (name, ended) {
                // It was cancelled, so there is nothing that failed.
                ("Retry" | "Delete", Err(status)) => {
                    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
                }
                (_, ended) => ended.with_context(|| name.to_owned())?,
            }
        }
    }
    Ok(())
}

fn registration(node_id: &str) -> v1::RegisterRequest {
    v1::RegisterRequest {
        node_id: node_id.to_owned(),
        name: "studio".to_owned(),
        device: "cpu".to_owned(),
        batch_capacity: 1,
        ..v1::RegisterRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_its_identitys_own_and_nobody_else_answers_for_its_cells() -> anyhow::Result<()> {
    let (cluster, operator) = asking(&[]).await?;
    let url = &cluster.grpc;
    let bucket = operator.bucket().await?;
    let (ours, _) = operator.new_token(url, "studio-1", v1::Role::Node).await?;
    let (theirs, _) = operator.new_token(url, "studio-2", v1::Role::Node).await?;
    let node_id = NodeId::generate().to_string();
    ours.nodes().register(registration(&node_id)).await?;
    ours.nodes().register(registration(&node_id)).await?;
    operator
        .grids()
        .submit(small_grid(&bucket, "one cell").await?)
        .await?;
    let lease = |node_id: &str| v1::LeaseRequest {
        node_id: node_id.to_owned(),
        cells_max: 1,
        ..v1::LeaseRequest::default()
    };
    let leased = ours.nodes().lease(lease(&node_id)).await?.into_inner();
    let cell = leased.cells.first().context("no cell")?;
    let held = || v1::HeldCell {
        cell_id: cell.cell_id.clone(),
        attempt: cell.attempt,
    };

    // As that node, another identity can do nothing.
    let mut nodes = theirs.nodes();
    let node = || node_id.clone();
    let fail = |node_id: String| v1::FailRequest {
        node_id,
        cell: Some(held()),
        kind: v1::FailureKind::Refused.into(),
        reason: "no".to_owned(),
        log: String::new(),
    };
    let renew = v1::RenewRequest {
        node_id: node(),
        ..v1::RenewRequest::default()
    };
    let complete = v1::CompleteRequest {
        node_id: node(),
        cell: Some(held()),
        result: None,
        log: String::new(),
    };
    let release = v1::ReleaseRequest {
        node_id: node(),
        cells: vec![held()],
        reason: String::new(),
    };
    for (name, refused) in [
        (
            "Register",
            nodes.register(registration(&node_id)).await.err(),
        ),
        ("Lease", nodes.lease(lease(&node_id)).await.err()),
        ("Renew", nodes.renew(renew).await.err()),
        ("Complete", nodes.complete(complete).await.err()),
        ("Fail", nodes.fail(fail(node())).await.err()),
        ("Release", nodes.release(release).await.err()),
    ] {
        let refused = refused.with_context(|| format!("{name} was let through"))?;
        assert_eq!(refused.code(), Code::PermissionDenied, "{name}: {refused}");
    }
    // As a node of its own, it does not hold what it has not leased.
    let own_id = NodeId::generate().to_string();
    nodes.register(registration(&own_id)).await?;
    let refused = nodes.fail(fail(own_id)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Aborted, "{refused}");
    ours.nodes().fail(fail(node())).await?;

    let listed = operator
        .fleet()
        .list_nodes(v1::ListNodesRequest::default())
        .await?;
    let mut identities: Vec<String> = listed
        .into_inner()
        .nodes
        .into_iter()
        .map(|node| node.identity)
        .collect();
    identities.sort();
    assert_eq!(identities, ["studio-1", "studio-2"]);
    Ok(())
}
