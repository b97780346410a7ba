//! What is left of it here: the profile that leads to the atelier, and where everything is.

use serde::Serialize;

use super::super::Told;
use super::Desk;
use crate::cloud::stack::Stack;
use crate::error::Error;
use crate::printer::Tone;
use crate::profiles::Profile;

/// The atelier, as `--json` has it.
#[derive(Serialize)]
struct Up<'a> {
    #[serde(flatten)]
    told: Told<'a>,
    changed: bool,
    profile: &'a str,
}

/// Keeps the profile of the stack's name; returns it, unless it leads elsewhere.
pub(super) fn keep_profile(
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
pub(super) fn finish(
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
