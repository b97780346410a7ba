//! What lies where in the bucket, and how the names that people give become parts of keys.
//!
//! Keys are short ASCII slugs, safe as file names on every system and in URLs without escaping. The names themselves
//! live in `gallery.json`. This file talks to no bucket.

use std::collections::{HashMap, HashSet};

use atelier_proto::ids::{Digest, GridId};

/// What the contact sheet is called, beside `gallery.json`.
pub const CONTACT_SHEET: &str = "contact-sheet.jpg";

/// Longest slug, bytes. Three of them and their separators stay well below the 255 bytes of a file name.
pub const SLUG_BYTES_MAX: usize = 40;

/// Follows the stem of a larger thumbnail; no stem contains it.
pub const LARGE_SUFFIX: &str = ".large";

/// Separates the slugs of a stem; no slug contains it.
const SEPARATOR: &str = "--";

/// Key of the original bytes of a photo or painting.
pub fn input_key(digest: &Digest) -> String {
    format!("inputs/{digest}")
}

/// Key of a weights file that nodes may be told to paint with.
pub fn weights_key(digest: &Digest) -> String {
    format!("weights/{digest}")
}

/// What a key names, as far as anybody may be given a way to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The original bytes of a photo or painting.
    Input(Digest),
    /// A weights file.
    Weights(Digest),
    /// A file of the grid's gallery, or a preview of one of its cells: what people look at. Checkpoints are none of it.
    Gallery(GridId),
}

/// Files of a gallery beside its folders. They change until its grid has ended.
pub const GALLERY_FILES: [&str; 3] = ["index.html", "gallery.json", CONTACT_SHEET];
/// Folders of a gallery: a manifest's paths lead nowhere else. What lies there never changes.
pub const GALLERY_FOLDERS: [&str; 3] = ["pictures", "thumbnails", "originals"];
/// The folder of what cells look like while they are painted. It is no part of the gallery, but people look at it.
pub const PREVIEWS_FOLDER: &str = "previews";

impl Place {
    /// What a key names; `None` where it is none of ours, or spelled otherwise than we do.
    pub fn of(key: &str) -> Option<Self> {
        let (top, rest) = key.split_once('/')?;
        match top {
            "inputs" => Some(Self::Input(rest.parse().ok()?)),
            "weights" => Some(Self::Weights(rest.parse().ok()?)),
            "grids" => {
                let (id, path) = rest.split_once('/')?;
                let grid: GridId = id.parse().ok()?;
                // A UUID has several spellings, and a key has one.
                let is_ours = grid.to_string() == id && is_in_gallery(path);
                is_ours.then_some(Self::Gallery(grid))
            }
            _ => None,
        }
    }
}

/// Whether a path, relative to a grid's place, is one that people look at: it stays there, on every system.
pub fn is_in_gallery(path: &str) -> bool {
    let Some((folder, name)) = path.split_once('/') else {
        return GALLERY_FILES.contains(&path);
    };
    (GALLERY_FOLDERS.contains(&folder) || folder == PREVIEWS_FOLDER) && is_plain(name)
}

/// Whether a name is a file's on every system and leads nowhere else: ASCII letters, digits, `-`, `_` and `.`, not hidden.
pub(crate) fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// The keys of one grid's gallery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GridKeys {
    grid: GridId,
}

impl GridKeys {
    /// The keys of this grid.
    pub fn new(grid: GridId) -> Self {
        Self { grid }
    }

    /// What every key of the grid starts with, with the slash at its end.
    pub fn prefix(&self) -> String {
        format!("grids/{}/", self.grid)
    }

    /// `gallery.json`.
    pub fn manifest(&self) -> String {
        self.below("gallery.json")
    }

    /// `index.html`.
    pub fn page(&self) -> String {
        self.below("index.html")
    }

    /// `contact-sheet.jpg`.
    pub fn contact_sheet(&self) -> String {
        self.below(CONTACT_SHEET)
    }

    /// The picture of the cell with this [`cell_stem`]; `extension` has no dot.
    pub fn picture(&self, stem: &str, extension: &str) -> String {
        self.below(&format!("pictures/{stem}.{extension}"))
    }

