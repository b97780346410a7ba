//! Goal: `atelier cloud` waits for a stack that takes its time, says what went wrong with one that fails, and leaves it alone
//! when nobody waits any more.
//!
//! moto makes and removes stacks at once and never fails, so a stub of ours stands in for CloudFormation.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atelier_tests::moto::environment;
use atelier_tests::programs::{PATIENCE, Ran, Running, command, run};
use atelier_tests::served::Served;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use rustix::process::Signal;
use tempfile::TempDir;

/// What a stack goes through, as it is asked about: a word for the stack, and what happens to one of its resources then.
type Course = &'static [(&'static str, Option<Happening>)];

/// A resource, a word for it, and the reason.
type Happening = (&'static str, &'static str, &'static str);

/// A stack that cannot be made.
const DOOMED: Course = &[
    (
        "CREATE_IN_PROGRESS",
        Some(("Bucket", "CREATE_COMPLETE", "")),
    ),
    (
        "CREATE_IN_PROGRESS",
        Some(("NodeRole", "CREATE_FAILED", "Resource creation cancelled")),
    ),
    (
        "CREATE_IN_PROGRESS",
        Some(("Volume", "CREATE_FAILED", "there is no zone of this name")),
    ),
    (
        "ROLLBACK_IN_PROGRESS",
        Some(("Bucket", "DELETE_SKIPPED", "")),
    ),
    ("ROLLBACK_COMPLETE", None),
];
/// One that is never done.
const ENDLESS: Course = &[(
    "CREATE_IN_PROGRESS",
    Some(("Bucket", "CREATE_IN_PROGRESS", "")),
)];
/// One that goes.
const GOING: Course = &[
    (
        "DELETE_IN_PROGRESS",
        Some(("Volume", "DELETE_COMPLETE", "")),
    ),
    ("DELETE_COMPLETE", None),
];
/// One that does not go.
const CLINGING: Course = &[
    (
        "DELETE_IN_PROGRESS",
        Some(("Vpc", "DELETE_FAILED", "a network interface is in use")),
    ),
    ("DELETE_FAILED", None),
];

#[derive(Debug, Default)]
struct Kept {
    /// What the stack goes through from now on; none: there is no stack.
    course: Option<Course>,
    /// How often it was asked about.
    step: usize,
    happened: Vec<Happening>,
    /// What it goes through when it is made, and when it is removed.
    making: Course,
    removing: Course,
    /// Calls in their order.
    calls: Vec<String>,
}

/// A CloudFormation with one stack.
#[derive(Debug, Clone, Default)]
struct Stub(Arc<Mutex<Kept>>);

impl Stub {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, action: &str) -> (StatusCode, String) {
        let mut kept = self.kept();
        kept.calls.push(action.to_owned());
        // The first look at events is one too many.
        let looks = kept
            .calls
            .iter()
            .filter(|call| *call == "DescribeStackEvents");
        if action == "DescribeStackEvents" && looks.count() == 1 {
            return refused("Throttling", "Rate exceeded");
        }
        let result = match action {
            "CreateStack" => {
                (kept.course, kept.step) = (Some(kept.making), 0);
                "<StackId>studio/1</StackId>".to_owned()
            }
            "DeleteStack" => {
                (kept.course, kept.step) = (Some(kept.removing), 0);
                String::new()
            }
            "DescribeStacks" => {
                let Some(course) = kept.course else {
                    return refused("ValidationError", "Stack with id studio does not exist");
                };
                let (status, happening) = course[kept.step.min(course.len() - 1)];
                if kept.step < course.len() {
                    kept.step += 1;
                    kept.happened.extend(happening);
                }
                format!(
                    "<Stacks><member><StackId>studio/1</StackId><StackName>studio</StackName>\
                     <CreationTime>2026-01-01T00:00:00Z</CreationTime><StackStatus>{status}</StackStatus>\
                     <Tags><member><Key>atelier</Key><Value>studio</Value></member></Tags></member></Stacks>"
                )
            }
            "DescribeStackEvents" => events(&kept.happened),
            "ListStackResources" => {
                let resource = |name: &str, id: &str| {
                    format!(
                        "<member><LogicalResourceId>{name}</LogicalResourceId><PhysicalResourceId>{id}</PhysicalResourceId>\
                         <ResourceType>AWS::Some::{name}</ResourceType><ResourceStatus>CREATE_COMPLETE</ResourceStatus>\
                         <LastUpdatedTimestamp>2026-01-01T00:00:00Z</LastUpdatedTimestamp></member>"
                    )
                };
                let (bucket, nodes) = (
                    resource("Bucket", "studio-bucket-0a"),
                    resource("NodeGroup", "studio-nodes"),
                );
                format!("<StackResourceSummaries>{bucket}{nodes}</StackResourceSummaries>")
            }
            "DescribeAutoScalingGroups" => {
                let member = "<Instances><member><InstanceId>i-0a</InstanceId><LifecycleState>InService</LifecycleState>\
                     <ProtectedFromScaleIn>true</ProtectedFromScaleIn></member></Instances>";
                // It ends when it is protected no more, and some looks later.
                let unprotected = kept
                    .calls
                    .iter()
                    .position(|call| call == "SetInstanceProtection");
                let is_gone = unprotected.is_some_and(|place| kept.calls.len() > place + 4);
                format!(
                    "<AutoScalingGroups><member><AutoScalingGroupName>studio-nodes</AutoScalingGroupName>{}</member></AutoScalingGroups>",
                    if is_gone { "" } else { member }
                )
            }
            "SetInstanceProtection" | "UpdateAutoScalingGroup" => String::new(),
            _ => return refused("InvalidAction", action),
        };
        let answer = format!(
            "<{action}Response xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\">\
             <{action}Result>{result}</{action}Result></{action}Response>"
        );
        (StatusCode::OK, answer)
    }
}

