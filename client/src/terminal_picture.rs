//! A picture as text that a terminal shows: three graphics protocols, and coloured half blocks for all others.
//!
//! Nothing here reads the environment or writes to a terminal: the caller brings the variables and writes the text.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io::Cursor;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage, RgbaImage};

/// Most columns of a picture; a wider box counts as this wide, so that no box asks for gigabytes.
pub const COLUMNS_MAX: u16 = 500;
/// Most rows of a picture.
pub const ROWS_MAX: u16 = 200;
/// Most base64 of one kitty sequence, in bytes.
const KITTY_CHUNK_BYTES_MAX: usize = 4096;
/// Levels of each primary in the sixel palette, whose 6 × 6 × 6 colours fit 256 registers. They are whole percents.
const SIXEL_LEVELS: u32 = 6;

/// How a terminal is told of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// The kitty graphics protocol, <https://sw.kovidgoyal.net/kitty/graphics-protocol/>.
    Kitty,
    /// iTerm2's inline images, <https://iterm2.com/documentation-images.html>.
    Iterm2,
    /// DEC's sixels, chapter 14 of the VT330/VT340 manual, <https://vt100.net/docs/vt3xx-gp/chapter14.html>.
    Sixel,
    /// Upper half blocks, `▀`, two pixels to a cell, in 24-bit colours (ISO 8613-6, `CSI 38;2;R;G;B m`).
    Blocks,
}

/// A word that names no [`Protocol`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{word:?} is no way to show a picture\nhint: write kitty, iterm2, sixel or blocks")]
pub struct UnknownProtocol {
    word: String,
}

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    fn from_str(word: &str) -> Result<Self, UnknownProtocol> {
        let mut all = [Self::Kitty, Self::Iterm2, Self::Sixel, Self::Blocks].into_iter();
        let word = word.to_owned();
        all.find(|it| it.to_string() == word)
            .ok_or(UnknownProtocol { word })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kitty => "kitty",
            Self::Iterm2 => "iterm2",
            Self::Sixel => "sixel",
            Self::Blocks => "blocks",
        })
    }
}

impl Protocol {
    /// The best protocol that the terminal surely understands, by its environment variables; else [`Self::Blocks`].
    ///
    /// A terminal may have inherited variables from another in which it was started, so what every terminal sets decides
    /// first, and what few set decides last. Each rule rests on what the terminals named beside it do.
    pub fn detect(variable: impl Fn(&str) -> Option<String>) -> Self {
        let value = |name: &str| variable(name).unwrap_or_default();
        let is_any_set = |names: &[&str]| names.iter().any(|name| !value(name).is_empty());
        let term = value("TERM");
        let begins = |names: &[&str]| names.iter().any(|name| term.starts_with(name));
        // Multiplexers and editors draw a terminal of their own, and pass on no pictures unasked. ssh hands on TERM
        // alone, which tmux and screen set too.
        let is_multiplexed = is_any_set(&["TMUX", "STY", "ZELLIJ"]) || begins(&["tmux", "screen"]);
        let is_in_editor = is_any_set(&["NVIM", "VIM_TERMINAL", "INSIDE_EMACS"]);
        if is_multiplexed || is_in_editor || begins(&["dumb", "linux"]) {
            return Self::Blocks;
        }
        // Every terminal sets TERM, and these name themselves. foot, mlterm and contour come with sixels; other names
        // with the word are terminfo entries of builds that do.
        if begins(&["xterm-kitty", "xterm-ghostty"]) {
            return Self::Kitty;
        }
        if begins(&["foot", "mlterm", "contour"]) || term.contains("sixel") {
            return Self::Sixel;
        }
        // Konsole has kitty's protocol since 22.04.
        let konsole = value("KONSOLE_VERSION").parse().unwrap_or(0);
        match value("TERM_PROGRAM").as_str() {
            // WezTerm has all three, but the other two with known faults.
            "iTerm.app" | "WezTerm" | "mintty" => Self::Iterm2,
            "ghostty" | "kitty" => Self::Kitty,
            // iTerm2 sets this one too, because many ssh configurations hand on LC_*.
            "" if value("LC_TERMINAL") == "iTerm2" => Self::Iterm2,
            // kitty sets it also where its TERM is configured otherwise.
            "" if is_any_set(&["KITTY_WINDOW_ID"]) || konsole >= 22_04_00 => Self::Kitty,
            // VS Code (`vscode`) shows pictures only if a setting says so; Apple's terminal has none.
            _ => Self::Blocks,
        }
    }

    /// Width in pixels of what is sent for one cell, which is taken to be twice as high.
    ///
    /// Sixels are never scaled, so theirs is the size of a cell: that of the VT340. Terminals scale the other pictures,
    /// and screens with small pixels gain from twice as many.
    fn cell_width(self) -> u32 {
        match self {
            Self::Kitty | Self::Iterm2 => 20,
            Self::Sixel => 10,
            Self::Blocks => 1,
        }
    }
}