    /// The thumbnail of the cell with this [`cell_stem`].
    pub fn thumbnail(&self, stem: &str) -> String {
        self.below(&format!("thumbnails/{stem}.jpg"))
    }

    /// The larger thumbnail of the cell with this [`cell_stem`].
    pub fn large_thumbnail(&self, stem: &str) -> String {
        self.below(&format!("thumbnails/{stem}{LARGE_SUFFIX}.jpg"))
    }

    /// The reduced photo that the page shows beside its row.
    pub fn photo_original(&self, slug: &str) -> String {
        self.below(&format!("originals/photo-{slug}.jpg"))
    }

    /// The reduced painting that the page shows above its column.
    pub fn artist_original(&self, slug: &str) -> String {
        self.below(&format!("originals/artist-{slug}.jpg"))
    }

    /// What the keys of the grid's checkpoints start with. They are no part of the gallery: no manifest may name a path
    /// that leads here.
    pub fn checkpoints(&self) -> String {
        self.below("checkpoints/")
    }

    /// What has become so far of the cell with this [`cell_stem`], for a later attempt to go on from.
    pub fn checkpoint(&self, stem: &str) -> String {
        self.below(&format!("checkpoints/{stem}.safetensors"))
    }

    /// What the keys of the grid's previews start with. They are no part of the gallery either.
    pub fn previews(&self) -> String {
        self.below("previews/")
    }

    /// What the cell with this [`cell_stem`] looks like while it is painted.
    pub fn preview(&self, stem: &str) -> String {
        self.below(&format!("previews/{stem}.jpg"))
    }

    fn below(&self, path: &str) -> String {
        format!("grids/{}/{path}", self.grid)
    }
}

/// The names of a grid, made into parts of keys. The same names give the same keys, whoever asks and whenever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GridNames {
    keys: GridKeys,
    photos: Vec<String>,
    artists: Vec<String>,
    /// `None` for the only variant of a grid without a sweep.
    variants: Vec<Option<String>>,
}

impl GridNames {
    /// Of the names of its photos, artists and variants, each in their order.
    pub fn new<'a>(
        grid: GridId,
        photos: impl IntoIterator<Item = &'a str>,
        artists: impl IntoIterator<Item = &'a str>,
        variants: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let variants: Vec<&str> = variants.into_iter().collect();
        let is_swept = variants.len() > 1 || variants.iter().any(|name| !name.is_empty());
        let variants = slugs(variants).into_iter();
        Self {
            keys: GridKeys::new(grid),
            photos: slugs(photos),
            artists: slugs(artists),
            variants: variants.map(|slug| is_swept.then_some(slug)).collect(),
        }
    }

    /// The grid's keys.
    pub fn keys(&self) -> GridKeys {
        self.keys
    }

    /// File name, without its extension, of the cell of this photo and artist, or of one of them alone, by position;
    /// `None` if the grid has no such cell.
    pub fn stem(
        &self,
        photo: Option<usize>,
        artist: Option<usize>,
        variant: usize,
    ) -> Option<String> {
        let variant = self.variants.get(variant)?.as_deref();
        Some(match (photo, artist) {
            (Some(photo), Some(artist)) => {
                cell_stem(self.photos.get(photo)?, self.artists.get(artist)?, variant)
            }
            (Some(photo), None) => content_stem(self.photos.get(photo)?, variant),
            (None, Some(artist)) => style_stem(self.artists.get(artist)?, variant),
            (None, None) => return None,
        })
    }

    /// The key of a photo, reduced.
    pub fn photo_original(&self, photo: usize) -> Option<String> {
        Some(self.keys.photo_original(self.photos.get(photo)?))
    }

    /// The key of an artist's first painting, reduced.
    pub fn artist_original(&self, artist: usize) -> Option<String> {
        Some(self.keys.artist_original(self.artists.get(artist)?))
    }
}

