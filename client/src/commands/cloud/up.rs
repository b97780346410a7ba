//! `atelier cloud up`: makes an atelier on AWS, or changes one.

mod plan;

use std::path::{Path, PathBuf};

use atelier_proto::prices::Prices;
use clap::Args;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use self::plan::Plan;
use super::arguments::TemplateArgs;
use super::{Desk, StackArgs, Told};
use crate::cli::AccessArgs;
use crate::cloud::CloudError;
use crate::cloud::costs::Costs;
use crate::cloud::parameters::{Given, Values};
use crate::cloud::stack::{BUCKET, NODE_GROUP, Stack, Standing, Updated};
use crate::cloud::wait::Doing;
use crate::cloud::weights::{Wanted, WeightsError};
use crate::confirm;
use crate::error::Error;
use crate::exit::Exit;
use crate::printer::{Printer, Tone};
use crate::profiles::Profile;

const NOTHING_DONE: &str = "nothing was made or changed";

/// `atelier cloud up`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier cloud up studio --client-cidr 10.0.0.0/8 --vpc vpc-0a --subnets subnet-0a,subnet-0b \\
      --coordinator-image $REGISTRY/atelier-coordinator:1 --node-image $REGISTRY/atelier-node:1-cuda
  atelier cloud up studio --nodes-max 20 --weights vgg19.safetensors    # the rest stays as it is

Makes a CloudFormation stack of this name, after telling what it is made of and what it costs; of a stack that is there already, \
it changes what is said. Writes a profile, so that --profile NAME leads to it from then on. Ctrl-C ends the wait and not the \
stack. Asks on a terminal; elsewhere it needs --yes. Prints where everything is.")]
pub struct UpArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub stack: StackArgs,
    /// Prices for the estimates [default: a table that is shipped]
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub template: TemplateArgs,
}

/// The atelier, as `--json` has it.
#[derive(Serialize)]
struct Up<'a> {
    #[serde(flatten)]
    told: Told<'a>,
    changed: bool,
    profile: &'a str,
}

/// Makes or changes it, and tells where it is.
pub async fn run(
    printer: &Printer,
    shutdown: &CancellationToken,
    access: &AccessArgs,
    args: UpArgs,
) -> Result<Exit, Error> {
    if !args.yes {
        confirm::check_somebody_is_there("cloud up")?;
    }
    let (given, weights) = args.template.given().await?;
    let prices = prices(args.prices.as_deref())?;
    let desk = Desk::open(printer, shutdown, access, args.stack).await?;
    let looking = look(&desk, &given, weights.as_ref());
    let (before, values) = desk.unless_interrupted(NOTHING_DONE, looking).await?;
    let costs = Costs::of(&values, &prices);
    let (stack, changed) = match &before {
        None => {
            ask(&desk, &Plan::new(&values, costs), args.yes).await?;
            (make(&desk, &values, weights).await?, true)
        }
        Some(stack) => {
            let is_same = desk.cloud.has_this_template(&stack.id).await?;
            let plan = Plan::change(&stack.parameters, &values, is_same, costs);
            if !plan.is_empty() {
                ask(&desk, &plan, args.yes).await?;
            }
            change(&desk, stack, &values, weights, plan.is_empty()).await?
        }
    };
    let profile = keep_profile(&desk, before.as_ref(), &stack)?;
    finish(&desk, &stack, profile, changed)?;
    Ok(Exit::Ok)
}

fn prices(path: Option<&Path>) -> Result<Prices, Error> {
    match path {
        Some(path) => Ok(Prices::load(path).map_err(CloudError::from)?),
        None => Ok(Prices::shipped()),
    }
}

