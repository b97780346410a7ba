//! Where everything of a contact sheet goes. Knows sizes, no pixels.

use crate::manifest::Manifest;

/// Most pixels of a sheet, and of a side of it.
const PIXELS_MAX: f64 = 40e6;
const SIDE_MAX: f64 = 30_000.0;
/// Width of a picture where there are few, and where there are very many.
const WIDTH_MAX: f64 = 320.0;
const WIDTH_MIN: f64 = 12.0;
/// Of a row, for the width of its pictures.
const RATIOS: (f64, f64) = (0.4, 1.7);

/// A box on the sheet, of a picture or of a line of text, pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// Where everything goes, pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) width: u32,
    pub(super) height: u32,
    margin: u32,
    gap: u32,
    /// Height of captions.
    text: u32,
    /// Height of what stands above the tables.
    title: u32,
    /// Height of a table's title; none where there is one table.
    subtitle: u32,
    /// Width of the heads of rows, height of the heads of columns.
    side: u32,
    top: u32,
    /// Width of a picture.
    cell: u32,
    /// Heights of the rows.
    rows: Vec<u32>,
    /// What stands above each row and its gap, and above what would come after the last one.
    above: Vec<u32>,
}

impl Layout {
    /// The one with the largest pictures that fits; none: not even the smallest do.
    pub(super) fn of(manifest: &Manifest) -> Option<Self> {
        let mut cell = WIDTH_MAX;
        while cell >= WIDTH_MIN {
            let layout = Self::with(manifest, cell);
            let (width, height) = (f64::from(layout.width), f64::from(layout.height));
            if width * height <= PIXELS_MAX && width.max(height) <= SIDE_MAX {
                return Some(layout);
            }
            cell *= 0.95;
        }
        None
    }

    fn with(manifest: &Manifest, cell: f64) -> Self {
        let pixels = |length: f64| length.round().max(1.0) as u32;
        let text = pixels((cell / 15.0).clamp(7.0, 20.0));
        let gap = pixels((cell / 28.0).clamp(1.0, 10.0));
        let margin = pixels((cell / 8.0).clamp(8.0, 40.0));
        let rows = manifest.photos.iter().map(|photo| {
            let ratio = f64::from(photo.height) / f64::from(photo.width.max(1));
            pixels(cell * ratio.clamp(RATIOS.0, RATIOS.1)).max(2 * text)
        });
        let rows: Vec<u32> = rows.collect();
        let mut above = vec![0_u32];
        above.extend(rows.iter().scan(0_u32, |sum, row| {
            *sum = sum.saturating_add(row + gap);
            Some(*sum)
        }));
        let (side, top) = (pixels(cell * 0.8), pixels(cell * 0.6) + 2 * text);
        let subtitle = if manifest.variants.len() > 1 {
            3 * text
        } else {
            0
        };
        let title = 5 * text;
        let mut layout = Self {
            width: 0,
            height: 0,
            margin,
            gap,
            text,
            title,
            subtitle,
            side,
            top,
            cell: pixels(cell),
            rows,
            above,
        };
        // Where the next column and the next table would begin.
        let (right, bottom) = (
            layout.column(manifest.artists.len()),
            layout.table(manifest.variants.len()),
        );
        layout.width = (right - gap).saturating_add(margin);
        layout.height = bottom.saturating_add(margin);
        layout
    }

    /// The name of the grid.
    pub(super) fn name(&self) -> Place {
        self.line(self.margin, 2 * self.text)
    }

    /// What is told of the grid, under its name.
    pub(super) fn facts(&self) -> Place {
        self.line(self.margin + 2 * self.text + self.text / 2, self.text)
    }

    /// The name of a variant, above its table; none where there is one table.
    pub(super) fn variant(&self, variant: usize) -> Option<Place> {
        let y = self.table(variant) + self.text / 2;
        (self.subtitle > 0).then(|| self.line(y, self.text + self.text / 3))
    }

    /// The original at the head of a column.
    pub(super) fn artist(&self, variant: usize, artist: usize) -> Place {
        Place {
            x: self.column(artist),
            y: self.table(variant) + self.subtitle,
            width: self.cell,
            height: self.top - 2 * self.text,
        }
    }

