use std::sync::Arc;
use std::time::Duration;

use atelier_proto::holder::Role;
use atelier_proto::pem::PemFile;
use atelier_tests::tls::{Authority, Validity};
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::*;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// Long enough to see that something does not happen.
const A_WHILE: Duration = Duration::from_millis(100);

async fn listener(connections_max: usize) -> (Listener, SocketAddr) {
    listener_for(Purpose::Board, connections_max).await
}

async fn listener_for(purpose: Purpose, connections_max: usize) -> (Listener, SocketAddr) {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let bounds = Bounds {
        connections_max,
        address_connections_max: connections_max,
        metrics: Arc::default(),
    };
    let listener = Listener::new(tcp, purpose, None, bounds);
    (listener, address)
}

#[tokio::test]
async fn one_connection_too_many_waits_until_another_ends() {
    let (mut listener, address) = listener(2).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(TcpStream::connect(address).await.unwrap());
    }
    let first = listener.accept().await;
    let second = listener.accept().await;
    assert_eq!(first.peer().address, clients[0].local_addr().unwrap());
    assert!(timeout(A_WHILE, listener.accept()).await.is_err());
    drop(second);
    let third = timeout(PATIENCE, listener.accept()).await.unwrap();
    assert_eq!(third.peer().address, clients[2].local_addr().unwrap());
}

/// What a connection says first, if that is read before a while has passed.
async fn read_soon(connection: &mut Connection) -> Option<u8> {
    match timeout(A_WHILE, connection.read_u8()).await {
        Ok(read) => Some(read.unwrap()),
        Err(_) => None,
    }
}

#[tokio::test]
async fn who_comes_too_often_in_a_second_is_read_from_later() {
    for purpose in [Purpose::Grpc, Purpose::Board] {
        let (mut listener, address) = listener_for(purpose, 100).await;
        let mut ends = Vec::new();
        for _ in 0..=PROMPT_CONNECTIONS_MAX {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(b"a").await.unwrap();
            ends.push((client, listener.accept().await));
        }
        let (_, prompt) = &mut ends[0];
        assert_eq!(read_soon(prompt).await, Some(b'a'));
        let (_, late) = ends.last_mut().unwrap();
        let expected = (purpose == Purpose::Board).then_some(b'a');
        assert_eq!(read_soon(late).await, expected, "{purpose:?}");
        if expected.is_none() {
            let read = timeout(PATIENCE, late.read_u8()).await.unwrap();
            assert_eq!(read.unwrap(), b'a');
        }
    }
}

#[tokio::test]
async fn a_connection_that_is_paused_is_read_from_afterwards() {
    let (mut listener, address) = listener(2).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    let mut connection = listener.accept().await;
    client.write_all(b"ab").await.unwrap();
    assert_eq!(read_soon(&mut connection).await, Some(b'a'));
    connection.peer().pause(4 * A_WHILE);
    assert_eq!(read_soon(&mut connection).await, None);
    let read = timeout(PATIENCE, connection.read_u8()).await.unwrap();
    assert_eq!(read.unwrap(), b'b');
}

#[tokio::test]
async fn who_does_not_finish_the_head_of_a_request_is_cut_off_and_others_are_answered() {
    let (listener, address) = listener(8).await;
    let shutdown = CancellationToken::new();
    let answer = async |request: ::http::Request<Incoming>| {
        let peer = request.extensions().get::<Peer>().unwrap();
        Ok(::http::Response::new(peer.address.to_string()))
    };
    let head_read_max = Duration::from_millis(300);
    let serving = http::serve(listener, head_read_max, answer, shutdown.clone());
    let serving = tokio::spawn(serving);

    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        .await
        .unwrap();
    let mut quick = TcpStream::connect(address).await.unwrap();
    quick
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    timeout(PATIENCE, quick.read_to_string(&mut text))
        .await
        .unwrap()
        .unwrap();
    let own = quick.local_addr().unwrap().to_string();
    assert!(
        text.starts_with("HTTP/1.1 200") && text.ends_with(&own),
        "{text}"
    );
    let mut rest = Vec::new();
    // It may be told why; what counts is that it ends.
    let _ = timeout(PATIENCE, slow.read_to_end(&mut rest))
        .await
        .unwrap();
    shutdown.cancel();
    timeout(PATIENCE, serving).await.unwrap().unwrap();
}

#[test]
fn a_certificate_names_one_holder_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new().unwrap();
    let holder = |uris: &[&str]| {
        let issued = authority.client(uris, Validity::Valid).unwrap();
        let path = folder.path().join("client.pem");
        std::fs::write(&path, issued.certificate).unwrap();
        let der = PemFile::read(&path).unwrap().certificates().unwrap();
        let certificate = Some(Arc::from(der[0].as_ref()));
        let peer = Peer::new("127.0.0.1:1".parse().unwrap(), certificate);
        peer.holder().unwrap()
    };
    let known = holder(&["spiffe://studio/ann", "urn:atelier:operator:ann"]).unwrap();
    assert_eq!((known.role(), known.name()), (Role::Operator, "ann"));
    assert_eq!(holder(&[]), Err(NoHolder::Nobody));
    assert_eq!(holder(&["urn:other:operator:ann"]), Err(NoHolder::Nobody));
    assert_eq!(
        holder(&["urn:atelier:client:ann", "urn:atelier:operator:ann"]),
        Err(NoHolder::Several)
    );
    assert!(matches!(
        holder(&["urn:atelier:root:ann"]),
        Err(NoHolder::Malformed(_))
    ));
    let stranger = Peer::new("127.0.0.1:1".parse().unwrap(), None);
    assert_eq!(stranger.holder(), None);
}