/// Slugs of names, in their order: `[a-z0-9-]`, 1 to [`SLUG_BYTES_MAX`] bytes, no dash at either end, no two dashes
/// in a row, and no slug twice.
///
/// The same names give the same slugs. A name of which no letter is left becomes `n` and its place, from 1.
///
/// ```
/// use atelier_gallery::keys::slugs;
///
/// assert_eq!(slugs(["Cézanne", "cezanne", "…"]), ["cezanne", "cezanne-2", "n3"]);
/// ```
pub fn slugs<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut taken = HashSet::new();
    // Where the numbering of a base goes on, so that many equal names take linear time.
    let mut next_number: HashMap<String, u32> = HashMap::new();
    let mut slugs = Vec::new();
    for (index, name) in names.into_iter().enumerate() {
        let mut base = shortened(&slug::slugify(name), SLUG_BYTES_MAX);
        if base.is_empty() {
            base = format!("n{}", index + 1);
        }
        let mut slug = base.clone();
        while !taken.insert(slug.clone()) {
            let number = next_number.entry(base.clone()).or_insert(2);
            let suffix = format!("-{number}");
            slug = shortened(&base, SLUG_BYTES_MAX - suffix.len()) + &suffix;
            *number += 1;
        }
        slugs.push(slug);
    }
    slugs
}

/// The first `bytes_max` bytes of an ASCII slug, without a dash at the cut.
fn shortened(slug: &str, bytes_max: usize) -> String {
    let end = slug.len().min(bytes_max);
    slug[..end].trim_end_matches('-').to_owned()
}

/// File name of a cell's picture without its extension: slugs of photo, artist and, where there are several, variant.
pub fn cell_stem(photo: &str, artist: &str, variant: Option<&str>) -> String {
    with_variant(format!("{photo}{SEPARATOR}{artist}"), variant)
}

/// File name, without its extension, of what the content layers keep of a photo. No slug has an underscore, so no cell
/// of a photo and an artist is called so, whatever their names.
pub fn content_stem(photo: &str, variant: Option<&str>) -> String {
    with_variant(format!("{photo}_content"), variant)
}

/// File name, without its extension, of what the style layers keep of an artist; told apart as [`content_stem`].
pub fn style_stem(artist: &str, variant: Option<&str>) -> String {
    with_variant(format!("{artist}_style"), variant)
}

