//! Who may look and act at the board. Where nobody is asked who they are, looking is free, and whoever has the board's key acts;
//! elsewhere each does what their role lets them, by the same table as by gRPC.
//!
//! A browser shows who it is by a cookie ([`session`]) that pages from elsewhere cannot have sent along with what they ask.
//! Browsers also say from where they act; whatever is not from here is refused before the cookie is looked at. Programs show a
//! token, or the key, in a header.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::session::{self, Visitor};
use super::{Board, one_sentence};
use crate::domain::access::{self, Admitted, Caller, NotAllowed, Proof, Role, Who};
use crate::identity::audit::{About, Act, DONE};
use crate::identity::http;
use crate::limits::Exceeded;
use crate::listen::Peer;

/// How long it takes to ask for something that is no picture.
const ANSWER_MAX: Duration = Duration::from_mins(2);

/// Who may do one kind of thing at the board: those who may make the call that does the same.
#[derive(Debug, Clone, Copy)]
pub(super) struct Door {
    /// For the audit log, and for who is refused.
    name: &'static str,
    /// To whom it is open.
    whom: Whom,
    /// Whether something is changed: then also where nobody is asked who they are the key is wanted.
    acts: bool,
    /// What it takes of a visitor's allowance, where a call takes 1.
    cost: f64,
    /// How long a visitor may take to ask, and the board to begin with its answer.
    answer_max: Duration,
}

/// To whom a door is open.
#[derive(Debug, Clone, Copy)]
enum Whom {
    /// Those who may make this call, as in `Grids.List`.
    CallersOf(&'static str),
    /// These.
    Who(Who),
}

pub(super) const LOOKING: Door = Door {
    name: "Board.Look",
    whom: Whom::CallersOf("Grids.List"),
    acts: false,
    cost: 1.0,
    answer_max: ANSWER_MAX,
};
/// Files of galleries, of which a page shows many.
pub(super) const PICTURES: Door = Door {
    cost: 0.05,
    ..LOOKING
};
pub(super) const SUBMITTING: Door = Door {
    name: "Board.Submit",
    whom: Whom::CallersOf("Grids.Submit"),
    acts: true,
    cost: 1.0,
    answer_max: ANSWER_MAX,
};
/// Pictures take long to come.
pub(super) const UPLOADING: Door = Door {
    answer_max: Duration::from_mins(30),
    ..SUBMITTING
};
pub(super) const STEERING: Door = Door {
    name: "Board.Steer",
    whom: Whom::CallersOf("Fleet.Drain"),
    acts: true,
    cost: 1.0,
    answer_max: ANSWER_MAX,
};
pub(super) const METRICS: Door = Door {
    name: "Board.Metrics",
    whom: Whom::Who(access::METRICS),
    acts: false,
    cost: 1.0,
    answer_max: ANSWER_MAX,
};

impl Door {
    /// Whether it is open to somebody.
    pub(super) fn check(self, admitted: &Admitted) -> Result<(), NotAllowed> {
        if self.acts && admitted.caller == Caller::Anyone && admitted.proof != Proof::BoardKey {
            return Err(NotAllowed {
                call: self.name.to_owned(),
                needed: "whoever has the board's key".to_owned(),
                name: String::new(),
                held: Role::ReadOnly,
            });
        }
        let who = match self.whom {
            // A call that is not in the table is for nobody.
            Whom::CallersOf(call) => access::rule(call).map_or(Who::Roles(&[]), |rule| rule.who),
            Whom::Who(who) => who,
        };
        access::check_role(&admitted.caller, self.name, who)
    }
}

/// Lets those through whom a door is open to.
pub(super) async fn enter(
    State((board, door)): State<(Board, Door)>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = Peer::of(request.extensions());
    let tell = |who: Option<&Admitted>, on: &str, outcome: &str| {
        board.audit.record(&Act {
            who,
            from: peer.address.ip(),
            call: door.name,
            on,
            outcome,
            reason: "",
        });
    };
    if door.acts && !is_from_here(request.headers()) {
        tell(None, "", "from elsewhere");
        return from_elsewhere();
    }
    let is_free = !board.identities.asks() && !door.acts;
    let visitor = if is_free {
        Ok(Some(Admitted::ANYONE))
    } else {
        session::visitor(&board, request.headers(), &peer).await
    };
    let known = visitor.as_ref().ok().and_then(Option::as_ref);
    let turn = board
        .callers
        .begin(known, peer.address.ip(), door.name, door.cost);
    let turn = match turn {
        Ok(turn) => turn,
        Err(exceeded) => return beyond(&board, &exceeded),
    };
    let admitted = match visitor {
        Ok(Some(admitted)) => admitted,
        Ok(None) => {
            // A page that asks before somebody has logged in is no news.
            if door.acts {
                tell(None, "", "unauthenticated");
            }
            return session::ask_to_log_in(&board, &request);
        }
        Err(refused) => {
            tell(None, "", "unauthenticated");
            return session::refuse(&board, &refused);
        }
    };
    if let Err(denied) = door.check(&admitted) {
        tell(Some(&admitted), "", "denied");
        return (StatusCode::FORBIDDEN, one_sentence(&denied)).into_response();
    }
    let about = About::default();
    request.extensions_mut().insert(Visitor {
        admitted: admitted.clone(),
        about: about.clone(),
        turn: turn.clone(),
    });
    // What somebody sends is in memory as a whole, so it is that of some at once.
    let _running = if door.acts { turn.run().await } else { None };
    let answer = tokio::time::timeout(door.answer_max, next.run(request)).await;
    let answer = answer
        .unwrap_or_else(|_| (StatusCode::REQUEST_TIMEOUT, "that took too long").into_response());
    if door.acts {
        let status = answer.status();
        let outcome = if status.is_success() {
            DONE.to_owned()
        } else {
            status.as_u16().to_string()
        };
        tell(Some(&admitted), about.text(), &outcome);
    }
    answer
}

/// What is told to whoever is beyond a limit.
pub(super) fn beyond(board: &Board, exceeded: &Exceeded) -> Response {
    http::beyond(board.ledger.metrics(), exceeded, one_sentence(exceeded))
}

/// What a page from elsewhere is told.
pub(super) fn from_elsewhere() -> Response {
    let text = "this was asked by a page from elsewhere";
    (StatusCode::FORBIDDEN, text).into_response()
}

/// Whether a browser, which says so, acts for a page of this board. Other programs do not say.
pub(super) fn is_from_here(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else {
        return true;
    };
    let origin = origin
        .to_str()
        .ok()
        .and_then(|text| text.parse::<Uri>().ok());
    let authority = origin.as_ref().and_then(Uri::authority);
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    match (authority, host) {
        (Some(authority), Some(host)) => authority.as_str().eq_ignore_ascii_case(host),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_a_page_from_here_acts() {
        let from = |origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("localhost:7880"));
            if let Some(origin) = origin {
                headers.insert(ORIGIN, HeaderValue::from_static(origin));
            }
            is_from_here(&headers)
        };
        assert!(from(None));
        assert!(from(Some("http://localhost:7880")));
        for origin in [
            "http://localhost:7881",
            "http://evil.example",
            "null",
            "http://localhost:7880.evil.example",
        ] {
            assert!(!from(Some(origin)), "{origin}");
        }
    }
}
