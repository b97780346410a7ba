//! `index.html`: photos down, artists across, every picture a link to its full size; what the network keeps of each photo
//! and artist stands in their headers.
//!
//! One file that needs nothing but the gallery beside it: no script, no font, no host. It works from S3, from any
//! server and from disk. All that it shows is in the [`Manifest`].

mod cell;
mod header;
mod text;

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use self::text::{Count, Escaped, Name, Seconds, settings};
use crate::manifest::{
    CellEntry, Manifest, Outcome, PictureEntry, ReconstructionEntry, ReconstructionOf, VariantEntry,
};

const STYLE: &str = include_str!("page/style.css");

/// What the page may load: its pictures. `file:` because not every browser counts a page's folder on disk as `self`.
const POLICY: &str = "default-src 'none'; img-src 'self' file: data:; style-src 'unsafe-inline'; \
                      base-uri 'none'; form-action 'none'";

/// How often the page of a grid at work looks for news, seconds.
const REFRESH_SECONDS: u32 = 10;

/// The page of a gallery, whole and self-contained.
pub fn render(manifest: &Manifest) -> String {
    Page::new(manifest).to_string()
}

struct Page<'a> {
    manifest: &'a Manifest,
    cells: HashMap<(usize, usize, usize), &'a CellEntry>,
    reconstructions: HashMap<(ReconstructionOf, usize), &'a ReconstructionEntry>,
}

impl<'a> Page<'a> {
    fn new(manifest: &'a Manifest) -> Self {
        let cells = manifest.cells.iter();
        let cells = cells.map(|cell| ((cell.photo, cell.artist, cell.variant), cell));
        let reconstructions = manifest.reconstructions.iter();
        let reconstructions = reconstructions.map(|entry| ((entry.of, entry.variant), entry));
        Self {
            manifest,
            cells: cells.collect(),
            reconstructions: reconstructions.collect(),
        }
    }

    fn count(&self, state: &str) -> usize {
        let outcomes = self.manifest.outcomes();
        outcomes.filter(|outcome| outcome.state == state).count()
    }

