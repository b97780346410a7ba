//! `atelier cloud up`: makes an atelier on AWS, or changes one.

mod plan;
mod told;
mod work;

use std::path::PathBuf;

use clap::Args;
use tokio_util::sync::CancellationToken;

use self::plan::Plan;
use self::told::{finish, keep_profile};
use self::work::{bucket, change, make};
use super::arguments::TemplateArgs;
use super::{Desk, StackArgs, prices};
use crate::cli::AccessArgs;
use crate::cloud::CloudError;
use crate::cloud::costs::Costs;
use crate::cloud::parameters::{Given, Values};
use crate::cloud::stack::{Stack, Standing};
use crate::cloud::wait::Doing;
use crate::cloud::weights::{Wanted, WeightsError};
use crate::confirm;
use crate::error::Error;
use crate::exit::Exit;
use crate::printer::Printer;

const NOTHING_DONE: &str = "nothing was made or changed";

/// `atelier cloud up`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  atelier cloud up studio --client-cidr 10.0.0.0/8 \\
      --vpc vpc-0a --subnets subnet-0a,subnet-0b \\
      --coordinator-image $REGISTRY/atelier-coordinator:1 \\
      --node-image $REGISTRY/atelier-node:1-cuda
  atelier cloud up studio --nodes-max 20 --weights vgg19.safetensors

Makes a CloudFormation stack of this name, after telling what it is made of and what it costs; of a stack that is there already, \
it changes what is said. Writes a profile, so that --profile NAME leads to it from then on. Ctrl-C ends the wait and not the \
stack. Asks on a terminal; elsewhere it only tells, unless --yes is said. Prints where everything is.")]
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

/// Makes or changes it, and tells where it is.
pub async fn run(
    printer: &Printer,
    shutdown: &CancellationToken,
    access: &AccessArgs,
    args: UpArgs,
) -> Result<Exit, Error> {
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
        desk.printer.warn(warning);
    }
    if yes {
        return Ok(());
    }
    confirm::check_somebody_is_there("cloud up")?;
    let question = plan.question(&desk.name);
    confirm::confirm(desk.printer, desk.shutdown, &question, NOTHING_DONE).await
}
