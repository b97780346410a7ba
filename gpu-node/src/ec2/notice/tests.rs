use proptest::prelude::*;

use super::*;

const TERMINATE: &str = r#"{"action": "terminate", "time": "2026-11-26T08:22:00Z"}"#;
const HIBERNATE: &str = r#"{"action":"hibernate","time":"2026-11-26T08:22:00Z"}"#;
const RECOMMENDED: &str = r#"{"noticeTime":"2026-11-26T08:20:00Z"}"#;

fn answer(text: &str) -> Answer {
    match text {
        "" => Ok(None),
        "silence" => Err(Trouble::Silent {
            cause: "timed out".to_owned(),
        }),
        "500" => Err(Trouble::Status { code: 500 }),
        "503" => Err(Trouble::Status { code: 503 }),
        text => Ok(Some(text.to_owned())),
    }
}

fn round(texts: [&str; 3]) -> Answers {
    let [instance_action, rebalance, target_state] = texts.map(answer);
    Answers {
        instance_action,
        rebalance,
        target_state,
    }
}

/// Whether it was trouble, its end or a notice.
fn kinds(told: &[Told]) -> Vec<(&'static str, Option<Question>)> {
    told.iter()
        .map(|told| match told {
            Told::Notice(_) => ("notice", None),
            Told::Trouble(question, _) => ("trouble", Some(*question)),
            Told::Over(question) => ("over", Some(*question)),
        })
        .collect()
}

#[test]
fn what_is_heard_first_decides() {
    let cases = [
        (["", "", ""], None),
        (["", "", "InService"], None),
        (["", "", "Standby"], None),
        (["", "", "Detached"], None),
        (["", "", "Warmed:Stopped"], None),
        (["", RECOMMENDED, "InService"], Some(Reason::Rebalance)),
        (["", "", "Terminated"], Some(Reason::InstanceTerminates)),
        (["", "", "Terminated\n"], Some(Reason::InstanceTerminates)),
        (
            ["", "", "Warmed:Terminated"],
            Some(Reason::InstanceTerminates),
        ),
        (
            ["", RECOMMENDED, "Terminated"],
            Some(Reason::InstanceTerminates),
        ),
        ([TERMINATE, "", ""], Some(Reason::SpotInterruption)),
        ([HIBERNATE, "", ""], Some(Reason::SpotInterruption)),
        (
            [r#"{"action":"stop","time":"soon","more":1}"#, "", ""],
            Some(Reason::SpotInterruption),
        ),
        (
            [TERMINATE, RECOMMENDED, "Terminated"],
            Some(Reason::SpotInterruption),
        ),
        // Trouble with one question leaves the others.
        (
            [TERMINATE, "silence", "500"],
            Some(Reason::SpotInterruption),
        ),
        (
            ["503", "junk", "Terminated"],
            Some(Reason::InstanceTerminates),
        ),
        // What makes no sense means nothing.
        (["<html>", "<html>", "<html>"], None),
        (["silence", "silence", "silence"], None),
        ([r#"{"action":"explode","time":"now"}"#, "", ""], None),
        ([r#"{"action":"terminate"}"#, "", ""], None),
        (["", "{}", ""], None),
        (["terminate", "2026-11-26T08:20:00Z", "T e r m"], None),
    ];
    for (texts, leave) in cases {
        let step = decide(Known::default(), round(texts));
        assert_eq!(step.leave, leave, "{texts:?}");
    }
}

#[test]
fn each_notice_is_news_once_and_a_stronger_one_again() {
    let rounds = [
        (["", "", "InService"], None, 0),
        (["", RECOMMENDED, "InService"], Some(Reason::Rebalance), 1),
        (["", RECOMMENDED, "InService"], None, 0),
        // It does not come back from that.
        (["", "", "InService"], None, 0),
        (["", RECOMMENDED, ""], None, 0),
        (
            [TERMINATE, RECOMMENDED, ""],
            Some(Reason::SpotInterruption),
            1,
        ),
        ([TERMINATE, RECOMMENDED, "Terminated"], None, 0),
    ];
    let mut known = Known::default();
    for (texts, leave, told) in rounds {
        let step = decide(known, round(texts));
        assert_eq!(
            (step.leave, step.told.len()),
            (leave, told),
            "{texts:?}: {:?}",
            step.told
        );
        known = step.known;
    }
}

#[test]
fn trouble_is_told_when_it_begins_changes_and_ends() {
    let action = Some(Question::InstanceAction);
    let rounds: [(_, &[_]); 8] = [
        (["silence", "", ""], &[("trouble", action)]),
        (["silence", "", ""], &[]),
        (["500", "", ""], &[("trouble", action)]),
        (["503", "", ""], &[]),
        (["junk", "", ""], &[("trouble", action)]),
        (["other junk", "", ""], &[]),
        (["", "", ""], &[("over", action)]),
        (["", "", ""], &[]),
    ];
    let mut known = Known::default();
    for (texts, told) in rounds {
        let step = decide(known, round(texts));
        assert_eq!(kinds(&step.told), told, "{texts:?}");
        assert_eq!(step.leave, None);
        known = step.known;
    }
}

#[test]
fn a_notice_reads_as_a_sentence() {
    let notice = interruption(answer(TERMINATE)).unwrap().unwrap();
    assert_eq!(
        notice.to_string(),
        "the spot instance is terminated at 2026-11-26T08:22:00Z"
    );
    let trouble = Trouble::malformed(&"ä".repeat(1000));
    assert_eq!(trouble.to_string().chars().count(), 200 + 23);
}

/// Answers that nearly make sense.
fn text() -> impl Strategy<Value = String> {
    let whole = [TERMINATE, HIBERNATE, RECOMMENDED, "Terminated", "InService"];
    let damaged = (
        proptest::sample::select(whole.to_vec()),
        0..80_usize,
        any::<char>(),
    )
        .prop_map(|(whole, at, put)| {
            let mut letters: Vec<char> = whole.chars().collect();
            let at = at % letters.len();
            letters[at] = put;
            letters.into_iter().collect()
        });
    let cut = (proptest::sample::select(whole.to_vec()), 0..80_usize)
        .prop_map(|(whole, end)| whole.chars().take(end).collect());
    prop_oneof![any::<String>(), damaged, cut]
}

proptest! {
    #[test]
    fn no_answer_upsets_it_and_only_what_makes_sense_makes_a_node_leave(
        rounds in proptest::collection::vec((text(), text(), text()), 1..6)
    ) {
        let mut known = Known::default();
        let mut last = None;
        for (action, rebalance, state) in rounds {
            let answers = Answers {
                instance_action: Ok(Some(action.clone())),
                rebalance: Ok(Some(rebalance.clone())),
                target_state: Ok(Some(state.clone())),
            };
            let step = decide(known, answers);
            if let Some(reason) = step.leave {
                prop_assert!(Some(reason) >= last, "{reason} after {last:?}");
                last = Some(reason);
                match reason {
                    Reason::SpotInterruption => prop_assert!(
                        ["terminate", "stop", "hibernate"].iter().any(|it| action.contains(it))
                    ),
                    Reason::Rebalance => prop_assert!(rebalance.contains("noticeTime")),
                    other => {
                        prop_assert_eq!(other, Reason::InstanceTerminates);
                        prop_assert!(state.contains("Terminated"));
                    }
                }
            }
            known = step.known;
        }
    }
}
