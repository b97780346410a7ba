//! Goal: what is in the outbox is told to those who want it, until they have it.

use std::collections::HashMap;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::ledger::tests::House;
use crate::store::outbox::Tally;

/// A receiver that gives one answer after the other, the last one for ever, and keeps what it was told.
struct Receiver {
    url: String,
    told: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    async fn answering(statuses: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let told = Arc::new(Mutex::new(Vec::new()));
        let kept = told.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                // The body is the last that comes, and ends so.
                while !request.ends_with(b"}}") {
                    let mut some = [0; 4096];
                    let read = stream.read(&mut some).await.unwrap();
                    request.extend_from_slice(&some[..read]);
                }
                let number = {
                    let mut kept = kept.lock().unwrap();
                    kept.push(String::from_utf8(request).unwrap());
                    kept.len().min(statuses.len())
                };
                let status = statuses[number - 1];
                let answer =
                    format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { url, told }
    }

    /// The ids of what it was told.
    fn ids(&self) -> Vec<String> {
        let told = self.told.lock().unwrap();
        let id = |request: &String| {
            let line = request
                .lines()
                .find_map(|line| line.strip_prefix("webhook-id: "));
            line.unwrap().to_owned()
        };
        told.iter().map(id).collect()
    }
}

/// A house with grids whose ends are told.
struct Telling(House);

impl Telling {
    async fn new() -> Self {
        Self(House::open().await)
    }

    fn webhooks(&self, entries: &[(&str, &Receiver, &str)]) -> Arc<[Webhook]> {
        let entry = |(name, receiver, rest): &(&str, &Receiver, &str)| {
            let url = &receiver.url;
            format!("[[webhook]]\nname = \"{name}\"\nurl = \"{url}\"\nsecret_env = \"S\"\n{rest}\n")
        };
        let text: String = entries.iter().map(entry).collect();
        let path = self.0.folder().join("webhooks.toml");
        std::fs::write(&path, text).unwrap();
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        load(&path, |_| Some(secret.to_owned())).unwrap().into()
    }

    /// A grid that was cancelled.
    async fn cancelled(&self, submitter: &str) {
        let House { ledger, clock, .. } = &self.0;
        let grid = self.0.submit(submitter, 1).await;
        ledger.cancel_grid(grid).await.unwrap();
        // No publisher is here to complete its gallery.
        clock.advance(GALLERY_PATIENCE * 2);
    }

    fn courier(&self, webhooks: &Arc<[Webhook]>, number: usize) -> Courier {
        Courier {
            ledger: self.0.ledger.clone(),
            webhook: webhooks[number].clone(),
            sender: Sender::new().unwrap(),
        }
    }

    async fn tally(&self) -> HashMap<String, (u64, u64, u64, u64)> {
        let tallies = self.0.ledger.store().tallies().await.unwrap();
        let counts = |it: Tally| {
            (
                it.webhook,
                (it.pending, it.delivered, it.failed, it.given_up),
            )
        };
        tallies.into_iter().map(counts).collect()
    }
}

#[tokio::test]
async fn an_end_is_told_to_those_who_want_it_again_and_again_by_one_id() {
    let telling = Telling::new().await;
    let (good, late) = (
        Receiver::answering(&["204 No Content"]).await,
        Receiver::answering(&["500 Oops", "302 Found\r\nlocation: /elsewhere", "200 OK"]).await,
    );
    let webhooks = telling.webhooks(&[
        ("good", &good, "submitters = [\"ann\"]"),
        ("late", &late, "events = [\"grid.cancelled\"]"),
        ("deaf", &good, "events = [\"grid.done\"]"),
    ]);
    telling.cancelled("ann").await;
    telling.cancelled("bob").await;
    assert_eq!(hand_out(&telling.0.ledger, &webhooks).await.unwrap(), 3);
    // Once: what was handed out is not there any more.
    assert_eq!(hand_out(&telling.0.ledger, &webhooks).await.unwrap(), 0);
    assert_eq!(telling.tally().await["good"], (1, 0, 0, 0));
    telling.courier(&webhooks, 0).round().await.unwrap();
    assert_eq!(telling.tally().await["good"], (0, 1, 0, 0));
    let request = good.told.lock().unwrap()[0].clone();
    assert!(request.contains("\"submitter\":\"ann\""), "{request}");
    assert!(request.contains("webhook-signature: v1,"), "{request}");

    let courier = telling.courier(&webhooks, 1);
    for round in 0..20 {
        let sleep = courier.round().await.unwrap();
        if telling.tally().await["late"].0 == 0 {
            break;
        }
        assert!(sleep > Duration::ZERO, "not at once again");
        assert!(round < 19, "never taken");
        telling.0.clock.advance(Duration::from_mins(1));
    }
    assert_eq!(telling.tally().await["late"], (0, 2, 2, 0));
    let ids = late.ids();
    let mut distinct = ids.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!((ids.len(), distinct.len()), (4, 2), "{ids:?}");
}

#[tokio::test]
async fn who_is_gone_is_told_no_more_and_who_is_silent_is_given_up_after_a_day() {
    let telling = Telling::new().await;
    let (gone, broken) = (
        Receiver::answering(&["410 Gone"]).await,
        Receiver::answering(&["404 Not Found"]).await,
    );
    let webhooks = telling.webhooks(&[("gone", &gone, ""), ("broken", &broken, "")]);
    telling.cancelled("ann").await;
    hand_out(&telling.0.ledger, &webhooks).await.unwrap();
    telling.courier(&webhooks, 0).round().await.unwrap();
    assert_eq!(telling.tally().await["gone"], (0, 0, 1, 1));

    let courier = telling.courier(&webhooks, 1);
    for _ in 0..23 {
        courier.round().await.unwrap();
        telling.0.clock.advance(Duration::from_hours(1));
    }
    assert_eq!(telling.tally().await["broken"], (1, 0, 23, 0));
    telling.0.clock.advance(Duration::from_hours(1));
    courier.round().await.unwrap();
    assert_eq!(telling.tally().await["broken"], (0, 0, 24, 1));
}
