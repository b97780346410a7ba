//! Tokens, certificates and sessions, against a database, with time that is moved by hand.

use jiff::Timestamp;
use secrecy::ExposeSecret as _;

use super::sessions::DURATION_MAX;
use super::*;
use crate::domain::access::Identity;
use crate::domain::token::TokenRecord;

const HOME: &str = "127.0.0.1:4000";

/// Two coordinators over one database.
struct Place {
    folder: tempfile::TempDir,
    clock: Clock,
    store: Arc<Store>,
    one: Identities,
    other: Identities,
}

fn peer(address: &str) -> Peer {
    Peer::new(address.parse().unwrap(), None)
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::sqlite(&folder.path().join("test.db")).await;
        let store = Arc::new(store.unwrap());
        let clock = Clock::manual(Timestamp::from_second(1_800_000_000).unwrap());
        let identities = || Self::identities(folder.path(), &store, &clock);
        Self {
            one: identities(),
            other: identities(),
            folder,
            clock,
            store,
        }
    }

    fn identities(folder: &std::path::Path, store: &Arc<Store>, clock: &Clock) -> Identities {
        let operator = FileToken::load_or_make(&folder.join("operator-token")).unwrap();
        let path = folder.join("node-token");
        std::fs::write(&path, NODE_TOKEN).unwrap();
        let asking = Asking::Everybody {
            operator,
            nodes: Some(FileToken::load(&path).unwrap()),
            oidc: None,
        };
        Identities::new(asking, store.clone(), clock.clone(), Arc::default())
    }

    fn operator_token(&self) -> String {
        let path = self.folder.path().join("operator-token");
        std::fs::read_to_string(path).unwrap().trim().to_owned()
    }

    /// A client's token that is good for so long.
    async fn token(&self, valid_for: Duration) -> (TokenId, String) {
        let token = NewToken::generate().unwrap();
        let now = self.clock.now();
        let record = TokenRecord {
            id: token.id,
            identity: ann(),
            secret: token.secret,
            created_at: now,
            created_by: "operator".to_owned(),
            expires_at: Some(now.checked_add(valid_for).unwrap()),
            revoked_at: None,
            last_used_at: None,
        };
        self.store.create_token(&record).await.unwrap();
        (token.id, token.text.expose_secret().to_owned())
    }
}

/// The token of all nodes.
const NODE_TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Those who come by a token in a file.
fn of_role(role: Role) -> Identity {
    Identity {
        name: role.as_str().to_owned(),
        role,
    }
}

fn ann() -> Identity {
    Identity {
        name: "ann".to_owned(),
        role: Role::Client,
    }
}

async fn show(identities: &Identities, token: &str) -> Result<Admitted, Refused> {
    identities.admit(Some(token), &peer(HOME)).await
}

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn a_token_lets_in_whom_it_stands_for_until_it_expires() {
    let place = Place::new().await;
    let (id, token) = place.token(HOUR).await;
    let admitted = show(&place.one, &token).await.unwrap();
    assert_eq!(admitted.caller, Caller::Known(ann()));
    assert_eq!(admitted.proof, Proof::Token(id));
    assert!(show(&place.one, &format!(" {token}\n")).await.is_ok());
    let operator = show(&place.one, &place.operator_token()).await.unwrap();
    assert_eq!(operator.caller, Caller::Known(of_role(Role::Operator)));
    let node = show(&place.one, NODE_TOKEN).await.unwrap();
    assert_eq!(node.caller, Caller::Known(of_role(Role::Node)));

    let other_secret = format!(
        "{}{}",
        &token[..token.len() - 1],
        if token.ends_with('0') { '1' } else { '0' }
    );
    let unknown = NewToken::generate().unwrap();
    for wrong in [
        &other_secret,
        unknown.text.expose_secret(),
        "",
        "secret",
        "a.b.c",
        &token[1..],
        &"x".repeat(20_000),
    ] {
        let refused = show(&place.one, wrong).await.unwrap_err();
        assert!(matches!(refused, Refused::Unknown), "{wrong}: {refused}");
    }
    let nobody = place.one.admit(None, &peer(HOME)).await.unwrap_err();
    assert!(matches!(nobody, Refused::Nobody));
    assert!(nobody.to_string().contains("hint: "), "{nobody}");

    place.clock.advance(HOUR);
    let refused = show(&place.one, &token).await.unwrap_err();
    assert!(
        matches!(refused, Refused::Over(TokenOver::Expired(_))),
        "{refused}"
    );
    // Only who has the secret is told so.
    let refused = show(&place.one, &other_secret).await.unwrap_err();
    assert!(matches!(refused, Refused::Unknown), "{refused}");
}

#[tokio::test]
async fn a_revocation_is_felt_here_at_once_and_elsewhere_within_seconds() {
    let place = Place::new().await;
    let (id, token) = place.token(HOUR).await;
    let admitted = show(&place.other, &token).await.unwrap();
    show(&place.one, &token).await.unwrap();
    place
        .store
        .revoke_token(id, place.clock.now())
        .await
        .unwrap();
    place.one.forget_token(id);
    let refused = show(&place.one, &token).await.unwrap_err();
    assert!(
        matches!(refused, Refused::Over(TokenOver::Revoked(_))),
        "{refused}"
    );
    // What the other one remembers is some seconds old at most.
    assert!(show(&place.other, &token).await.is_ok());
    place.clock.advance(Duration::from_secs(3));
    assert!(show(&place.other, &token).await.is_err());
    assert!(place.other.recheck(&admitted).await.is_err());
    assert!(tokens::REMEMBERED_MAX + LOOK_INTERVAL < Duration::from_secs(5));
    let over = tokio::time::timeout(Duration::from_secs(10), place.other.until_over(&admitted));
    assert!(matches!(over.await.unwrap(), Refused::Over(_)));
}

