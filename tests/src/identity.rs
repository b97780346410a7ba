//! Callers of a coordinator that asks who they are, by its own interface.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use atelier_gallery::bucket::Bucket;
use atelier_gallery::keys::input_key;
use atelier_proto::ids::{Digest, RequestId};
use atelier_proto::storage::Storage;
use atelier_proto::v1;
use atelier_proto::v1::fleet_client::FleetClient;
use atelier_proto::v1::grids_client::GridsClient;
use atelier_proto::v1::nodes_client::NodesClient;
use atelier_proto::v1::tokens_client::TokensClient;
use http::uri::PathAndQuery;
use prost::Message as _;
use tonic::client::{Grpc, GrpcService};
use tonic::codegen::{Body, Bytes, StdError};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::programs::PATIENCE;

/// Shows a token with every call, or nothing.
#[derive(Debug, Clone)]
pub struct Shows(Option<MetadataValue<Ascii>>);

impl Shows {
    /// This token.
    ///
    /// # Errors
    /// When it cannot stand in a header.
    pub fn token(token: &str) -> anyhow::Result<Self> {
        let mut value: MetadataValue<Ascii> = format!("Bearer {token}").parse()?;
        value.set_sensitive(true);
        Ok(Self(Some(value)))
    }

    /// Nothing.
    pub fn nothing() -> Self {
        Self(None)
    }
}

impl Interceptor for Shows {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// A connection that shows something.
pub type Shown = InterceptedService<Channel, Shows>;

/// Somebody who calls.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The connection.
    pub channel: Shown,
    /// What they show.
    pub token: String,
}

impl Caller {
    /// Somebody with a token at the coordinator with this URL.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn with(url: &str, token: &str) -> anyhow::Result<Self> {
        let channel = Channel::from_shared(url.to_owned())?.connect().await?;
        let shows = if token.is_empty() {
            Shows::nothing()
        } else {
            Shows::token(token)?
        };
        Ok(Self {
            channel: InterceptedService::new(channel, shows),
            token: token.to_owned(),
        })
    }

    /// The first operator of a coordinator with this data folder.
    ///
    /// # Errors
    /// When it has made no token, or cannot be reached.
    pub async fn operator(url: &str, data: &Path) -> anyhow::Result<Self> {
        let token = std::fs::read_to_string(data.join("operator-token"));
        Self::with(url, token.context("no operator-token")?.trim()).await
    }

    /// Somebody new with a token that this operator makes; and the token's id.
    ///
    /// # Errors
    /// When this is no operator.
    pub async fn new_token(
        &self,
        url: &str,
        name: &str,
        role: v1::Role,
    ) -> anyhow::Result<(Self, String)> {
        let request = v1::CreateTokenRequest {
            name: name.to_owned(),
            role: role.into(),
            ..v1::CreateTokenRequest::default()
        };
        let made = self.tokens().create(request).await?.into_inner();
        let id = made.description.context("no description")?.token_id;
        Ok((Self::with(url, &made.token).await?, id))
    }

    /// What is asked of grids.
    pub fn grids(&self) -> GridsClient<Shown> {
        GridsClient::new(self.channel.clone())
    }

    /// What nodes say.
    pub fn nodes(&self) -> NodesClient<Shown> {
        NodesClient::new(self.channel.clone())
    }

    /// What is asked of the fleet.
    pub fn fleet(&self) -> FleetClient<Shown> {
        FleetClient::new(self.channel.clone())
    }

    /// What is asked of tokens.
    pub fn tokens(&self) -> TokensClient<Shown> {
        TokensClient::new(self.channel.clone())
    }

    /// The bucket, as an operator reaches it.
    ///
    /// # Errors
    /// When this is no operator.
    pub async fn bucket(&self) -> anyhow::Result<Bucket> {
        let answer = self.grids().storage(v1::StorageRequest {}).await?;
        let storage = answer.into_inner().storage.context("no storage")?;
        Ok(Bucket::connect(&Storage::try_from(storage)?).await?)
    }
}

/// Ends a grid, and waits until its gallery is written for the last time.
///
/// # Errors
/// When this caller may not, or it never is.
pub async fn end(caller: &Caller, grid: &str) -> anyhow::Result<()> {
    let cancel = v1::CancelRequest {
        grid_id: grid.to_owned(),
    };
    caller.grids().cancel(cancel).await?;
    let watch = v1::WatchRequest {
        grid_id: grid.to_owned(),
        after_sequence: 0,
        summary_only: true,
    };
    let mut changes = caller.grids().watch(watch).await?.into_inner();
    let watching = async {
        // It ends when the gallery is complete.
        while changes.message().await?.is_some() {}
        Ok::<_, Status>(())
    };
    Ok(tokio::time::timeout(PATIENCE, watching).await??)
}

/// A grid of one cell, whose one picture is put into the bucket.
///
/// # Errors
/// When the bucket does not take it.
pub async fn small_grid(bucket: &Bucket, name: &str) -> anyhow::Result<v1::SubmitRequest> {
    const PICTURE: &[u8] = b"a picture that nobody looks at";
    let sha256 = Digest::of(PICTURE);
    bucket
        .put_if_absent(&input_key(&sha256), PICTURE.into(), "image/png", &[])
        .await?;
    let input = Some(v1::Input {
        sha256: sha256.to_string(),
        width: 64,
        height: 48,
    });
    Ok(v1::SubmitRequest {
        request_id: RequestId::generate().to_string(),
        name: name.to_owned(),
        photos: vec![v1::Photo {
            name: "ride".to_owned(),
            input: input.clone(),
            ..v1::Photo::default()
        }],
        artists: vec![v1::Artist {
            name: "Monet".to_owned(),
            paintings: vec![v1::Painting {
                name: "a.png".to_owned(),
                input,
                weight: 1.0,
                mask: String::new(),
            }],
            settings: None,
        }],
        ..v1::SubmitRequest::default()
    })
}

/// Every call of `atelier.v1`, as in `Grids.Submit`, with its path.
///
/// # Errors
/// When the compiled descriptors are damaged.
pub fn calls() -> anyhow::Result<BTreeMap<String, PathAndQuery>> {
    let set = prost_types::FileDescriptorSet::decode(v1::FILE_DESCRIPTOR_SET)?;
    let mut calls = BTreeMap::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                let (service, method) = (service.name(), method.name());
                let path = format!("/{}.{service}/{method}", file.package());
                calls.insert(format!("{service}.{method}"), path.parse()?);
            }
        }
    }
    Ok(calls)
}

/// What becomes of a call with an empty message.
///
/// # Errors
/// When the coordinator cannot be reached.
pub async fn call<Way>(way: Way, path: &PathAndQuery) -> anyhow::Result<Code>
where
    Way: GrpcService<tonic::body::Body>,
    Way::Error: Into<StdError>,
    Way::ResponseBody: Body<Data = Bytes> + Send + 'static,
    <Way::ResponseBody as Body>::Error: Into<StdError> + Send,
{
    let mut client = Grpc::new(way);
    let ready = client.ready().await.map_err(Into::into);
    ready.map_err(|error| anyhow::anyhow!("not ready: {error}"))?;
    // An empty message is one of every kind, and what is in the answer is nobody's concern.
    let codec = ProstCodec::<(), ()>::default();
    let answer = client
        .server_streaming(Request::new(()), path.clone(), codec)
        .await;
    let ended = match answer {
        Ok(answer) => answer.into_inner().message().await.map(|_| ()),
        Err(status) => Err(status),
    };
    Ok(ended.map_or_else(|status| status.code(), |()| Code::Ok))
}