    fn pictures(&self) -> impl Iterator<Item = &'a PictureEntry> {
        self.manifest.pictures()
    }

    fn reconstruction(&self, of: ReconstructionOf, variant: usize) -> Option<&'a Outcome> {
        let entry = self.reconstructions.get(&(of, variant))?;
        Some(&entry.outcome)
    }

    fn has_several_variants(&self) -> bool {
        self.manifest.variants.len() > 1
    }

    fn head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">"
        )?;
        writeln!(
            f,
            "<meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">"
        )?;
        writeln!(
            f,
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
        )?;
        writeln!(f, "<meta name=\"referrer\" content=\"no-referrer\">")?;
        if !self.manifest.complete && self.manifest.state == "active" {
            writeln!(
                f,
                "<meta http-equiv=\"refresh\" content=\"{REFRESH_SECONDS}\">"
            )?;
        }
        writeln!(
            f,
            "<title>{} · Atelier</title>",
            Escaped(&self.manifest.name)
        )?;
        // An empty icon, so that no browser asks a server for one.
        writeln!(
            f,
            "<link rel=\"icon\" href=\"data:,\">\n<style>\n{STYLE}</style>\n</head>"
        )
    }

    fn header(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let manifest = self.manifest;
        writeln!(f, "<header class=\"words\">\n<p class=\"over\">Gallery</p>")?;
        writeln!(f, "<h1>{}</h1>", Name(&manifest.name))?;
        write!(
            f,
            "<p class=\"facts\">{} × {}",
            Count(manifest.photos.len(), "photo"),
            Count(manifest.artists.len(), "artist")
        )?;
        if self.has_several_variants() {
            write!(f, " × {}", Count(manifest.variants.len(), "variant"))?;
        }
        if !manifest.reconstructions.is_empty() {
            write!(f, ", and each reconstructed")?;
        }
        let submitted = manifest.submitted_at;
        write!(
            f,
            " · submitted {}",
            submitted.strftime("%Y-%m-%d %H:%M UTC")
        )?;
        if let Some(finished) = manifest.finished_at {
            let seconds = finished.duration_since(submitted).as_secs_f64();
            write!(
                f,
                " · {} after {}",
                Escaped(&manifest.state),
                Seconds(seconds)
            )?;
        }
        writeln!(f, "</p>")?;
        self.standing(f)?;
        if self.has_several_variants() {
            writeln!(f, "<nav aria-label=\"Variants\">")?;
            for (index, variant) in manifest.variants.iter().enumerate() {
                let name = VariantName(variant, index);
                writeln!(f, "<a href=\"#variant-{}\">{name}</a>", index + 1)?;
            }
            writeln!(f, "</nav>")?;
        }
        writeln!(f, "</header>")
    }

    /// How far the grid is, and what went wrong.
    fn standing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.manifest.outcomes().count();
        let done = self.count("done");
        write!(
            f,
            "<p class=\"facts\"><b>{done} of {} done</b>",
            Count(total, "picture")
        )?;
        for (state, class) in [
            ("rendering", ""),
            ("leased", ""),
            ("queued", ""),
            ("failed", " class=\"bad\""),
            ("cancelled", ""),
        ] {
            let count = self.count(state);
            if count > 0 {
                write!(f, " · <span{class}>{count} {state}</span>")?;
            }
        }
        if !self.manifest.complete {
            write!(f, " · this gallery is not complete yet")?;
            if self.manifest.state == "paused" {
                write!(f, ", and its grid is paused")?;
            }
            write!(
                f,
                "</p>\n<progress max=\"{}\" value=\"{done}\" aria-label=\"Pictures done\"></progress>",
                total.max(1)
            )?;
            return writeln!(f);
        }
        writeln!(f, "</p>")
    }

    fn variant(
        &self,
        f: &mut fmt::Formatter<'_>,
        index: usize,
        variant: &VariantEntry,
    ) -> fmt::Result {
        writeln!(f, "<section id=\"variant-{}\">", index + 1)?;
        if self.has_several_variants() {
            let name = VariantName(variant, index);
            writeln!(f, "<h2 class=\"words\">{name}</h2>")?;
        }
        writeln!(f, "<table>\n<caption>Photos by artists</caption>")?;
        writeln!(f, "<thead>\n<tr>\n<th></th>")?;
        for (artist_index, artist) in self.manifest.artists.iter().enumerate() {
            let kept = self.reconstruction(ReconstructionOf::Artist(artist_index), index);
            header::artist(f, artist, kept)?;
        }
        writeln!(f, "</tr>\n</thead>\n<tbody>")?;
        for (photo_index, photo) in self.manifest.photos.iter().enumerate() {
            writeln!(f, "<tr>")?;
            let kept = self.reconstruction(ReconstructionOf::Photo(photo_index), index);
            header::photo(f, photo, kept)?;
            for (artist_index, artist) in self.manifest.artists.iter().enumerate() {
                match self.cells.get(&(photo_index, artist_index, index)) {
                    Some(cell) => cell::cell(f, &cell.outcome, photo, artist)?,
                    None => writeln!(f, "<td></td>")?,
                }
            }
            writeln!(f, "</tr>")?;
        }
        writeln!(f, "</tbody>\n</table>\n</section>")
    }

    fn footer(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "<footer class=\"words\">")?;
        if self.pictures().next().is_some() {
            let seconds: f64 = self.pictures().map(|picture| picture.seconds).sum();
            writeln!(
                f,
                "<p>Painted with {} on {}, in {} of optimisation.</p>",
                Escaped(&distinct(
                    self.pictures().map(|picture| picture.network.as_str())
                )),
                Escaped(&distinct(
                    self.pictures().map(|picture| picture.device.as_str())
                )),
                Seconds(seconds)
            )?;
        }
        writeln!(f, "<details>\n<summary>Render settings</summary>\n<dl>")?;
        for (key, value) in settings(&self.manifest.settings.clone().into()) {
            writeln!(f, "<dt>{}</dt><dd>{}</dd>", Escaped(&key), Escaped(&value))?;
        }
        writeln!(f, "</dl>\n</details>")?;
        writeln!(
            f,
            "<p>All of this, for programs: <a href=\"gallery.json\">gallery.json</a></p>\n</footer>"
        )
    }
}

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head(f)?;
        writeln!(f, "<body>")?;
        self.header(f)?;
        writeln!(f, "<main>")?;
        for (index, variant) in self.manifest.variants.iter().enumerate() {
            self.variant(f, index, variant)?;
        }
        writeln!(f, "</main>")?;
        self.footer(f)?;
        writeln!(f, "</body>\n</html>")
    }
}

/// What tells a variant from its siblings.
struct VariantName<'a>(&'a VariantEntry, usize);

impl fmt::Display for VariantName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(variant, index) = self;
        if variant.name.is_empty() {
            write!(f, "Variant {}", index + 1)
        } else {
            Name(&variant.name).fmt(f)
        }
    }
}

/// Some texts, each once, as an enumeration.
fn distinct<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let texts: BTreeSet<&str> = texts.collect();
    texts.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
