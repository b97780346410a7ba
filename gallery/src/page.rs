//! `index.html`: photos down, artists across; each picture opens large, with what is known of it. One file that needs nothing
//! but the gallery beside it: no framework, no font, no host. It works from S3, from any server and from disk.
//!
//! The words of the page are written here. The sheet of pictures is drawn by the script in `page/app/`, which reads what
//! [`data`] made of the [`Manifest`] and keeps no more of it in the document than is in sight:
//!
//! - `gallery.js` is the gallery, `address.js` what the page's address says of it
//! - `sheet.js` draws the grid, `viewer.js` one picture, large; `main.js` joins them
//! - `dom.js` makes elements, `format.js` numbers and settings as people read them

mod data;
mod text;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

use self::data::{Data, Links};
use self::text::{Count, Escaped, Name, Seconds, settings};
use crate::manifest::{Manifest, ManifestError, PictureEntry};

/// The colours of every page of Atelier, in the light and in the dark, as the variables of CSS.
pub const PALETTE: &str = include_str!("page/palette.css");

const STYLE: &str = concat!(
    include_str!("page/palette.css"),
    include_str!("page/style.css")
);

/// One script of all files: each may use what is named in those before it.
const SCRIPT: &str = concat!(
    "\"use strict\";\n{\n",
    include_str!("page/app/format.js"),
    include_str!("page/app/gallery.js"),
    include_str!("page/app/address.js"),
    include_str!("page/app/dom.js"),
    include_str!("page/app/sheet.js"),
    include_str!("page/app/viewer.js"),
    include_str!("page/app/main.js"),
    "}\n"
);

/// What the page may load and run: its pictures, itself anew, and the style and script that stand in it. `file:` because
/// not every browser counts a page's folder on disk as `self`.
static POLICY: LazyLock<String> = LazyLock::new(|| policy(""));

/// How often the page of a grid at work looks for news, seconds.
const REFRESH_SECONDS: u32 = 10;

fn policy(pictures_from: &str) -> String {
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; img-src 'self' file: data: {pictures_from}; connect-src 'self'; script-src 'sha256-{}'; \
         style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
}

/// The page of a gallery, whole and self-contained.
///
/// # Errors
/// When the manifest cannot be written as JSON.
pub fn render(manifest: &Manifest) -> Result<String, ManifestError> {
    let is_at_work = !manifest.complete && manifest.state == "active";
    let refresh = is_at_work.then_some(REFRESH_SECONDS);
    let data = Data::new(manifest, &str::to_owned, refresh);
    page(manifest, &data, &POLICY)
}

/// The page with other links than the paths of its gallery: `link` gives each, and all begin with `origin`. It looks for no
/// news.
///
/// # Errors
/// When the manifest cannot be written as JSON.
pub fn render_elsewhere(
    manifest: &Manifest,
    origin: &str,
    link: &Links<'_>,
) -> Result<String, ManifestError> {
    let data = Data::new(manifest, link, None);
    page(manifest, &data, &policy(origin))
}

fn page(manifest: &Manifest, data: &Data<'_>, policy: &str) -> Result<String, ManifestError> {
    let data = data.json().map_err(ManifestError::Unwritable)?;
    let page = Page {
        manifest,
        data: &data,
        policy,
    };
    Ok(page.to_string())
}

struct Page<'a> {
    manifest: &'a Manifest,
    data: &'a str,
    policy: &'a str,
}

impl Page<'_> {
    fn count(&self, state: &str) -> usize {
        let outcomes = self.manifest.outcomes();
        outcomes.filter(|outcome| outcome.state == state).count()
    }

    fn pictures(&self) -> impl Iterator<Item = &PictureEntry> {
        self.manifest.pictures()
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
            "<meta http-equiv=\"Content-Security-Policy\" content=\"{}\">",
            Escaped(self.policy)
        )?;
        writeln!(
            f,
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
        )?;
        writeln!(f, "<meta name=\"referrer\" content=\"no-referrer\">")?;
        writeln!(
            f,
            "<title>{} · Atelier</title>",
            Escaped(&self.manifest.name)
        )?;
        // An empty icon, so that no browser asks a server for one.
        writeln!(
            f,
            "<link rel=\"icon\" href=\"data:,\">\n<style>{STYLE}</style>\n</head>"
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
        writeln!(
            f,
            "<div id=\"tools\" class=\"words\"></div>\n\
             <main><div id=\"sheet\" role=\"grid\" aria-label=\"Photos by artists\"></div></main>\n\
             <noscript><p class=\"words\">This page draws its pictures with a script, which this browser does not run. \
             They lie in the folder pictures beside it, and gallery.json lists them.</p></noscript>"
        )?;
        self.footer(f)?;
        writeln!(
            f,
            "<script type=\"application/json\" id=\"gallery\">{}</script>\n<script>{SCRIPT}</script>\n</body>\n</html>",
            self.data
        )
    }
}

/// Some texts, each once, as an enumeration.
fn distinct<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let texts: BTreeSet<&str> = texts.collect();
    texts.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
