//! How people log in at the board: a token, or the board's key, becomes a cookie that no script can read.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, COOKIE, HOST, SET_COOKIE};
use axum::http::uri::Authority;
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use super::origin::{from_elsewhere, is_from_here};
use super::{Board, beyond, doors, one_sentence};
use crate::domain::access::{Admitted, Caller, Proof};
use crate::identity::Refused;
use crate::identity::audit::{About, Act, DONE};
use crate::identity::http::{self, bearer, unavailable};
use crate::limits::Exceeded;
use crate::limits::callers::Turn;
use crate::listen::Peer;

/// Bytes of what is asked here: a token.
pub(super) const BYTES_MAX: usize = 64 << 10;
/// What it is called, for the audit log and for who is refused.
const CALL: &str = "Board.LogIn";
/// Without TLS in this process, what ends it in front says so.
const FORWARDED_PROTOCOL: &str = "x-forwarded-proto";

/// Who asks for something, and what that is about.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    pub(super) admitted: Admitted,
    pub(super) about: About,
    /// Its place among what its caller has in hand.
    pub(super) turn: Turn,
}

/// Who asks: by a token or the key in a header, by a cookie, or by a certificate; `None`: nothing is shown that is good.
pub(super) async fn visitor(
    board: &Board,
    headers: &HeaderMap,
    peer: &Peer,
) -> Result<Option<Admitted>, Refused> {
    if let Some(token) = bearer(headers) {
        return by_token(board, token, peer).await.map(Some);
    }
    if let Some(secret) = cookie(headers) {
        let key = board.key.mark();
        if let Some(admitted) = board.identities.of_session(secret, &key).await? {
            return Ok(Some(admitted));
        }
    }
    if board.identities.asks() && peer.certificate.is_some() {
        return board.identities.admit(None, peer).await.map(Some);
    }
    Ok(None)
}

async fn by_token(board: &Board, token: &str, peer: &Peer) -> Result<Admitted, Refused> {
    if board.identities.asks() {
        return board.identities.admit(Some(token), peer).await;
    }
    if board.key.is(token) {
        return Ok(Admitted {
            proof: Proof::BoardKey,
            ..Admitted::ANYONE
        });
    }
    Err(Refused::Unknown)
}

/// The cookie's name. Browsers keep cookies by host and not by port, and there may be several boards on one machine.
fn cookie_name(headers: &HeaderMap) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = host.and_then(|host| host.parse::<Authority>().ok());
    let port = authority.and_then(|authority| authority.port_u16());
    format!("atelier-session-{}", port.unwrap_or_default())
}

/// The secret of a session.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let name = cookie_name(headers);
    let lines = headers.get_all(COOKIE).into_iter();
    let mut pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let (_, secret) = pairs.find(|(key, _)| *key == name)?;
    Some(secret)
}

fn set_cookie(
    board: &Board,
    headers: &HeaderMap,
    secret: &str,
    seconds: i64,
) -> Option<HeaderValue> {
    let is_forwarded = headers
        .get(FORWARDED_PROTOCOL)
        .is_some_and(|protocol| protocol == "https");
    let secure = if board.tls || is_forwarded {
        "; Secure"
    } else {
        ""
    };
    let name = cookie_name(headers);
    let text =
        format!("{name}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What is told to whoever has to log in: a page where they can, or a word.
pub(super) fn ask_to_log_in(board: &Board, request: &Request) -> Response {
    let accepts_pages = request
        .headers()
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if board.identities.asks() && request.method() == Method::GET && accepts_pages {
        let path = request.uri().path();
        let to = form_urlencoded::byte_serialize(path.as_bytes());
        return Redirect::to(&format!("/login?to={}", to.collect::<String>())).into_response();
    }
    let refused = if board.identities.asks() {
        Refused::Nobody
    } else {
        Refused::Unknown
    };
    refuse(board, &refused)
}

/// What is told to whoever is not let in.
pub(super) fn refuse(board: &Board, refused: &Refused) -> Response {
    let text = if board.identities.asks() {
        one_sentence(refused)
    } else {
        "this is not the board's key".to_owned()
    };
    http::refuse(refused, text)
}

/// Who somebody is, for a page.
#[derive(Debug, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a word that a page asks for"
)]
struct Told {
    /// Whether people log in here, and are named.
    named: bool,
    name: Option<String>,
    role: Option<&'static str>,
    may_submit: bool,
    may_steer: bool,
    /// Whether somebody else may be named as the submitter.
    may_name: bool,
}

fn told(board: &Board, admitted: &Admitted) -> Response {
    let (name, role) = match &admitted.caller {
        Caller::Anyone => (None, None),
        Caller::Known(identity) => (Some(identity.name.clone()), Some(identity.role.as_str())),
    };
    let told = Told {
        named: board.identities.asks(),
        name,
        role,
        may_submit: doors::SUBMITTING.check(admitted).is_ok(),
        may_steer: doors::STEERING.check(admitted).is_ok(),
        may_name: admitted.caller.confined_to().is_none(),
    };
    ([(CACHE_CONTROL, "no-store")], Json(told)).into_response()
}