/// The box that a picture may take, in character cells. Zero counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cells {
    /// Its width.
    pub columns: u16,
    /// Its height.
    pub rows: u16,
}

/// The largest size of a picture in a box.
struct Fit {
    /// In pixels, by [`Protocol::cell_width`].
    width: u32,
    height: u32,
    /// Cells that these pixels touch.
    columns: u32,
    rows: u32,
}

impl Fit {
    /// `None` if the picture has no pixel.
    fn new(picture: &RgbImage, protocol: Protocol, within: Cells) -> Option<Self> {
        let (cell_width, cell_height) = (protocol.cell_width(), 2 * protocol.cell_width());
        let box_width = u32::from(within.columns.clamp(1, COLUMNS_MAX)) * cell_width;
        let box_height = u32::from(within.rows.clamp(1, ROWS_MAX)) * cell_height;
        let (width, height) = picture.dimensions();
        if width == 0 || height == 0 {
            return None;
        }
        let mut size = (box_width, scaled(height, box_width, width));
        if size.1 > box_height {
            size = (scaled(width, box_height, height), box_height);
        }
        let (width, height) = size;
        Some(Self {
            width,
            height,
            columns: width.div_ceil(cell_width),
            rows: height.div_ceil(cell_height),
        })
    }
}

/// `length * by / of`, rounded to the nearest whole number, and at least 1.
fn scaled(length: u32, by: u32, of: u32) -> u32 {
    let (length, by, of) = (u64::from(length), u64::from(by), u64::from(of));
    u32::try_from(((length * by + of / 2) / of).max(1)).unwrap_or(u32::MAX)
}

/// Lines that [`show`] takes; 0 for a picture without a pixel.
pub fn rows(picture: &RgbImage, protocol: Protocol, within: Cells) -> u16 {
    Fit::new(picture, protocol, within).map_or(0, |fit| fit.rows as u16)
}

/// Text that shows the picture as large as the box allows, with its aspect ratio; small ones are enlarged.
///
/// Begins at the left edge of the cursor's line, and leaves the cursor at the left edge of the line below the picture,
/// [`rows`] further down. Whoever goes up as many lines (`CSI rows A`) can draw the next picture over it. The screen
/// needs a line more than the picture, and the terminal its ordinary mode, in which a line feed returns to the left.
///
/// `number` is kitty's name for the picture: a terminal takes away an earlier one of the same number, also that of
/// another program or run. Redraw with the same; otherwise take a new one. 0 is none there and counts as 1.
pub fn show(picture: &RgbImage, protocol: Protocol, within: Cells, number: u32) -> String {
    let Some(fit) = Fit::new(picture, protocol, within) else {
        return String::new();
    };
    let drawing = match protocol {
        Protocol::Kitty => kitty(picture, &fit, number),
        Protocol::Iterm2 => iterm2(picture, &fit),
        Protocol::Sixel => sixel(picture, &fit),
        Protocol::Blocks => return blocks(picture, &fit),
    };
    // Terminals differ in where a picture leaves the cursor, and some scroll. So the lines are made first, and the cursor
    // is saved above (DECSC), restored after (DECRC), and moved by us.
    let (lines, rows) = ("\n".repeat(fit.rows as usize), fit.rows);
    format!("{lines}\x1b[{rows}A\x1b7{drawing}\x1b8\x1b[{rows}B")
}

/// APC sequences: transmit and show (`a=T`) a PNG (`f=100`) in `c` × `r` cells, without answer (`q=2`), cursor left
/// alone (`C=1`). The placement has an id too (`p=1`): some terminals replace only placements that have one.
fn kitty(picture: &RgbImage, fit: &Fit, number: u32) -> String {
    let (columns, rows, number) = (fit.columns, fit.rows, number.max(1));
    let payload = STANDARD.encode(png(picture, fit));
    let mut keys = format!("a=T,f=100,i={number},p=1,c={columns},r={rows},C=1,");
    let (mut text, mut rest) = (String::new(), payload.as_str());
    loop {
        let split = rest.split_at_checked(KITTY_CHUNK_BYTES_MAX);
        let (chunk, after) = split.unwrap_or((rest, ""));
        let more = u8::from(!after.is_empty());
        let _ = write!(text, "\x1b_G{keys}q=2,m={more};{chunk}\x1b\\");
        if after.is_empty() {
            return text;
        }
        // Chunks after the first may say nothing but `q` and `m`.
        keys.clear();
        rest = after;
    }
}

/// OSC 1337: a file of `size` bytes, shown in `width` × `height` cells.
fn iterm2(picture: &RgbImage, fit: &Fit) -> String {
    let (columns, rows, png) = (fit.columns, fit.rows, png(picture, fit));
    let (size, payload) = (png.len(), STANDARD.encode(png));
    let arguments = format!("inline=1;size={size};width={columns};height={rows}");
    format!("\x1b]1337;File={arguments};preserveAspectRatio=1:{payload}\x07")
}

