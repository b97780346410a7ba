//! The stack made or changed, with its weights in the bucket.

use std::path::Path;

use atelier_proto::ids::Digest;

use super::Desk;
use crate::cloud::cloudformation::Updated;
use crate::cloud::parameters::Values;
use crate::cloud::stack::{BUCKET, NODE_GROUP, Resource, Stack};
use crate::cloud::wait::Doing;
use crate::cloud::weights::Wanted;
use crate::error::Error;

/// Makes the stack. Weights are put into the bucket as soon as that is there, beside the rest: a node that comes before they
/// do starts again until they are there.
pub(super) async fn make(
    desk: &Desk<'_>,
    values: &Values,
    weights: Option<Wanted>,
) -> Result<Stack, Error> {
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
                    let is_made =
                        |it: &Resource| it.name == BUCKET && it.status == "CREATE_COMPLETE";
                    if let Some(bucket) = resources.into_iter().find(is_made) {
                        break bucket.id;
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

async fn put(desk: &Desk<'_>, bucket: &str, path: &Path, digest: Digest) -> Result<(), Error> {
    let name = path.display();
    desk.printer.say(&format!(
        "putting {name} into the bucket as weights/{digest}"
    ));
    desk.cloud.put_weights(bucket, path, digest).await?;
    Ok(())
}

/// Changes the stack where that is needed; whether it was.
pub(super) async fn change(
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

pub(super) async fn bucket(desk: &Desk<'_>, stack: &Stack) -> Result<String, Error> {
    if let Some(bucket) = stack.output("BucketName") {
        return Ok(bucket.to_owned());
    }
    let bucket = desk.cloud.resource(&stack.id, BUCKET).await?;
    Ok(bucket.unwrap_or_default())
}