fn events(happened: &[Happening]) -> String {
    let event = |(id, (resource, status, reason)): (usize, &Happening)| {
        format!(
            "<member><StackId>studio/1</StackId><StackName>studio</StackName><EventId>{id}</EventId>\
             <LogicalResourceId>{resource}</LogicalResourceId><PhysicalResourceId>{resource}-0a</PhysicalResourceId>\
             <ResourceType>AWS::Some::{resource}</ResourceType><Timestamp>2026-01-01T00:00:00Z</Timestamp>\
             <ResourceStatus>{status}</ResourceStatus><ResourceStatusReason>{reason}</ResourceStatusReason></member>"
        )
    };
    // The newest come first.
    let all: Vec<String> = happened.iter().enumerate().rev().map(event).collect();
    format!("<StackEvents>{}</StackEvents>", all.concat())
}

fn refused(code: &str, message: &str) -> (StatusCode, String) {
    let answer = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    );
    (StatusCode::BAD_REQUEST, answer)
}

async fn answer(State(stub): State<Stub>, body: Bytes) -> (StatusCode, String) {
    let pairs = url::form_urlencoded::parse(&body);
    let action = pairs.into_iter().find(|(name, _)| name == "Action");
    stub.answer(
        &action
            .map(|(_, action)| action.into_owned())
            .unwrap_or_default(),
    )
}

struct Account {
    stub: Stub,
    served: Served,
    home: TempDir,
}

impl Account {
    async fn open(making: Course, removing: Course) -> anyhow::Result<Self> {
        let stub = Stub::default();
        (stub.kept().making, stub.kept().removing) = (making, removing);
        let router = Router::new().fallback(answer).with_state(stub.clone());
        Ok(Self {
            stub,
            served: Served::start(router).await?,
            home: tempfile::tempdir()?,
        })
    }

