//! Lets people through those of the board's [`doors`](super::doors) that are open to them.
//!
//! A browser shows who it is by a cookie ([`session`]) that pages from elsewhere cannot have sent along with what they ask.
//! Browsers also say from where they act; whatever is not from here is refused before the cookie is looked at. Programs show a
//! token, or the key, in a header.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::doors::Door;
use super::origin::{from_elsewhere, is_from_here};
use super::session::{self, Visitor};
use super::{Board, beyond, one_sentence};
use crate::domain::access::Admitted;
use crate::identity::audit::{About, Act, DONE};
use crate::listen::Peer;

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