#[tokio::test]
async fn who_guesses_is_slowed_and_who_holds_a_good_token_behind_the_same_address_is_not() {
    let place = Place::new().await;
    let (_, token) = place.token(HOUR).await;
    show(&place.one, &token).await.unwrap();
    let guess = async || {
        let guessed = NewToken::generate().unwrap();
        show(&place.one, guessed.text.expose_secret())
            .await
            .unwrap_err()
    };
    for _ in 0..20 {
        assert!(matches!(guess().await, Refused::Unknown));
    }
    assert!(matches!(guess().await, Refused::TooMany));
    assert!(show(&place.one, &token).await.is_ok());
    assert!(show(&place.one, &place.operator_token()).await.is_ok());
    let (_, elsewhere) = place.token(HOUR).await;
    let from_there = place.one.admit(Some(&elsewhere), &peer("10.0.0.9:1")).await;
    assert!(from_there.is_ok());
    place.clock.advance(Duration::from_secs(30));
    assert!(matches!(guess().await, Refused::Unknown));
}

#[tokio::test]
async fn the_use_of_a_token_is_written_down_to_the_minute() {
    let place = Place::new().await;
    let (id, token) = place.token(HOUR).await;
    let used_at = async |wanted: Option<Timestamp>| {
        for _ in 0..100 {
            let record = place.store.token(id).await.unwrap().unwrap();
            if record.last_used_at == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("never was {wanted:?}");
    };
    let first = place.clock.now();
    show(&place.one, &token).await.unwrap();
    used_at(Some(first)).await;
    place.clock.advance(Duration::from_secs(59));
    show(&place.one, &token).await.unwrap();
    show(&place.other, &token).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    used_at(Some(first)).await;
    place.clock.advance(Duration::from_secs(1));
    let later = place.clock.now();
    show(&place.other, &token).await.unwrap();
    used_at(Some(later)).await;
}

#[tokio::test]
async fn a_session_ends_with_its_time_with_a_logout_and_with_what_was_shown_for_it() {
    let place = Place::new().await;
    let of = async |identities: &Identities, secret: &str| {
        identities.of_session(secret, "").await.unwrap()
    };
    let (id, token) = place.token(HOUR).await;
    let admitted = show(&place.one, &token).await.unwrap();
    let (secret, until) = place.one.begin_session(&admitted, "").await.unwrap();
    assert_eq!(Some(until), admitted.until);
    // At whichever coordinator somebody asks.
    let known = of(&place.other, &secret).await.unwrap();
    assert_eq!(
        (known.caller, known.proof),
        (admitted.caller.clone(), admitted.proof)
    );
    assert!(of(&place.other, "guessed").await.is_none());
    place
        .store
        .revoke_token(id, place.clock.now())
        .await
        .unwrap();
    place.clock.advance(Duration::from_secs(4));
    assert!(of(&place.one, &secret).await.is_none());

    let (_, token) = place.token(2 * DURATION_MAX).await;
    let admitted = show(&place.one, &token).await.unwrap();
    let (ended, _) = place.one.begin_session(&admitted, "").await.unwrap();
    place.one.end_session(&ended).await.unwrap();
    assert!(of(&place.one, &ended).await.is_none());
    let (long, _) = place.one.begin_session(&admitted, "").await.unwrap();
    place
        .clock
        .advance(DURATION_MAX.saturating_sub(Duration::from_secs(1)));
    assert!(of(&place.one, &long).await.is_some());
    place.clock.advance(Duration::from_secs(1));
    assert!(of(&place.one, &long).await.is_none());

    // With the operator's token ends what it began.
    let operator = show(&place.one, &place.operator_token()).await.unwrap();
    let (secret, _) = place.one.begin_session(&operator, "").await.unwrap();
    assert!(of(&place.other, &secret).await.is_some());
    std::fs::remove_file(place.folder.path().join("operator-token")).unwrap();
    let anew = Place::identities(place.folder.path(), &place.store, &place.clock);
    assert!(of(&anew, &secret).await.is_none());
}

#[tokio::test]
async fn where_nobody_is_asked_a_session_is_that_of_the_boards_key_and_a_token_means_nothing() {
    let place = Place::new().await;
    let (store, clock) = (place.store.clone(), place.clock.clone());
    let open = Identities::new(Asking::Nobody, store, clock, Arc::default());
    let (_, token) = place.token(HOUR).await;
    assert_eq!(show(&open, &token).await.unwrap(), Admitted::ANYONE);
    assert_eq!(show(&open, "nonsense").await.unwrap(), Admitted::ANYONE);
    let holder = Admitted {
        proof: Proof::BoardKey,
        ..Admitted::ANYONE
    };
    let (secret, _) = open.begin_session(&holder, "one key").await.unwrap();
    let known = open.of_session(&secret, "one key").await.unwrap().unwrap();
    assert_eq!(
        (known.caller, known.proof),
        (Caller::Anyone, Proof::BoardKey)
    );
    assert!(
        open.of_session(&secret, "another key")
            .await
            .unwrap()
            .is_none()
    );
    // It lets nobody in where people say who they are.
    assert!(
        place
            .one
            .of_session(&secret, "one key")
            .await
            .unwrap()
            .is_none()
    );
}