    fn command(&self, what: &str) -> tokio::process::Command {
        let mut command = command("atelier", self.home.path());
        command
            .args(["cloud", what, "studio", "--poll-interval", "20ms"])
            .envs(environment(&self.served.url));
        match what {
            "up" => command.args([
                "--yes",
                "--coordinator-image",
                "registry.example/atelier-coordinator:1",
                "--node-image",
                "registry.example/atelier-node:1-cuda",
                "--client-cidr",
                "10.0.0.0/8",
            ]),
            "down" => command.arg("--yes"),
            _ => &mut command,
        };
        command
    }

    async fn cloud(&self, what: &str) -> anyhow::Result<Ran> {
        run(&mut self.command(what)).await
    }

    fn calls(&self, action: &str) -> usize {
        let kept = self.stub.kept();
        kept.calls.iter().filter(|call| *call == action).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_that_fails_is_told_with_what_failed_first_and_can_be_removed() -> anyhow::Result<()>
{
    let account = Account::open(DOOMED, GOING).await?;
    let made = account.cloud("up").await?;
    let told = &made.stderr;
    assert_eq!(made.code(), Some(11), "{told}");
    for words in [
        "Bucket made\n",
        "failed NodeRole",
        "error: the stack studio was not made (ROLLBACK_COMPLETE): Volume (AWS::Some::Volume): there is no zone of this name\n",
        "`atelier cloud down studio`",
    ] {
        assert!(told.contains(words), "{words} is missing in {told}");
    }
    let status = account.cloud("status").await?.success()?;
    assert!(
        status.contains("because      Volume (AWS::Some::Volume)"),
        "{status}"
    );
    let again = account.cloud("up").await?;
    assert_eq!(again.code(), Some(9), "{}", again.stderr);
    assert!(
        again.stderr.contains("did not come about"),
        "{}",
        again.stderr
    );
    assert_eq!(account.calls("CreateStack"), 1);

    // No coordinator has ever served, so nobody needs to be asked.
    let gone = account.cloud("down").await?;
    assert_eq!(gone.code(), Some(0), "{}", gone.stderr);
    assert!(gone.stderr.contains("Volume removed\n"), "{}", gone.stderr);
    assert!(
        gone.stderr.contains("s3://studio-bucket-0a"),
        "{}",
        gone.stderr
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_fails_says_why() -> anyhow::Result<()> {
    let account = Account::open(DOOMED, CLINGING).await?;
    account.cloud("up").await?;
    let down = account.cloud("down").await?;
    assert_eq!(down.code(), Some(11), "{}", down.stderr);
    let words =
        "was not removed (DELETE_FAILED): Vpc (AWS::Some::Vpc): a network interface is in use";
    assert!(down.stderr.contains(words), "{}", down.stderr);
    assert!(
        !down.stderr.contains("no zone"),
        "that was another time: {}",
        down.stderr
    );
    // Nodes have ended by then.
    assert!(
        down.stderr.contains("waiting for 1 node to end"),
        "{}",
        down.stderr
    );
    let kept = account.stub.kept();
    let place = |action: &str| kept.calls.iter().rposition(|call| call == action);
    let order = [
        "UpdateAutoScalingGroup",
        "DescribeAutoScalingGroups",
        "DeleteStack",
        "DescribeStacks",
    ];
    assert!(order.map(place).is_sorted(), "{:?}", kept.calls);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_the_wait_and_not_the_stack() -> anyhow::Result<()> {
    let account = Account::open(ENDLESS, GOING).await?;
    let mut up = Running::start("up", &mut account.command("up"), &account.home)?;
    // Two looks: it waits.
    let looks = async {
        while account.calls("DescribeStackEvents") < 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looks).await?;
    up.signal(Signal::INT)?;
    assert_eq!(up.wait().await?.code(), Some(130));
    assert!(
        up.log().contains("AWS goes on making the stack"),
        "{}",
        up.log()
    );
    assert_eq!(account.calls("DeleteStack"), 0);
    Ok(())
}