/// A PNG of the picture, at most as large as it fits, with transparent pixels to the right or below up to whole cells.
///
/// Terminals that stretch a picture to its cells (kitty does, Konsole always) then keep its aspect ratio.
fn png(picture: &RgbImage, fit: &Fit) -> Vec<u8> {
    let is_larger = picture.width() > fit.width || picture.height() > fit.height;
    let reduce = || imageops::resize(picture, fit.width, fit.height, FilterType::Lanczos3);
    let reduced = is_larger.then(reduce);
    let picture = DynamicImage::from(reduced.unwrap_or_else(|| picture.clone())).into_rgba8();
    let cell_width = Protocol::Kitty.cell_width();
    let width = (picture.width() * fit.columns * cell_width).div_ceil(fit.width);
    let height = (picture.height() * fit.rows * 2 * cell_width).div_ceil(fit.height);
    let mut canvas = RgbaImage::new(width, height);
    imageops::replace(&mut canvas, &picture, 0, 0);
    let mut bytes = Cursor::new(Vec::new());
    // Memory takes every write and the size is bounded. Were it to fail all the same, the lines would stay empty.
    let written = canvas.write_to(&mut bytes, ImageFormat::Png);
    written.map_or_else(|_| Vec::new(), |()| bytes.into_inner())
}

/// A DCS string: size and square pixels, a palette, then for each band of six pixel rows every colour's sixels.
///
/// `P2` is 1, which leaves pixels alone that a colour does not set, as Konsole needs for a second colour in a band.
fn sixel(picture: &RgbImage, fit: &Fit) -> String {
    let (width, height) = (fit.width, fit.height);
    let picture = imageops::resize(picture, width, height, FilterType::Lanczos3);
    let mut text = format!("\x1bP0;1;0q\"1;1;{width};{height}");
    for colour in 0..SIXEL_LEVELS.pow(3) {
        let percent = |place| colour / place % SIXEL_LEVELS * 100 / (SIXEL_LEVELS - 1);
        let [red, green, blue] = [SIXEL_LEVELS * SIXEL_LEVELS, SIXEL_LEVELS, 1].map(percent);
        let _ = write!(text, "#{colour};2;{red};{green};{blue}");
    }
    for top in (0..height).step_by(6) {
        let mut colours = BTreeMap::new();
        for (y, x) in (top..height.min(top + 6)).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let colour = colours.entry(dithered(*picture.get_pixel(x, y), x, y));
            colour.or_insert_with(|| vec![b'?'; width as usize])[x as usize] += 1 << (y - top);
        }
        text.push_str(if top > 0 { "-" } else { "" });
        for (colour, line) in colours {
            let _ = write!(text, "#{colour}");
            for run in line.chunk_by(|one, next| one == next) {
                // Up to three sixels are no longer than their count.
                if run.len() > 3 {
                    let _ = write!(text, "!{}{}", run.len(), char::from(run[0]));
                } else {
                    text.extend(run.iter().map(|sixel| char::from(*sixel)));
                }
            }
            text.push('$');
        }
    }
    text + "\x1b\\"
}

/// The palette's colour for a pixel, whose mean over 8 × 8 pixels is near theirs: ordered dithering (Bayer 1973).
fn dithered(pixel: Rgb<u8>, x: u32, y: u32) -> u32 {
    // The pixel's rank in the 8 × 8 matrix, whose recursion interleaves the bits of x ^ y and y, lowest first.
    let rank = (0..3).fold(0, |rank, bit| {
        let (x, y) = ((x >> bit) & 1, (y >> bit) & 1);
        (rank << 2) | ((x ^ y) << 1) | y
    });
    let threshold = (2 * rank + 1) * 255 / 128;
    let level = |value: u8| (u32::from(value) * (SIXEL_LEVELS - 1) + threshold) / 255;
    let [red, green, blue] = pixel.0.map(level);
    (red * SIXEL_LEVELS + green) * SIXEL_LEVELS + blue
}

/// Lines of upper half blocks: the upper pixel is the foreground, the lower one the background.
fn blocks(picture: &RgbImage, fit: &Fit) -> String {
    let picture = imageops::resize(picture, fit.width, fit.height, FilterType::Lanczos3);
    let mut text = String::new();
    for row in 0..fit.rows {
        for x in 0..fit.width {
            let Rgb([red, green, blue]) = picture.get_pixel(x, 2 * row);
            let _ = write!(text, "\x1b[38;2;{red};{green};{blue};");
            // A picture of odd height ends in the middle of a line.
            let _ = match picture.get_pixel_checked(x, 2 * row + 1) {
                Some(Rgb([red, green, blue])) => write!(text, "48;2;{red};{green};{blue}m▀"),
                None => write!(text, "49m▀"),
            };
        }
        text.push_str("\x1b[0m\n");
    }
    text
}

#[cfg(test)]
mod tests;