fn with_variant(mut stem: String, variant: Option<&str>) -> String {
    if let Some(variant) = variant {
        stem.push_str(SEPARATOR);
        stem.push_str(variant);
    }
    stem
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_stay_readable() {
        let long = "é".repeat(300);
        let names = [
            "Georges Braque",
            "../../etc/passwd",
            "..",
            "",
            "georges-braque",
            &long,
            &long,
        ];
        let e = |count| "e".repeat(count);
        assert_eq!(
            slugs(names),
            [
                "georges-braque",
                "etc-passwd",
                "n3",
                "n4",
                "georges-braque-2",
                &e(40),
                &(e(38) + "-2"),
            ]
        );
    }

    #[test]
    fn a_slug_that_another_name_has_by_itself_is_not_given_twice() {
        assert_eq!(slugs(["a-2", "a", "a", "a"]), ["a-2", "a", "a-3", "a-4"]);
        assert_eq!(slugs(["n2", "..", "n2"]), ["n2", "n2-2", "n2-3"]);
    }

    #[test]
    fn a_stem_tells_its_parts_apart() {
        assert_eq!(cell_stem("a", "b", None), "a--b");
        assert_eq!(cell_stem("a", "b", Some("size-64")), "a--b--size-64");
        assert_eq!(content_stem("a", None), "a_content");
        assert_eq!(style_stem("b", Some("size-64")), "b_style--size-64");
        let id = "0197a3c4-5f00-7000-8000-000000000001";
        let keys = GridKeys::new(id.parse().unwrap());
        assert_eq!(keys.manifest(), format!("{}gallery.json", keys.prefix()));
        assert_eq!(
            keys.picture("a--b", "png"),
            format!("grids/{id}/pictures/a--b.png")
        );
        let checkpoint = keys.checkpoint("a--b");
        assert!(checkpoint.starts_with(&keys.checkpoints()), "{checkpoint}");
    }

    #[test]
    fn a_cell_is_called_after_what_it_is_of_and_after_its_variant_where_there_are_several() {
        let grid = "0197a3c4-5f00-7000-8000-000000000001".parse().unwrap();
        let names = |variants: &[&'static str]| {
            GridNames::new(grid, ["Hill", "Hill"], ["Monet"], variants.iter().copied())
        };
        let alone = names(&[""]);
        assert_eq!(
            alone.stem(Some(1), Some(0), 0).as_deref(),
            Some("hill-2--monet")
        );
        assert_eq!(
            alone.stem(Some(0), None, 0).as_deref(),
            Some("hill_content")
        );
        assert_eq!(alone.stem(None, Some(0), 0).as_deref(), Some("monet_style"));
        for nowhere in [(Some(2), Some(0), 0), (None, None, 0), (Some(0), None, 1)] {
            let (photo, artist, variant) = nowhere;
            assert_eq!(alone.stem(photo, artist, variant), None, "{nowhere:?}");
        }
        let swept = names(&["seed=1", "seed=2"]);
        assert_eq!(
            swept.stem(None, Some(0), 1).as_deref(),
            Some("monet_style--seed-2")
        );
        let original = alone.keys().photo_original("hill-2");
        assert_eq!(alone.photo_original(1), Some(original));
        assert_eq!(alone.artist_original(1), None);
    }

    #[test]
    fn a_key_names_what_lies_there_and_other_spellings_name_nothing() {
        let digest = Digest::of(b"bytes");
        assert_eq!(Place::of(&input_key(&digest)), Some(Place::Input(digest)));
        let weights = Place::of(&weights_key(&digest));
        assert_eq!(weights, Some(Place::Weights(digest)));
        let grid = GridId::generate();
        let keys = GridKeys::new(grid);
        let stem = cell_stem("a", "b", Some("size-64"));
        for key in [
            keys.manifest(),
            keys.page(),
            keys.contact_sheet(),
            keys.picture(&stem, "png"),
            keys.thumbnail(&stem),
            keys.large_thumbnail(&stem),
            keys.preview(&stem),
            keys.photo_original("a"),
            keys.artist_original("b"),
        ] {
            assert_eq!(Place::of(&key), Some(Place::Gallery(grid)), "{key}");
        }
        let prefix = keys.prefix();
        for key in [
            String::new(),
            "inputs".to_owned(),
            format!("inputs/{digest}/"),
            format!("inputs/{}", digest.to_string().to_uppercase()),
            keys.checkpoint(&stem),
            prefix.clone(),
            format!("{prefix}pictures"),
            format!("{prefix}pictures/"),
            format!("{prefix}pictures/../gallery.json"),
            format!("{prefix}pictures/a/b.png"),
            format!("{prefix}pictures/.hidden"),
            format!("{prefix}pictures/a b.png"),
            format!("{prefix}secret.json"),
            format!("grids/{}/gallery.json", grid.to_string().to_uppercase()),
            format!("grids/{}/gallery.json", grid.as_uuid().simple()),
            format!("/{prefix}gallery.json"),
            format!("elsewhere/{digest}"),
        ] {
            assert_eq!(Place::of(&key), None, "{key}");
        }
    }

    proptest! {
        #[test]
        fn slugs_are_safe_bounded_unique_and_deterministic(
            names in prop::collection::vec(prop_oneof![".{0,60}", "[aA .-]{0,4}", "[a-c]{38,44}"], 0..40)
        ) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let made = slugs(names.iter().copied());
            prop_assert_eq!(made.len(), names.len());
            for slug in &made {
                prop_assert!(!slug.is_empty() && slug.len() <= SLUG_BYTES_MAX);
                prop_assert!(slug.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')), "{}", slug);
                prop_assert!(!slug.starts_with('-') && !slug.ends_with('-') && !slug.contains("--"), "{}", slug);
            }
            prop_assert_eq!(made.iter().collect::<HashSet<_>>().len(), made.len());
            prop_assert_eq!(slugs(names), made);
        }
    }
}
