//! What follows from what the metadata service answers. No I/O.

use std::fmt;

use serde::Deserialize;

use super::metadata::Trouble;
use crate::departure::Reason;

/// Longest name of anything, as of a state or an instance type, characters.
const NAME_CHARS_MAX: usize = 100;

/// What is asked again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// Whether the spot instance is taken back:
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html>.
    InstanceAction,
    /// Whether that has become likely:
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/rebalance-recommendations.html>.
    Rebalance,
    /// What the Auto Scaling group is about to make of the instance:
    /// <https://docs.aws.amazon.com/autoscaling/ec2/userguide/retrieving-target-lifecycle-state-through-imds.html>.
    TargetState,
}

impl Question {
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::InstanceAction => "/latest/meta-data/spot/instance-action",
            Self::Rebalance => "/latest/meta-data/events/recommendations/rebalance",
            Self::TargetState => "/latest/meta-data/autoscaling/target-lifecycle-state",
        }
    }
}

/// What EC2 has in mind with the machine; a later one counts more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Notice {
    /// It may soon be taken back.
    Rebalance,
    /// The Auto Scaling group terminates it.
    Terminates,
    /// It is taken back.
    Interruption {
        action: Action,
        /// When, as EC2 writes it.
        time: String,
    },
}

/// What becomes of an instance that is taken back. The node leaves in any case: nobody says when an instance that is
/// stopped comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Action {
    Hibernate,
    Stop,
    Terminate,
}

impl Notice {
    fn reason(&self) -> Reason {
        match self {
            Self::Rebalance => Reason::Rebalance,
            Self::Terminates => Reason::InstanceTerminates,
            Self::Interruption { .. } => Reason::SpotInterruption,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rebalance => f.write_str("the instance may soon be taken back"),
            Self::Terminates => f.write_str("the Auto Scaling group terminates the instance"),
            Self::Interruption { action, time } => {
                let becomes = match action {
                    Action::Hibernate => "hibernates",
                    Action::Stop => "is stopped",
                    Action::Terminate => "is terminated",
                };
                write!(f, "the spot instance {becomes} at {time}")
            }
        }
    }
}

/// A text at a path, nothing, or trouble.
pub(super) type Answer = Result<Option<String>, Trouble>;

/// The answers of one round.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    pub(super) instance_action: Answer,
    pub(super) rebalance: Answer,
    pub(super) target_state: Answer,
}

/// What was known before a round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// The one that counts most.
    notice: Option<Notice>,
    /// With each question, in the order of [`Answers`].
    troubles: [Option<Trouble>; 3],
}

/// What people are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    Notice(Notice),
    /// A question has no answer that means anything.
    Trouble(Question, Trouble),
    /// It has one again.
    Over(Question),
}

/// What follows from a round.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) known: Known,
    /// Why the node is to leave, if that is news.
    pub(super) leave: Option<Reason>,
    pub(super) told: Vec<Told>,
}

/// Takes in the answers of a round. Trouble with a question is told when it begins, changes and ends, and means neither
/// that there is a notice nor that there is none.
pub(super) fn decide(known: Known, answers: Answers) -> Step {
    let heard = [
        (
            Question::InstanceAction,
            interruption(answers.instance_action),
        ),
        (Question::Rebalance, rebalance(answers.rebalance)),
        (Question::TargetState, target_state(answers.target_state)),
    ];
    let Known {
        notice: noticed,
        troubles: mut known_troubles,
    } = known;
    let mut told = Vec::new();
    let mut strongest = noticed.clone();
    for ((question, heard), known_trouble) in heard.into_iter().zip(&mut known_troubles) {
        match heard {
            Ok(notice) => {
                if known_trouble.take().is_some() {
                    told.push(Told::Over(question));
                }
                strongest = strongest.max(notice);
            }
            Err(trouble) => {
                let is_known = known_trouble
                    .as_ref()
                    .is_some_and(|known| known.is_like(&trouble));
                if !is_known {
                    told.push(Told::Trouble(question, trouble.clone()));
                    *known_trouble = Some(trouble);
                }
            }
        }
    }
    let mut leave = None;
    if strongest > noticed
        && let Some(notice) = &strongest
    {
        told.push(Told::Notice(notice.clone()));
        leave = Some(notice.reason());
    }
    Step {
        known: Known {
            notice: strongest,
            troubles: known_troubles,
        },
        leave,
        told,
    }
}

/// `{"action": "terminate", "time": "2017-09-18T08:22:00Z"}`.
fn interruption(answer: Answer) -> Result<Option<Notice>, Trouble> {
    #[derive(Deserialize)]
    struct InstanceAction {
        action: Action,
        time: String,
    }
    understand(answer, |text| {
        let InstanceAction { action, time } = serde_json::from_str(text).ok()?;
        let time = name(&time)?;
        Some(Some(Notice::Interruption { action, time }))
    })
}

/// `{"noticeTime": "2020-11-05T08:22:00Z"}`.
fn rebalance(answer: Answer) -> Result<Option<Notice>, Trouble> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Recommendation {
        notice_time: String,
    }
    understand(answer, |text| {
        let Recommendation { notice_time } = serde_json::from_str(text).ok()?;
        name(&notice_time)?;
        Some(Some(Notice::Rebalance))
    })
}

/// `InService`, `Standby`, `Terminated`, …, and the same of a warm pool: `Warmed:Terminated`.
pub(super) fn target_state(answer: Answer) -> Result<Option<Notice>, Trouble> {
    understand(answer, |text| {
        let state = name(text)?;
        let is_over = matches!(state.as_str(), "Terminated" | "Warmed:Terminated");
        Some(is_over.then_some(Notice::Terminates))
    })
}

/// What a text means, where there is one; none: nothing that anybody knows.
fn understand(
    answer: Answer,
    meaning: impl FnOnce(&str) -> Option<Option<Notice>>,
) -> Result<Option<Notice>, Trouble> {
    match answer? {
        None => Ok(None),
        Some(text) => meaning(&text).ok_or_else(|| Trouble::malformed(&text)),
    }
}

/// A text that can be a name, an id or a time: short, visible, in one word.
pub(super) fn name(text: &str) -> Option<String> {
    let text = text.trim();
    let is_one = !text.is_empty()
        && text.len() <= NAME_CHARS_MAX
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:+".contains(&byte));
    is_one.then(|| text.to_owned())
}

#[cfg(test)]
mod tests;
