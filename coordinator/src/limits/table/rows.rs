//! The rows of the table, in the order of the page.

use std::time::Duration;

use atelier_gallery::picture;
use atelier_proto::signed::WANTED_MAX;

use super::Amount::{Bytes, Count, PerSecond, Time, Unlimited, Words};
use super::{Row, row};
use crate::config::limits as settings;
use crate::domain::{grid, rights, share};
use crate::limits::{Limit, callers as limits};
use crate::{board, identity, listen, rpc, s3};

const LATER: &str = "`RESOURCE_EXHAUSTED`, with when to come again";
const FIELD: &str = "`INVALID_ARGUMENT`, with the field's path";
const WAITS: &str = "further ones wait for these";
const CLOSED: &str = "the connection is closed";

/// The limits by what they are of: a heading, and rows.
pub(super) fn table() -> [(&'static str, Vec<Row>); 7] {
    [
        ("Callers", callers()),
        ("Connections", connections()),
        ("Calls", calls()),
        ("Nodes", nodes()),
        ("Grids", grids()),
        ("Pictures and files", files()),
        ("The board", board()),
    ]
}

/// How long an allowance lasts that is used at once.
fn burst(burst: Duration) -> String {
    format!("{} of it may be used at once", Time(burst))
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn callers() -> Vec<Row> {
    vec![
    row(
        format!(
            "Calls of one client; one that carries many cells, grids or objects counts as one more for each {} of them. {}",
            rpc::CARRIED_FREE,
            burst(limits::CLIENT_BURST)
        ),
        PerSecond(settings::CLIENT_CALLS_PER_SECOND.into()),
        LATER,
    )
    .set_by("--client-calls-per-second")
    .counted(Limit::Requests),
    row(
        format!(
            "Calls of one node, or of all who share an identity; {}",
            burst(limits::NODE_BURST)
        ),
        PerSecond(settings::NODE_CALLS_PER_SECOND.into()),
        LATER,
    )
    .set_by("--node-calls-per-second")
    .counted(Limit::Requests),
    row(
        format!(
            "Calls from one address by those who do not say who they are, where that is asked; {}",
            burst(Duration::from_secs_f64(
                limits::STRANGERS.burst / limits::STRANGERS.per_second
            ))
        ),
        PerSecond(limits::STRANGERS.per_second as u64),
        LATER,
    )
    .counted(Limit::Requests),
    row(
        "Calls of one client that are worked on at once",
        Count(limits::CLIENT_CALLS_RUNNING_MAX as u64),
        WAITS,
    ),
    row(
        "Calls of one client in hand",
        Count(limits::CLIENT_CALLS_MAX.into()),
        LATER,
    )
    .counted(Limit::CallsInHand),
    row(
        "Calls in hand of one node, or of all who share an identity",
        Count(limits::NODE_CALLS_MAX.into()),
        LATER,
    )
    .counted(Limit::CallsInHand),
    row(
        "Streams of one caller that follow something (`Grids.Watch`, pages of the board)",
        Count(settings::CALLER_WATCHERS_MAX.into()),
        LATER,
    )
    .set_by("--caller-watchers-max")
    .counted(Limit::Watchers),
    row(
        "The same of all callers",
        Count(settings::WATCHERS_MAX.into()),
        LATER,
    )
    .set_by("--watchers-max")
    .counted(Limit::Watchers),
    row(
        "Streams of one caller that are told at once what they have missed",
        Count(limits::CATCHING_UP_MAX as u64),
        WAITS,
    ),
    row(
        "Grids of one caller that are taken in at once, and of all",
        Words(format!(
            "{}, and {}",
            limits::CALLER_SUBMISSIONS_MAX,
            limits::SUBMISSIONS_MAX
        )),
        format!(
            "further ones wait {}, and then: {LATER}",
            Time(limits::SUBMISSION_WAIT_MAX)
        ),
    )
    .counted(Limit::Submissions),
    row(
        "Refusals of one caller in a second that are told at once",
        Count(limits::PROMPT_REFUSALS_MAX.into()),
        format!(
            "further ones are held back for {}, {} at once of all callers; where such a call is taken back, its connection is not \
             read from for as long",
            Time(limits::REFUSAL_HELD),
            Count(limits::REFUSALS_HELD_MAX as u64)
        ),
    ),
    row(
        "Callers that are told apart",
        Count(limits::CALLERS_MAX as u64),
        "further ones share what one has",
    ),
    row(
        "Wrong tokens from one address at once; one more each second",
        Count(identity::WRONG_TOKENS_MAX),
        "tokens that are not known yet are not looked up, and `RESOURCE_EXHAUSTED`",
    ),
    ]
}

fn connections() -> Vec<Row> {
    vec![
        row(
            "Connections of each of gRPC, board, S3 endpoint and metrics",
            Count(settings::CONNECTIONS_MAX.into()),
            "further ones wait until one ends",
        )
        .set_by("--connections-max")
        .counted(Limit::Connections),
        row(
            "Of them from one address",
            Words("half of them".to_owned()),
            CLOSED,
        )
        .set_by("--address-connections-max")
        .counted(Limit::AddressConnections),
        row(
            "Connections of gRPC from one address in a second that are read from at once",
            Count(listen::PROMPT_CONNECTIONS_MAX.into()),
            format!("further ones wait for {}", Time(listen::MANY_PAUSE)),
        ),
        row(
            "TLS handshakes in hand",
            Count(listen::HANDSHAKES_MAX as u64),
            "further connections wait to be accepted",
        ),
        row(
            "Of them from one address",
            Count(listen::ADDRESS_HANDSHAKES_MAX as u64),
            CLOSED,
        )
        .counted(Limit::AddressConnections),
        row(
            "Until a handshake is over, and after it until the first words have come",
            Time(listen::OPENING_TIMEOUT),
            CLOSED,
        ),
        row(
            "Until the head of a request over HTTP/1.1 has come",
            Time(board::HEAD_READ_MAX),
            CLOSED,
        ),
        row(
            "How long the other end may take nothing of what it is sent",
            Time(listen::WRITE_STALL_MAX),
            CLOSED,
        ),
        row(
            "How long gRPC may be silent before the other end is asked whether it is there, and how long it may take to say so",
            Time(rpc::KEEPALIVE_INTERVAL),
            CLOSED,
        ),
        row(
            "Calls of one connection at once",
            Count(rpc::CALLS_PER_CONNECTION_MAX.into()),
            WAITS,
        ),
        row(
            "Headers of one call",
            Bytes(rpc::HEADER_BYTES_MAX.into()),
            "431",
        ),
        row(
            "Calls of one connection that were begun and reset before they were looked at",
            Count(rpc::RESET_STREAMS_MAX as u64),
            CLOSED,
        ),
        row(
            "Streams of one connection that were reset because of what came on them",
            Count(rpc::FAULTY_STREAMS_MAX as u64),
            CLOSED,
        ),
    ]
}

fn calls() -> Vec<Row> {
    vec![
        row(
            "Length of `Grids.Submit`",
            Words(format!(
                "{} and {} bytes for each cell that a grid may have, {} at most",
                Bytes(rpc::SUBMISSION_OTHER_BYTES_MAX as u64),
                Count(rpc::SUBMISSION_CELL_BYTES_MAX as u64),
                Bytes(rpc::SUBMISSION_BYTES_MAX as u64)
            )),
            "`OUT_OF_RANGE`",
        ),
        row(
            "Length of any other request",
            Bytes(rpc::MESSAGE_BYTES_MAX as u64),
            "`OUT_OF_RANGE`",
        ),
        row(
            "Compressed requests",
            Words("none".to_owned()),
            "`UNIMPLEMENTED`",
        ),
        row(
            "How long a request may take to come",
            Time(rpc::intake::REQUEST_READ_MAX),
            "`DEADLINE_EXCEEDED`",
        ),
        row(
            "How long a message of `Grids.Watch` may lie unread",
            Time(rpc::WATCH_READ_MAX),
            "`UNAVAILABLE`: a client goes on from the last one that it read",
        ),
        row(
            "Grids of one page of `Grids.List`",
            Count(rpc::PAGE_ENTRIES_MAX.into()),
            FIELD,
        ),
        row(
            "Requests that are signed in one call",
            Count(WANTED_MAX as u64),
            FIELD,
        ),
        row(
            "Cells that are renewed or given back in one call",
            Count(rpc::HELD_CELLS_MAX as u64),
            FIELD,
        ),
    ]
}

fn nodes() -> Vec<Row> {
    vec![
        row(
            "Nodes that wait for cells",
            Count(settings::WAITING_LEASES_MAX.into()),
            LATER,
        )
        .set_by("--waiting-leases-max")
        .counted(Limit::WaitingLeases),
        row(
            "How long a node may wait for cells in one call",
            Time(rpc::LEASE_WAIT_MAX),
            FIELD,
        ),
        row(
            "Log of one attempt, characters",
            Count(rpc::LOG_CHARS_MAX as u64),
            "its beginning is left out",
        ),
    ]
}

fn grids() -> Vec<Row> {
    vec![
        row(
            "Cells of one grid",
            Count(settings::CELLS_MAX.into()),
            FIELD,
        )
        .set_by("--cells-max"),
        row(
            "Cells of one submitter that have not ended",
            Unlimited,
            "`RESOURCE_EXHAUSTED`: it fits when others have ended",
        )
        .set_by("--submitter-open-max")
        .counted(Limit::OpenCells),
        row(
            "Cells of one submitter that nodes hold at once",
            Unlimited,
            "further ones stay in the queue",
        )
        .set_by("--submitter-running-max"),
        row(
            "Names of grids, photos and artists, characters",
            Count(grid::NAME_CHARS_MAX as u64),
            FIELD,
        ),
        row(
            "Names of submitters, characters",
            Count(share::SUBMITTER_CHARS_MAX as u64),
            FIELD,
        ),
    ]
}

fn files() -> Vec<Row> {
    vec![
        row(
            "Longer side of a photo or painting, pixels",
            Count(picture::SIDE_MAX.into()),
            "refused by client, board and node before it is decoded",
        ),
        row(
            "Pixels of one",
            Count(picture::PIXELS_MAX),
            "refused by client, board and node before it is decoded",
        ),
        row(
            "Its file",
            Bytes(picture::BYTES_MAX),
            "refused by client, board and node; not signed for the bucket",
        ),
        row(
            "Memory of one decoder",
            Bytes(picture::DECODER_BYTES_MAX),
            "refused as a picture that cannot be read",
        ),
        row(
            "A picture that a node puts",
            Bytes(rights::PICTURE_BYTES_MAX),
            "not signed for the bucket",
        ),
        row(
            "An object of the embedded S3 endpoint",
            Bytes(s3::OBJECT_BYTES_MAX),
            "`EntityTooLarge`",
        ),
        row(
            "How long a body may bring nothing there",
            Time(s3::BODY_IDLE_MAX),
            "`RequestTimeout`",
        ),
    ]
}

fn board() -> Vec<Row> {
    vec![
        row(
            "Pages that are kept up to date",
            Count(board::PAGES_MAX as u64),
            "503: the page asks again by itself",
        )
        .counted(Limit::BoardPages),
        row(
            "Pictures that are taken in at once",
            Count(board::UPLOADS_MAX as u64),
            WAITS,
        ),
        row(
            "How long one of them may bring nothing",
            Time(board::UPLOAD_IDLE_MAX),
            "408",
        ),
        row(
            "What is asked, pictures aside",
            Bytes(board::ASKED_BYTES_MAX as u64),
            "413",
        ),
    ]
}
