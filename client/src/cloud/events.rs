//! How an operation on a stack gets on, by what CloudFormation tells of each resource. Nothing here calls anything.

use std::collections::{BTreeMap, BTreeSet};

use super::error::FirstFailure;

/// Something that happened to a resource of a stack, or to the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// No other has it.
    pub id: String,
    /// The resource's name in the template.
    pub resource: String,
    /// As in `AWS::S3::Bucket`.
    pub kind: String,
    /// CloudFormation's word.
    pub status: String,
    /// Why, if that is told.
    pub reason: String,
    /// Whether it is about the stack itself.
    pub is_stack: bool,
}

/// What became of a resource, worth a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// It is as it should be.
    Done(String),
    /// It is not.
    Failed(String),
}

/// An operation, as far as it has been told.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    seen: BTreeSet<String>,
    /// The word for each resource, by name.
    resources: BTreeMap<String, String>,
    first_failure: Option<FirstFailure>,
}

impl Progress {
    /// Takes events in their order, those that it has already, too; what is new in them.
    pub fn take(&mut self, events: Vec<Event>) -> Vec<News> {
        let mut news = Vec::new();
        for event in events {
            if !self.seen.insert(event.id.clone()) {
                continue;
            }
            if event.is_stack {
                // Another operation begins: what failed before it is history.
                if matches!(
                    event.status.as_str(),
                    "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS" | "DELETE_IN_PROGRESS"
                ) {
                    self.first_failure = None;
                }
                continue;
            }
            let before = self
                .resources
                .insert(event.resource.clone(), event.status.clone());
            if event.status.ends_with("_FAILED") {
                news.push(News::Failed(format!(
                    "{} ({}): {}",
                    event.resource, event.kind, event.reason
                )));
                // What is given up because of another one says so, and is not the fault.
                if self.first_failure.is_none() && !is_given_up(&event.reason) {
                    self.first_failure = Some(FirstFailure {
                        resource: event.resource,
                        kind: event.kind,
                        reason: event.reason,
                    });
                }
            } else if let Some(done) = done(&event.status)
                && before.as_ref() != Some(&event.status)
            {
                news.push(News::Done(format!("{} {done}", event.resource)));
            }
        }
        news
    }

    /// What failed before anything else did.
    pub fn first_failure(&self) -> Option<&FirstFailure> {
        self.first_failure.as_ref()
    }

    /// In a few words: how many are done, and which are at work.
    pub fn line(&self) -> String {
        let at_work: Vec<&str> = self
            .resources
            .iter()
            .filter(|(_, status)| status.ends_with("_IN_PROGRESS"))
            .map(|(name, _)| name.as_str())
            .collect();
        let done = self.resources.len() - at_work.len();
        match at_work.as_slice() {
            [] => format!("{done} done"),
            [one] => format!("{done} done, at {one}"),
            [one, another] => format!("{done} done, at {one} and {another}"),
            [one, another, more @ ..] => {
                format!("{done} done, at {one}, {another} and {} more", more.len())
            }
        }
    }
}

fn done(status: &str) -> Option<&'static str> {
    match status {
        "CREATE_COMPLETE" => Some("made"),
        "UPDATE_COMPLETE" => Some("changed"),
        "DELETE_COMPLETE" => Some("removed"),
        "DELETE_SKIPPED" => Some("kept"),
        _ => None,
    }
}

fn is_given_up(reason: &str) -> bool {
    // Of the making, the update and the removal of a resource.
    reason.to_lowercase().contains("cancelled")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: u32, resource: &str, status: &str, reason: &str) -> Event {
        Event {
            id: id.to_string(),
            resource: resource.to_owned(),
            kind: format!("AWS::X::{resource}"),
            status: status.to_owned(),
            reason: reason.to_owned(),
            is_stack: resource == "studio",
        }
    }

    #[test]
    fn the_first_that_failed_is_told_and_not_those_that_were_given_up_for_it() {
        let all = [
            event(1, "studio", "CREATE_IN_PROGRESS", "User Initiated"),
            event(2, "Bucket", "CREATE_IN_PROGRESS", ""),
            event(3, "Volume", "CREATE_IN_PROGRESS", ""),
            event(4, "NodeRole", "CREATE_IN_PROGRESS", ""),
            event(5, "Bucket", "CREATE_COMPLETE", ""),
            event(
                6,
                "NodeRole",
                "CREATE_FAILED",
                "Resource creation cancelled",
            ),
            event(7, "Volume", "CREATE_FAILED", "no such zone"),
            event(
                8,
                "studio",
                "ROLLBACK_IN_PROGRESS",
                "The following failed: [Volume]",
            ),
            event(9, "Bucket", "DELETE_SKIPPED", ""),
        ];
        let mut progress = Progress::default();
        assert_eq!(progress.take(all[..4].to_vec()), []);
        assert_eq!(progress.line(), "0 done, at Bucket, NodeRole and 1 more");
        // Pages overlap.
        let news = progress.take(all.to_vec());
        let done = |text: &str| News::Done(text.to_owned());
        let failed = |text: &str| News::Failed(text.to_owned());
        assert_eq!(
            news,
            [
                done("Bucket made"),
                failed("NodeRole (AWS::X::NodeRole): Resource creation cancelled"),
                failed("Volume (AWS::X::Volume): no such zone"),
                done("Bucket kept"),
            ]
        );
        let first = progress.first_failure().unwrap();
        assert_eq!(
            (&*first.resource, &*first.reason),
            ("Volume", "no such zone")
        );
        assert_eq!(progress.take(all.to_vec()), []);
        assert_eq!(progress.line(), "3 done");
        // What failed once is no reason why its removal does.
        progress.take(vec![event(
            10,
            "studio",
            "DELETE_IN_PROGRESS",
            "User Initiated",
        )]);
        assert_eq!(progress.first_failure(), None);
    }
}