/// Takes in what is asked here among the calls of whoever asks. No door is before it, because it is for all.
fn begin_call(board: &Board, who: Option<&Admitted>, peer: &Peer) -> Result<Turn, Exceeded> {
    let anyone = Admitted::ANYONE;
    // Where nobody is asked who they are, nobody is a stranger.
    let who = who.or((!board.identities.asks()).then_some(&anyone));
    board.callers.begin(who, peer.address.ip(), CALL, 1.0)
}

/// Tells a page who it is that looks.
pub(super) async fn tell(State(board): State<Board>, request: Request) -> Response {
    let peer = Peer::of(request.extensions());
    let visitor = visitor(&board, request.headers(), &peer).await;
    let known = visitor.as_ref().ok().and_then(Option::as_ref);
    let _turn = match begin_call(&board, known, &peer) {
        Ok(turn) => turn,
        Err(exceeded) => return beyond(&board, &exceeded),
    };
    match visitor {
        Ok(Some(admitted)) => told(&board, &admitted),
        Ok(None) if !board.identities.asks() => told(&board, &Admitted::ANYONE),
        Ok(None) => refuse(&board, &Refused::Nobody),
        Err(refused) => refuse(&board, &refused),
    }
}

/// What somebody logs in with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    token: SecretString,
}

/// Logs somebody in.
pub(super) async fn begin(
    State(board): State<Board>,
    extensions: Extensions,
    headers: HeaderMap,
    login: Result<Json<Login>, JsonRejection>,
) -> Response {
    let Json(login) = match login {
        Ok(login) => login,
        // It says nothing of what was sent.
        Err(rejection) => return (rejection.status(), "a token is wanted").into_response(),
    };
    let peer = Peer::of(&extensions);
    let tell = |who: Option<&Admitted>, outcome: &str| {
        board.audit.record(&Act {
            who,
            from: peer.address.ip(),
            call: CALL,
            on: "",
            outcome,
            reason: "",
        });
    };
    if !is_from_here(&headers) {
        tell(None, "from elsewhere");
        return from_elsewhere();
    }
    let admitted = by_token(&board, login.token.expose_secret(), &peer).await;
    let _turn = match begin_call(&board, admitted.as_ref().ok(), &peer) {
        Ok(turn) => turn,
        Err(exceeded) => return beyond(&board, &exceeded),
    };
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(refused) => {
            tell(None, "unauthenticated");
            return refuse(&board, &refused);
        }
    };
    if let Err(denied) = doors::LOOKING.check(&admitted) {
        tell(Some(&admitted), "denied");
        return (StatusCode::FORBIDDEN, one_sentence(&denied)).into_response();
    }
    let key = board.key.mark();
    let (secret, until) = match board.identities.begin_session(&admitted, &key).await {
        Ok(begun) => begun,
        Err(error) => {
            tracing::warn!(%error, "nobody can be logged in");
            let text = "the coordinator could not do that; its log says why";
            return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
        }
    };
    tell(Some(&admitted), DONE);
    let mut answer = told(&board, &admitted);
    let seconds = seconds_until(board.ledger.now(), until);
    if let Some(cookie) = set_cookie(&board, &headers, &secret, seconds) {
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
    answer
}

fn seconds_until(now: Timestamp, until: Timestamp) -> i64 {
    until.duration_since(now).as_secs().max(0)
}

/// Logs somebody out.
pub(super) async fn end(
    State(board): State<Board>,
    extensions: Extensions,
    headers: HeaderMap,
) -> Response {
    if !is_from_here(&headers) {
        return from_elsewhere();
    }
    let peer = Peer::of(&extensions);
    let visitor = visitor(&board, &headers, &peer).await;
    // By their own allowance: strangers at the same address are not to keep somebody logged in.
    let known = visitor.as_ref().ok().and_then(Option::as_ref);
    let _turn = match begin_call(&board, known, &peer) {
        Ok(turn) => turn,
        Err(exceeded) => return beyond(&board, &exceeded),
    };
    if let Some(secret) = cookie(&headers)
        && let Err(error) = board.identities.end_session(secret).await
    {
        return unavailable(&error);
    }
    let mut answer = StatusCode::NO_CONTENT.into_response();
    if let Some(cookie) = set_cookie(&board, &headers, "", 0) {
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_that_of_this_board_and_of_no_other_on_the_machine() {
        let of = |host: &'static str, cookies: &[&'static str]| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static(host));
            for cookie in cookies {
                headers.append(COOKIE, HeaderValue::from_static(cookie));
            }
            cookie(&headers).map(str::to_owned)
        };
        let both = [
            "atelier-session-7880=one; other=x",
            "atelier-session-7881=two",
        ];
        assert_eq!(of("localhost:7880", &both).as_deref(), Some("one"));
        assert_eq!(of("localhost:7881", &both).as_deref(), Some("two"));
        assert_eq!(of("localhost:7882", &both), None);
        let default = of("atelier.example", &["atelier-session-0=three"]);
        assert_eq!(default.as_deref(), Some("three"));
        assert_eq!(of("localhost:7880", &[]), None);
    }
}
