use atelier_proto::ids::GridId;
use jiff::Timestamp;

use super::*;
use crate::domain::ending::EndedCells;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn loaded(text: &str) -> Result<Vec<Webhook>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("webhooks.toml");
    std::fs::write(&path, text).unwrap();
    std::fs::write(folder.path().join("secret"), format!("{SECRET}\n")).unwrap();
    std::fs::write(folder.path().join("short"), "whsec_c2hvcnQ=").unwrap();
    let variable = |name: &str| (name == "HOOK_SECRET").then(|| SECRET.to_owned());
    load(&path, variable).map_err(|error| error.to_string())
}

fn ending(kind: EndKind, submitter: &str) -> Ending {
    let at = Timestamp::from_second(1_800_000_000).unwrap();
    Ending {
        grid: GridId::generate(),
        name: "ride".to_owned(),
        submitter: submitter.to_owned(),
        kind,
        cells: EndedCells {
            done: 1,
            failed: 0,
            cancelled: 0,
        },
        seconds: 1.0,
        dollars: None,
        submitted_at: at,
        ended_at: at,
    }
}

#[test]
fn an_entry_says_who_hears_of_what() {
    let webhooks = loaded(
        "[[webhook]]\nurl = \"https://hooks.example.com/T0/secret\"\nsecret_file = \"secret\"\n\
         [[webhook]]\nname = \"ann's\"\nurl = \"http://127.0.0.1:9000/\"\nsecret_env = \"HOOK_SECRET\"\n\
         events = [\"grid.failed\", \"grid.cancelled\"]\nsubmitters = [\"ann\"]\n\
         [[webhook]]\nurl = \"http://studio:81/\"\nsecret_env = \"HOOK_SECRET\"\ninsecure = true\n",
    )
    .unwrap();
    let names: Vec<&str> = webhooks.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["hooks.example.com", "ann's", "studio:81"]);
    let [all, anns, _] = &webhooks[..] else {
        panic!("{webhooks:?}");
    };
    for kind in EndKind::ALL {
        assert!(all.wants(&ending(kind, "")));
        assert!(!anns.wants(&ending(kind, "bob")));
        assert_eq!(anns.wants(&ending(kind, "ann")), kind != EndKind::Done);
    }
    // What is logged of them tells neither the secret nor a path that may be one.
    let shown = format!("{webhooks:?}");
    assert!(shown.contains("https://hooks.example.com/…"), "{shown}");
    assert!(!shown.contains("T0") && !shown.contains("MfKQ"), "{shown}");
}

#[test]
fn what_cannot_be_is_refused_with_the_entry_and_what_to_do() {
    let good = "[[webhook]]\nurl = \"https://a/\"\nsecret_file = \"secret\"\n";
    let with = |entry: &str| format!("{good}[[webhook]]\n{entry}\n");
    let url = |url: &str| with(&format!("url = \"{url}\"\nsecret_file = \"secret\""));
    let mut told = Vec::new();
    for text in [
        url("ftp://b/"),
        url("somewhere"),
        url("https://ann:hush@b/"),
        url("http://b/"),
        url("https://a/other"),
        with("url = \"https://b/\""),
        with("url = \"https://b/\"\nsecret_file = \"secret\"\nsecret_env = \"HOOK_SECRET\""),
        with("url = \"https://b/\"\nsecret_file = \"short\""),
        with("url = \"https://b/\"\nsecret_env = \"OTHER\""),
        with("url = \"https://b/\"\nsecret_file = \"secret\"\nevents = []"),
        with("url = \"https://b/\"\nsecret_file = \"secret\"\nname = \"\""),
    ] {
        let error = loaded(&text).unwrap_err();
        assert!(error.starts_with("--webhooks: "), "{error}");
        assert!(error.contains("webhook 2: "), "{error}");
        assert!(error.contains("\nhint: "), "{error}");
        assert!(!error.contains("hush"), "{error}");
        told.push(error.split_once("webhook 2: ").unwrap().1.to_owned());
    }
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), 11, "each has words of its own: {told:#?}");
}

#[test]
fn a_file_that_is_none_is_refused() {
    for (text, words) in [
        ("", "there is no [[webhook]]"),
        ("[[webhook]]\nurl = 3", "line 2: "),
        (
            "[[webhook]]\nurl = \"https://a/\"\nsecret = \"hush\"",
            "secret",
        ),
        (
            "[[webhook]]\nurl = \"https://a/\"\nevents = [\"grid.lost\"]",
            "grid.lost",
        ),
    ] {
        let error = loaded(text).unwrap_err();
        assert!(error.contains(words) && !error.contains("hush"), "{error}");
        assert!(
            error.contains("\nhint: a webhook is [[webhook]]"),
            "{error}"
        );
    }
    let missing = load(Path::new("no-such-file.toml"), |_| None).unwrap_err();
    assert!(
        missing.to_string().contains("no-such-file.toml"),
        "{missing}"
    );
}
