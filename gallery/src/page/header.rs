//! The heads of rows and columns: the original, what the network keeps of it, and its name.

use std::fmt;

use atelier_proto::settings::{SettingsPatch, fit};

use super::text::{Count, Escaped, Link, Making, Name, settings};
use crate::manifest::{ArtistEntry, Outcome, PhotoEntry, PictureEntry};

/// Long side that originals are declared with, pixels; only the ratio of their sides matters.
const HEADER_SIDE: u32 = 640;

/// The head of an artist's column.
pub(super) fn artist(
    f: &mut fmt::Formatter<'_>,
    artist: &ArtistEntry,
    kept: Option<&Outcome>,
) -> fmt::Result {
    write!(f, "<th scope=\"col\" title=\"{}\">", Escaped(&artist.name))?;
    let kept = kept.map(|outcome| Kept {
        outcome,
        name: &artist.name,
        kind: "style",
    });
    let picture = kept.and_then(|kept| kept.outcome.picture.as_ref());
    if picture.is_some() {
        write!(f, "<div class=\"pair\">")?;
    }
    match (&artist.original, artist.paintings.first()) {
        (Some(path), Some(painting)) => {
            let alt = format!("A painting by {}", artist.name);
            header_picture(f, path, (painting.width, painting.height), &alt)?;
        }
        _ => write!(f, "<div class=\"none\"></div>")?,
    }
    if let Some((kept, picture)) = kept.zip(picture) {
        kept.picture(f, picture)?;
        write!(f, "</div>")?;
    }
    write!(f, "<span class=\"name\">{}</span>", Name(&artist.name))?;
    if artist.paintings.len() > 1 {
        let paintings = Count(artist.paintings.len(), "painting");
        write!(f, "<span class=\"more\">{paintings}</span>")?;
    }
    overrides(f, &artist.settings)?;
    if let Some(kept) = kept {
        kept.state(f)?;
    }
    writeln!(f, "</th>")
}

/// The head of a photo's row.
pub(super) fn photo(
    f: &mut fmt::Formatter<'_>,
    photo: &PhotoEntry,
    kept: Option<&Outcome>,
) -> fmt::Result {
    write!(f, "<th scope=\"row\" title=\"{}\">", Escaped(&photo.name))?;
    if let Some(path) = &photo.original {
        let alt = format!("The photo {}", photo.name);
        header_picture(f, path, (photo.width, photo.height), &alt)?;
    }
    let kept = kept.map(|outcome| Kept {
        outcome,
        name: &photo.name,
        kind: "content",
    });
    if let Some(kept) = kept
        && let Some(picture) = &kept.outcome.picture
    {
        kept.picture(f, picture)?;
    }
    write!(f, "<span class=\"name\">{}</span>", Name(&photo.name))?;
    if let Some(kept) = kept {
        kept.state(f)?;
    }
    writeln!(f, "</th>")
}

/// What the network keeps of a photo or an artist alone.
#[derive(Clone, Copy)]
struct Kept<'a> {
    outcome: &'a Outcome,
    /// Of whom or what.
    name: &'a str,
    /// Which layers keep it.
    kind: &'static str,
}

impl Kept<'_> {
    fn picture(self, f: &mut fmt::Formatter<'_>, picture: &PictureEntry) -> fmt::Result {
        let PictureEntry { width, height, .. } = picture;
        let subject = format!("What the {} layers keep of {}", self.kind, self.name);
        write!(
            f,
            "<a class=\"kept\" href=\"{}\" title=\"{}\">",
            Link(&picture.path),
            Making(&subject, picture)
        )?;
        write!(
            f,
            "<img src=\"{}\" alt=\"{}\" width=\"{width}\" height=\"{height}\" loading=\"lazy\"></a>",
            Link(&picture.thumbnail),
            Escaped(&subject)
        )
    }

    /// What has become of it, unless its picture says so.
    fn state(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome {
            state,
            attempts,
            picture,
            failure,
        } = self.outcome;
        if picture.is_some() {
            return Ok(());
        }
        let class = if state == "failed" {
            "more bad"
        } else {
            "more"
        };
        write!(f, "<span class=\"{class}\"")?;
        if let Some(failure) = failure {
            let attempts = Count(*attempts as usize, "attempt");
            write!(f, " title=\"{attempts}: {}\"", Escaped(failure))?;
        }
        write!(
            f,
            ">{} reconstruction: {}</span>",
            self.kind,
            Escaped(state)
        )
    }
}

fn header_picture(
    f: &mut fmt::Formatter<'_>,
    path: &str,
    (width, height): (u32, u32),
    alt: &str,
) -> fmt::Result {
    let (width, height) = fit(width, height, HEADER_SIDE);
    write!(
        f,
        "<img src=\"{}\" alt=\"{}\" width=\"{width}\" height=\"{height}\" loading=\"lazy\">",
        Link(path),
        Escaped(alt)
    )
}

fn overrides(f: &mut fmt::Formatter<'_>, patch: &SettingsPatch) -> fmt::Result {
    for (key, value) in settings(patch) {
        write!(
            f,
            "<span class=\"more\">{} = {}</span>",
            Escaped(&key),
            Escaped(&value)
        )?;
    }
    Ok(())
}
