use std::path::Path;
use std::sync::Mutex;

use atelier_proto::clock::Clock;
use atelier_proto::connect::{Access, AccessOptions, Route};
use atelier_proto::holder::Holder;
use atelier_tests::tls::{Authority, Issued, Validity};
use tokio::net::TcpListener;
use tonic::service::Interceptor;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::*;
use crate::listen::{Bounds, Purpose, ServerTls, TlsFiles};

/// Notes who calls.
#[derive(Debug, Clone, Default)]
struct Noting(Arc<Mutex<Vec<Peer>>>);

impl Interceptor for Noting {
    fn call(&mut self, request: tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> {
        let peer = request.extensions().get::<Peer>().unwrap();
        self.0.lock().unwrap().push(peer.clone());
        Ok(request)
    }
}

fn write(folder: &Path, stem: &str, issued: &Issued) {
    let file = |end: &str| folder.join(format!("{stem}{end}"));
    std::fs::write(file(".pem"), &issued.certificate).unwrap();
    std::fs::write(file("-key.pem"), &issued.key).unwrap();
}

async fn call(route: Route) -> Result<(), tonic::Status> {
    let request = HealthCheckRequest::default();
    HealthClient::new(route).check(request).await.map(drop)
}

#[tokio::test]
async fn each_request_has_the_certificate_of_its_connection() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let authority = Authority::new().unwrap();
    std::fs::write(file("ca.pem"), &authority.pem).unwrap();
    let server = authority.server(&["127.0.0.1"], Validity::Valid).unwrap();
    write(folder.path(), "server", &server);
    let ann = "urn:atelier:operator:ann";
    let client = authority.client(&[ann], Validity::Valid).unwrap();
    write(folder.path(), "ann", &client);

    let files = TlsFiles {
        certificate: file("server.pem"),
        key: file("server-key.pem"),
        client_ca: Some(file("ca.pem")),
        client_crl: None,
    };
    let tls = ServerTls::load(files, Clock::system()).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", tcp.local_addr().unwrap());
    let bounds = Bounds {
        connections_max: 8,
        address_connections_max: 8,
        metrics: Arc::default(),
    };
    let listener = Listener::new(tcp, Purpose::Grpc, Some(tls), bounds);
    let (_health, service) = tonic_health::server::health_reporter();
    let noting = Noting::default();
    let serving = Server::builder()
        .layer(tonic::service::InterceptorLayer::new(noting.clone()))
        .add_service(service)
        .serve_with_incoming(incoming(listener));
    let serving = tokio::spawn(serving);

    let route = |stem: Option<&str>| {
        let access = Access::new(AccessOptions {
            authorities: Some(file("ca.pem")),
            certificate: stem.map(|stem| file(&format!("{stem}.pem"))),
            key: stem.map(|stem| file(&format!("{stem}-key.pem"))),
            ..AccessOptions::default()
        });
        access.unwrap().route(&[&url], |endpoint| endpoint).unwrap()
    };
    call(route(Some("ann"))).await.unwrap();
    call(route(None)).await.unwrap();
    let peers = std::mem::take(&mut *noting.0.lock().unwrap());
    let holders: Vec<Option<Holder>> = peers
        .iter()
        .map(|peer| peer.holder().map(Result::unwrap))
        .collect();
    assert_eq!(holders, [Some(ann.parse().unwrap()), None]);
    assert!(peers.iter().all(|peer| peer.address.ip().is_loopback()));

    // A certificate that is none for clients does not come as far as to a request, and whoever shows it hears so.
    let refused = call(route(Some("server"))).await.unwrap_err();
    assert!(refused.message().contains("does not accept"), "{refused}");
    assert!(noting.0.lock().unwrap().is_empty());
    serving.abort();
}
