//! What commands that read a gallery share: which one, and which of its cells.

use atelier_gallery::manifest::Manifest;
use atelier_gallery::signed::SignedBucket;
use atelier_proto::ids::GridId;
use clap::Args;

use crate::context::Context;
use crate::error::Error;
use crate::fetch::{Favourites, FetchError, Galleries, Only, Selection, read_manifest};
use crate::gallery_url;
use crate::grid_ref;

/// Which gallery, and which of its cells.
#[derive(Debug, Args)]
pub struct GalleryArgs {
    /// Id, beginning of an id, or name; or the s3:// URL of its gallery
    #[arg(value_name = "GRID")]
    pub grid: String,
    /// Only cells of these photos, artists and variants; `*` stands for anything
    #[arg(long, value_name = "FIELD=NAME,...")]
    pub only: Option<Only>,
    /// Only favourites: the link that the gallery's page copied, or the file that it saved
    #[arg(long, value_name = "LINK|FILE")]
    pub favourites: Option<String>,
}

impl GalleryArgs {
    /// Where the gallery lies, and the cells that are wanted of it.
    pub(super) async fn resolve(
        self,
        context: &Context,
    ) -> Result<(Galleries, GridId, Selection), Error> {
        let (galleries, grid) = if let Some((storage, grid)) = gallery_url::parse(&self.grid)? {
            (Galleries::at(&storage).await?, grid)
        } else {
            let grid = grid_ref::resolve(&context.coordinator, &self.grid).await?;
            (Galleries::of(&context.coordinator)?, grid)
        };
        let favourites = self.favourites.as_deref().map(Favourites::read);
        let selection = Selection {
            only: self.only,
            favourites: favourites.transpose().map_err(FetchError::from)?,
        };
        Ok((galleries, grid, selection))
    }
}

/// The bucket, and what is wanted of the gallery in it.
pub(super) async fn open(
    context: &Context,
    args: GalleryArgs,
) -> Result<(SignedBucket, Manifest), Error> {
    let (galleries, grid, selection) = args.resolve(context).await?;
    let bucket = galleries.bucket;
    let (manifest, _) = read_manifest(&bucket, grid).await?;
    let manifest = selection.of(&manifest).map_err(FetchError::from)?;
    Ok((bucket, manifest))
}
