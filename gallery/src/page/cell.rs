//! What stands at the crossing of a row and a column.

use std::fmt;

use super::text::{Count, Escaped, Link, Making, Rounded, Seconds};
use crate::manifest::{ArtistEntry, Outcome, PhotoEntry, PictureEntry};

/// The cell of a photo and an artist.
pub(super) fn cell(
    f: &mut fmt::Formatter<'_>,
    cell: &Outcome,
    photo: &PhotoEntry,
    artist: &ArtistEntry,
) -> fmt::Result {
    let Some(picture) = &cell.picture else {
        return state(f, cell);
    };
    let subject = format!("{} in the style of {}", photo.name, artist.name);
    let PictureEntry { width, height, .. } = picture;
    write!(
        f,
        "<td><a class=\"picture\" href=\"{}\" title=\"{}\">",
        Link(&picture.path),
        Making(&subject, picture)
    )?;
    write!(
        f,
        "<img src=\"{}\" alt=\"{}\" width=\"{width}\" height=\"{height}\" loading=\"lazy\">",
        Link(&picture.thumbnail),
        Escaped(&subject)
    )?;
    writeln!(
        f,
        "<span class=\"note\">{} · loss {}</span></a></td>",
        Seconds(picture.seconds),
        Rounded(picture.loss)
    )
}

/// A cell without a picture.
fn state(f: &mut fmt::Formatter<'_>, cell: &Outcome) -> fmt::Result {
    let class = if cell.state == "failed" {
        "state failed"
    } else {
        "state"
    };
    write!(
        f,
        "<td><div class=\"{class}\"><b>{}</b>",
        Escaped(&cell.state)
    )?;
    if let Some(failure) = &cell.failure {
        let reason = format!("{}: {failure}", Count(cell.attempts as usize, "attempt"));
        let reason = Escaped(&reason);
        write!(f, "<span title=\"{reason}\">{reason}</span>")?;
    }
    writeln!(f, "</div></td>")
}
