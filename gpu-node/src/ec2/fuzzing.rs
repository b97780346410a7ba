//! Answers of whatever calls itself the metadata service.

use super::metadata::Trouble;
use super::notice::{Answer, Answers, Known, Told, decide};

/// Longest text that is told, bytes: the beginning of an answer, with its bytes escaped.
const TOLD_BYTES_MAX: usize = 4_000;
/// Answers of one round.
const QUESTIONS: usize = 3;

/// Two rounds of answers, with a zero byte after each answer: a node leaves because of what is told alone, hears nothing new
/// when the same is answered again, and takes silence for no answer at all. What is told fits into a line of a log.
///
/// # Panics
/// Where that is not so.
pub fn notices(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut texts = text.split('\0').map(answer);
    let mut known = Known::default();
    for _ in 0..2 {
        let mut next = || texts.next().unwrap_or(Ok(None));
        let answers = Answers {
            instance_action: next(),
            rebalance: next(),
            target_state: next(),
        };
        let step = decide(known, answers.clone());
        let notices = step
            .told
            .iter()
            .filter(|told| matches!(told, Told::Notice(_)));
        assert_eq!(notices.count(), usize::from(step.leave.is_some()));
        assert!(step.told.len() <= QUESTIONS + 1);
        for told in &step.told {
            let told = match told {
                Told::Notice(notice) => notice.to_string(),
                Told::Trouble(_, trouble) => trouble.to_string(),
                Told::Over(question) => question.path().to_owned(),
            };
            assert!(told.len() <= TOLD_BYTES_MAX, "{} bytes", told.len());
            assert!(!told.chars().any(char::is_control), "{told:?}");
        }
        let again = decide(step.known.clone(), answers);
        assert!(again.leave.is_none() && again.told.is_empty(), "{again:?}");
        assert_eq!(again.known, step.known);
        let silent = || Err(Trouble::Status { code: 503 });
        let silence = Answers {
            instance_action: silent(),
            rebalance: silent(),
            target_state: silent(),
        };
        assert!(decide(step.known.clone(), silence).leave.is_none());
        known = step.known;
    }
}

fn answer(text: &str) -> Answer {
    match text {
        "" => Ok(None),
        "500" => Err(Trouble::Status { code: 500 }),
        "silence" => Err(Trouble::Silent {
            cause: "timed out".to_owned(),
        }),
        text => Ok(Some(text.to_owned())),
    }
}

/// What a fuzzer begins with.
#[cfg(test)]
pub(crate) fn seeds() -> impl Iterator<Item = (String, Vec<u8>)> {
    const TERMINATE: &str = r#"{"action": "terminate", "time": "2026-11-26T08:22:00Z"}"#;
    const RECOMMENDED: &str = r#"{"noticeTime":"2026-11-26T08:20:00Z"}"#;
    let seeds = [
        (
            "spot",
            ["", RECOMMENDED, "InService", TERMINATE, "", "InService"],
        ),
        (
            "group",
            ["500", "silence", "InService", "", "", "Warmed:Terminated"],
        ),
        ("calm", ["", "", "Standby", "", "silence", "Detached\n"]),
    ];
    seeds
        .map(|(name, answers)| (name.to_owned(), answers.join("\0").into_bytes()))
        .into_iter()
}
