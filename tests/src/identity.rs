//! Callers of a coordinator that asks who they are, by its own interface.

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
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

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