    /// The name under it.
    pub(super) fn artist_name(&self, variant: usize, artist: usize) -> Place {
        let original = self.artist(variant, artist);
        self.under(original, original.height)
    }

    /// The original at the head of a row.
    pub(super) fn photo(&self, variant: usize, photo: usize) -> Place {
        let row = self.rows.get(photo).copied().unwrap_or_default();
        Place {
            x: self.margin,
            y: self.row(variant, photo),
            width: self.side.saturating_sub(self.gap),
            height: row.saturating_sub(self.text + self.text / 2),
        }
    }

    /// The name under it, where the original is so high.
    pub(super) fn photo_name(&self, variant: usize, photo: usize, height: u32) -> Place {
        self.under(self.photo(variant, photo), height)
    }

    /// The picture of a cell.
    pub(super) fn cell(&self, variant: usize, photo: usize, artist: usize) -> Place {
        Place {
            x: self.column(artist),
            y: self.row(variant, photo),
            width: self.cell,
            height: self.rows.get(photo).copied().unwrap_or_default(),
        }
    }

    /// What stands in the place of a picture that is not there.
    pub(super) fn state(&self, place: Place) -> Place {
        Place {
            x: place.x + self.text / 2,
            y: place.y + place.height.saturating_sub(self.text) / 2,
            width: place.width.saturating_sub(self.text),
            height: self.text,
        }
    }

    /// A line from margin to margin.
    fn line(&self, y: u32, height: u32) -> Place {
        Place {
            x: self.margin,
            y,
            width: self.width.saturating_sub(2 * self.margin),
            height,
        }
    }

    /// A caption under what is so high of a place.
    fn under(&self, place: Place, height: u32) -> Place {
        Place {
            x: place.x,
            y: place.y + height + self.text / 4,
            width: place.width,
            height: self.text,
        }
    }

    /// Where a column begins.
    fn column(&self, artist: usize) -> u32 {
        let first = self.margin + self.side + self.gap;
        first.saturating_add(times(artist, self.cell + self.gap))
    }

    /// Where a row begins.
    fn row(&self, variant: usize, photo: usize) -> u32 {
        let above = self.above.get(photo).copied().unwrap_or_default();
        self.table(variant) + self.subtitle + self.top + above
    }

    /// Where the table of a variant begins.
    fn table(&self, variant: usize) -> u32 {
        let rows = self.above.last().copied().unwrap_or_default();
        let height = rows.saturating_add(self.subtitle + self.top + self.gap);
        (self.margin + self.title).saturating_add(times(variant, height))
    }
}

/// So many of a length; what is beyond every sheet stays beyond it.
fn times(count: usize, length: u32) -> u32 {
    u32::try_from(count)
        .unwrap_or(u32::MAX)
        .saturating_mul(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::tests::sample;

    #[test]
    fn large_grids_have_small_pictures_and_there_is_an_end_to_it() {
        let mut manifest = sample();
        let (photo, artist) = (manifest.photos[0].clone(), manifest.artists[0].clone());
        manifest.photos = vec![photo; 200];
        manifest.artists = vec![artist; 100];
        let layout = Layout::of(&manifest).unwrap();
        assert!(f64::from(layout.width) * f64::from(layout.height) <= PIXELS_MAX);
        assert!(layout.cell >= 30, "{layout:?}");
        let mut wide = sample();
        wide.artists = vec![wide.artists[0].clone(); 20_000];
        assert_eq!(Layout::of(&wide), None);
        // More pixels high than a u32 counts.
        let mut high = sample();
        high.photos = vec![high.photos[0].clone(); 20_000];
        high.variants = vec![high.variants[0].clone(); 20_000];
        assert_eq!(Layout::of(&high), None);
    }

    #[test]
    fn the_last_cell_of_the_last_table_ends_at_the_margins() {
        let mut manifest = sample();
        manifest.variants = vec![manifest.variants[0].clone(); 3];
        let layout = Layout::of(&manifest).unwrap();
        let last = layout.cell(2, 1, 1);
        assert_eq!(last.x + last.width + layout.margin, layout.width);
        let below = layout.margin + 2 * layout.gap;
        assert_eq!(last.y + last.height + below, layout.height);
    }
}