/// The stack of this name, if it is there, and what its parameters are to be.
async fn look(
    desk: &Desk<'_>,
    given: &Given,
    weights: Option<&Wanted>,
) -> Result<(Option<Stack>, Values), Error> {
    let stack = match desk.cloud.atelier(&desk.name).await {
        Ok(stack) => Some(settled(desk, stack).await?),
        Err(CloudError::NoStack { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let stack = stack.filter(|stack| stack.standing() != Standing::Gone);
    if let Some(Stack { name, status, .. }) = &stack {
        let (name, status) = (name.clone(), status.clone());
        match Standing::of(&status) {
            Standing::Unfinished => return Err(CloudError::Unfinished { name, status }.into()),
            Standing::Stuck => return Err(CloudError::Stuck { name, status }.into()),
            Standing::Busy | Standing::Ready | Standing::Gone => {}
        }
    }
    let before = stack.as_ref().map(|stack| &stack.parameters);
    let values = given.settled(before).map_err(CloudError::from)?;
    if let Some(&Wanted::Stored(digest)) = weights {
        let new = CloudError::from(WeightsError::NewBucket { digest });
        let stack = stack.as_ref().ok_or(new)?;
        let bucket = bucket(desk, stack).await?;
        if !desk.cloud.has_weights(&bucket, digest).await? {
            let missing = WeightsError::NotThere { digest, bucket };
            return Err(CloudError::from(missing).into());
        }
    }
    Ok((stack, values))
}

/// The stack when what is going on with it has ended, whatever came of it.
async fn settled(desk: &Desk<'_>, stack: Stack) -> Result<Stack, Error> {
    if stack.standing() != Standing::Busy {
        return Ok(stack);
    }
    desk.printer.say(&format!(
        "waiting for what goes on with the stack ({})",
        stack.status
    ));
    let after = desk.cloud.last_event(&stack.id).await?;
    let doing = Doing::of(&stack.status);
    let waiting = desk.waiting();
    let (settled, _) = waiting
        .until_settled(&stack.id, after.as_deref(), doing)
        .await?;
    Ok(settled)
}

/// Tells what is to be done, and has it confirmed.
async fn ask(desk: &Desk<'_>, plan: &Plan, yes: bool) -> Result<(), Error> {
    desk.printer
        .say(&plan.text(&desk.name, desk.cloud.region()));
    for warning in plan.warnings() {
        desk.printer.warn(&warning);
    }
    if yes {
        return Ok(());
    }
    let question = plan.question(&desk.name);
    confirm::confirm(desk.printer, desk.shutdown, &question, NOTHING_DONE).await
}

/// Makes the stack. Weights are put into the bucket as soon as that is there, beside the rest: a node that comes before they
/// do starts again until they are there.
async fn make(desk: &Desk<'_>, values: &Values, weights: Option<Wanted>) -> Result<Stack, Error> {
    let id = desk.cloud.create(&desk.name, values).await?;
    let waiting = desk.waiting();
    let waiting = waiting.until_done(&id, None, Doing::Making);
    let putting = async {
        let Some(Wanted::File { path, digest }) = weights else {
            return Ok(());
        };
        let bucket = loop {
            match desk.cloud.resources(&id).await {
                Ok(resources) => {
                    let is_made = |it: &&_| is_made_bucket(it);
                    if let Some(bucket) = resources.iter().find(is_made) {
                        break bucket.id.clone();
                    }
                }
                Err(error) if error.is_passing() => {}
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(desk.poll_interval).await;
        };
        put(desk, &bucket, &path, digest).await
    };
    let words = "the weights are not in the bucket yet, and AWS goes on making the stack; say the same again";
    let putting = desk.unless_interrupted(words, putting);
    let (stack, ()) = tokio::try_join!(waiting, putting)?;
    Ok(stack)
}

fn is_made_bucket(resource: &crate::cloud::stack::Resource) -> bool {
    resource.name == BUCKET && resource.status == "CREATE_COMPLETE"
}

async fn put(
    desk: &Desk<'_>,
    bucket: &str,
    path: &Path,
    digest: atelier_proto::ids::Digest,
) -> Result<(), Error> {
    let name = path.display();
    desk.printer.say(&format!(
        "putting {name} into the bucket as weights/{digest}"
    ));
    desk.cloud.put_weights(bucket, path, digest).await?;
    Ok(())
}

/// Changes the stack where that is needed; whether it was.
async fn change(
    desk: &Desk<'_>,
    stack: &Stack,
    values: &Values,
    weights: Option<Wanted>,
    is_same: bool,
) -> Result<(Stack, bool), Error> {
    if let Some(Wanted::File { path, digest }) = &weights {
        // Before any node is told of them.
        let bucket = bucket(desk, stack).await?;
        let words = "the weights were not put into the bucket, and nothing was changed";
        let putting = put(desk, &bucket, path, *digest);
        desk.unless_interrupted(words, putting).await?;
    }
    let after = desk.cloud.last_event(&stack.id).await?;
    let updated = if is_same {
        Updated::Unchanged
    } else {
        desk.cloud.update(&stack.id, values).await?
    };
    let changed = match updated {
        Updated::Unchanged => stack.clone(),
        Updated::Begun => {
            let waiting = desk.waiting();
            waiting
                .until_done(&stack.id, after.as_deref(), Doing::Changing)
                .await?
        }
    };
    mend(desk, &changed, values).await?;
    Ok((changed, updated == Updated::Begun))
}

/// Gives the nodes' group back its size where `atelier cloud down` took it away and did not come to its end.
async fn mend(desk: &Desk<'_>, stack: &Stack, values: &Values) -> Result<(), Error> {
    let most = values.get("NodesMax").and_then(|most| most.parse().ok());
    let name = desk.cloud.resource(&stack.id, NODE_GROUP).await?;
    if let (Some(name), Some(most)) = (name, most) {
        let group = desk.cloud.group(&name).await?;
        if group.is_some_and(|group| group.most != most) {
            desk.cloud.bound(&name, most).await?;
            desk.printer.say("nodes may come again");
        }
    }
    Ok(())
}

async fn bucket(desk: &Desk<'_>, stack: &Stack) -> Result<String, Error> {
    if let Some(bucket) = stack.output("BucketName") {
        return Ok(bucket.to_owned());
    }
    let bucket = desk.cloud.resource(&stack.id, BUCKET).await?;
    Ok(bucket.unwrap_or_default())
}

/// Keeps the profile of the stack's name; returns it, unless it leads elsewhere.
fn keep_profile(
    desk: &Desk<'_>,
    before: Option<&Stack>,
    after: &Stack,
) -> Result<Option<Profile>, Error> {
    let Some(endpoint) = after.output("Endpoint") else {
        return Ok(None);
    };
    let printer = desk.printer;
    let name = &desk.name;
    let leads_to = |profile: &Profile| profile.coordinators.join(", ");
    if let (Some(profile), Some(before)) = (&desk.profile, before) {
        let is_ours =
            [before.output("Endpoint"), Some(endpoint)].contains(&Some(&*leads_to(profile)));
        if !is_ours {
            // Through a tunnel, perhaps.
            printer.say(&format!(
                "the profile {name} leads to {} and stays so; the stack's own endpoint is {endpoint}",
                leads_to(profile)
            ));
            return Ok(None);
        }
    }
    // Whom to trust there, and as whom to come, is for people to say.
    let kept = desk.profile.clone().unwrap_or_default();
    let profile = Profile {
        coordinators: vec![endpoint.to_owned()],
        region: Some(desk.cloud.region().to_owned()),
        token_file: (kept.token_file.clone())
            .or_else(|| kept.cert.is_none().then(|| format!("{name}-token").into())),
        ..kept
    };
    if let Some(replaced) = desk.profiles.put(name, &profile)?
        && replaced.coordinators != profile.coordinators
    {
        printer.warn(&format!(
            "the profile {name} led to {} before",
            leads_to(&replaced)
        ));
    }
    Ok(Some(profile))
}

/// Tells where everything is, and what comes next.
fn finish(
    desk: &Desk<'_>,
    stack: &Stack,
    profile: Option<Profile>,
    changed: bool,
) -> Result<(), Error> {
    let printer = desk.printer;
    let told = Told::of(stack, &desk.cloud);
    let name = printer.tint(Tone::Bold, &desk.name);
    printer.say(&if changed {
        format!("{name} is there")
    } else {
        format!("{name} is as it should be: there was nothing to change")
    });
    let name = &desk.name;
    if printer.json_wanted() {
        let profile = name;
        return printer.json(&Up {
            told,
            changed,
            profile,
        });
    }
    printer.data(&told.lines())?;
    let host = stack.parameters.get("EndpointName");
    if let (Some(host), Some(balancer)) = (host.filter(|host| !host.is_empty()), told.load_balancer)
    {
        printer.say(&format!("point {host} at {balancer}, by a CNAME record"));
    }
    let token_file = profile.and_then(|profile| profile.token_file);
    let token_file = token_file.map(|file| desk.profiles.file(&file));
    if let (Some(secret), Some(file)) = (told.operator_token_secret, token_file)
        && !file.exists()
    {
        printer.say(&format!(
            "get your token, the first operator's: (umask 077; aws secretsmanager get-secret-value --region {} \
             --secret-id {secret} --query SecretString --output text >{})",
            told.region,
            file.display()
        ));
    }
    printer.say(&format!(
        "submit with: atelier submit grid.toml --profile {name}"
    ));
    Ok(())
}
