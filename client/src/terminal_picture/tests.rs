//! What is shown is decoded again, by parsers of the protocols as their documents have them.

use super::Protocol::{Blocks, Iterm2, Kitty, Sixel};
use super::*;

const ALL: [Protocol; 4] = [Kitty, Iterm2, Sixel, Blocks];

/// A gradient with noise, so that neighbours differ and its PNG is long.
fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let noise = (x * 7919 + y * 104_729) % 31;
        Rgb([x * 200 / width, y * 200 / height, 128].map(|value| (value + noise) as u8))
    })
}

fn cells(columns: u16, rows: u16) -> Cells {
    Cells { columns, rows }
}

fn numbers(text: &str) -> Vec<u32> {
    let words = text.split(|it: char| !it.is_ascii_digit());
    words.filter_map(|it| it.parse().ok()).collect()
}

#[test]
fn words_name_protocols() {
    let error = "Kitty".parse::<Protocol>().unwrap_err().to_string();
    assert!(error.starts_with("\"Kitty\" is no way"), "{error}");
    for protocol in ALL {
        assert_eq!(protocol.to_string().parse(), Ok(protocol));
        assert!(error.contains(&protocol.to_string()), "{error}");
    }
}

#[test]
fn terminals_are_known_by_their_variables() {
    for (variables, expected) in [
        ("TERM=xterm-256color", Blocks),
        ("TERM=xterm-kitty", Kitty),
        ("TERM=xterm-ghostty TERM_PROGRAM=ghostty", Kitty),
        ("TERM=xterm-256color KITTY_WINDOW_ID=1", Kitty),
        ("TERM=foot-extra KITTY_WINDOW_ID=1", Sixel),
        ("TERM=mlterm-256color", Sixel),
        ("TERM=contour", Sixel),
        ("TERM=yaft-sixel", Sixel),
        ("TERM=xterm-256color TERM_PROGRAM=iTerm.app", Iterm2),
        ("TERM=xterm-256color TERM_PROGRAM=WezTerm", Iterm2),
        ("TERM=xterm TERM_PROGRAM=mintty", Iterm2),
        ("TERM=xterm-256color LC_TERMINAL=iTerm2", Iterm2),
        ("TERM_PROGRAM=vscode KITTY_WINDOW_ID=1", Blocks),
        ("TERM_PROGRAM=vscode LC_TERMINAL=iTerm2", Blocks),
        ("TERM=xterm-256color KONSOLE_VERSION=220400", Kitty),
        ("TERM=xterm-256color KONSOLE_VERSION=211203", Blocks),
        ("TERM=xterm-kitty TMUX=/tmp/tmux-1000/default,1,0", Blocks),
        ("TERM=xterm-kitty STY=1.pts-0", Blocks),
        ("TERM=xterm-kitty NVIM=/run/nvim.0", Blocks),
        ("TERM=tmux-256color LC_TERMINAL=iTerm2", Blocks),
        ("TERM=dumb KITTY_WINDOW_ID=1", Blocks),
    ] {
        let found = Protocol::detect(|name| {
            let values = |it: &str| Some(it.strip_prefix(name)?.strip_prefix('=')?.to_owned());
            variables.split(' ').find_map(values)
        });
        assert_eq!(found, expected, "{variables}");
    }
}

#[test]
fn pictures_keep_their_aspect_ratio_and_stay_in_the_box() {
    for (width, height, within, expected) in [
        (200, 100, cells(80, 40), (80, 20)),
        (100, 200, cells(80, 40), (40, 40)),
        (4000, 3000, cells(40, 24), (40, 15)),
        (1, 1, cells(80, 24), (48, 24)),
        (1, 1, cells(1, 1), (1, 1)),
        (5000, 1, cells(80, 24), (80, 1)),
        (1, 5000, cells(80, 24), (1, 24)),
        (3, 2, cells(0, 0), (1, 1)),
        (1, 1, cells(u16::MAX, u16::MAX), (400, 200)),
    ] {
        let picture = RgbImage::new(width, height);
        for protocol in ALL {
            let fit = Fit::new(&picture, protocol, within).unwrap();
            let found = (fit.columns, fit.rows);
            assert_eq!(found, expected, "{width} × {height}, {protocol}");
            // One side fills the box, and the other is its exact length but for a pixel.
            let ratio = f64::from(width) / f64::from(height);
            let (width, height) = (f64::from(fit.width), f64::from(fit.height));
            let error = (width / ratio - height)
                .abs()
                .min((height * ratio - width).abs());
            assert!(error <= 1.0, "{width} × {height}, {protocol}");
        }
    }
    for nothing in [RgbImage::new(0, 9), RgbImage::new(9, 0)] {
        assert_eq!(rows(&nothing, Sixel, cells(9, 9)), 0);
        assert_eq!(show(&nothing, Sixel, cells(9, 9), 1), "");
    }
}

/// Row and column of the cursor after the text, in a terminal that leaves it astray after each picture.
fn cursor_after(text: &str) -> (u32, u32) {
    let (mut row, mut column, mut saved) = (0, 0, (0, 0));
    // With the first text taken for the end of a colour's sequence, each part begins with a sequence.
    for part in format!("[m{text}").split('\x1b') {
        let is_last = |it: char| it.is_alphabetic() || !part.starts_with('[');
        let (sequence, plain) = part.split_at(part.find(is_last).unwrap() + 1);
        match sequence.as_bytes() {
            b"7" => saved = (row, column),
            b"8" => (row, column) = saved,
            [.., b'A'] => row -= numbers(sequence)[0],
            [.., b'B'] => row += numbers(sequence)[0],
            [.., b'm'] | b"\\" => {}
            _ => (row, column) = (row + 77, column + 7),
        }
        let lines = plain.rsplit_once('\n').map(|(_, last)| (0, last));
        let (left, last) = lines.unwrap_or((column, plain));
        row += plain.matches('\n').count() as u32;
        column = left + last.chars().count() as u32;
    }
    (row, column)
}

#[test]
fn the_cursor_ends_at_the_left_of_the_line_below() {
    for protocol in ALL {
        for (width, height) in [(90, 50), (7, 31), (1, 1)] {
            let (picture, within) = (picture(width, height), cells(20, 9));
            let text = show(&picture, protocol, within, 3);
            let rows = rows(&picture, protocol, within);
            assert_eq!(cursor_after(&text), (rows.into(), 0), "{protocol}, {width}");
            assert_eq!(text.matches('\n').count(), usize::from(rows), "{protocol}");
        }
    }
}

/// The opaque part of a PNG, which is to be of this size and to have nothing around it.
fn unpadded(png: &[u8], width: u32, height: u32) -> RgbImage {
    let canvas = image::load_from_memory(png).unwrap().into_rgba8();
    for (x, y, pixel) in canvas.enumerate_pixels() {
        assert_eq!(pixel.0[3] == 255, x < width && y < height, "{x}, {y}");
    }
    let picture = imageops::crop_imm(&canvas, 0, 0, width, height).to_image();
    DynamicImage::from(picture).into_rgb8()
}

#[test]
fn kitty_gets_a_png_in_chunks() {
    let picture = picture(150, 100);
    let text = show(&picture, Kitty, cells(20, 9), 42);
    let chunks = text.split('\x1b').filter_map(|it| it.strip_prefix("_G"));
    let (keys, payloads): (Vec<_>, Vec<_>) = chunks.filter_map(|it| it.split_once(';')).unzip();
    let (first, others) = keys.split_first().unwrap();
    assert_eq!(*first, "a=T,f=100,i=42,p=1,c=20,r=7,C=1,q=2,m=1");
    let (last, others) = others.split_last().unwrap();
    assert!(*last == "q=2,m=0" && others.iter().all(|keys| *keys == "q=2,m=1"));
    let (last, others) = payloads.split_last().unwrap();
    assert!(last.len() <= 4096 && others.iter().all(|payload| payload.len() == 4096));
    let png = STANDARD.decode(payloads.concat()).unwrap();
    assert_eq!(unpadded(&png, 150, 100), picture);
    // 20 columns of 7.5 pixels are 150, so 7 rows of 15 are 105.
    assert_eq!(image::load_from_memory(&png).unwrap().height(), 105);
    let small = show(&picture, Kitty, cells(1, 1), 0);
    assert!(small.contains("_Ga=T,f=100,i=1,p=1,c=1,r=1,C=1,q=2,m=0;"));
}

#[test]
fn iterm2_gets_a_file() {
    let picture = picture(600, 60);
    let text = show(&picture, Iterm2, cells(20, 9), 1);
    let mut parts = text.split('\x1b');
    let file = parts.find_map(|it| it.strip_prefix("]1337;File=")?.strip_suffix('\x07'));
    let (arguments, payload) = file.unwrap().split_once(':').unwrap();
    let png = STANDARD.decode(payload).unwrap();
    let size = png.len();
    let expected = format!("inline=1;size={size};width=20;height=1;preserveAspectRatio=1");
    assert_eq!(arguments, expected);
    let reduced = imageops::resize(&picture, 400, 40, FilterType::Lanczos3);
    assert_eq!(unpadded(&png, 400, 40), reduced);
}

/// Draws sixels, and sees to it that each pixel is set once.
fn sixel_pixels(text: &str) -> RgbImage {
    let data = text.split('\x1b').find_map(|it| it.strip_prefix("P0;1;0q"));
    let (mut pixels, mut drawn, mut palette) = (RgbImage::new(0, 0), 0, BTreeMap::new());
    let (mut x, mut y, mut colour, mut repeat, mut rest) = (0, 0, 0, 1, data.unwrap());
    while let Some(command) = rest.chars().next() {
        let end = rest[1..].find(|it: char| !it.is_ascii_digit() && it != ';');
        let (parameters, after) = rest[1..].split_at(end.unwrap_or(rest.len() - 1));
        match (command, numbers(parameters).as_slice()) {
            ('"', [1, 1, width, height]) => pixels = RgbImage::new(*width, *height),
            ('#', [number]) => colour = *number,
            ('#', [number, 2, percents @ ..]) => {
                let bytes: Vec<u8> = percents.iter().map(|it| (it * 255 / 100) as u8).collect();
                let bytes: [u8; 3] = bytes.try_into().unwrap();
                assert!(*number < 256 && palette.insert(*number, Rgb(bytes)).is_none());
            }
            ('!', [count]) => repeat = *count,
            ('$', []) => x = 0,
            ('-', []) => (x, y) = (0, y + 6),
            ('?'..='~', []) => {
                let bits = (0..6).filter(|bit| (command as u32 - 63) >> bit & 1 == 1);
                for (bit, x) in bits.flat_map(|bit| (x..x + repeat).map(move |x| (bit, x))) {
                    pixels.put_pixel(x, y + bit, palette[&colour]);
                    drawn += 1;
                }
                (x, repeat) = (x + repeat, 1);
            }
            _ => panic!("{command}{parameters}"),
        }
        rest = after;
    }
    assert_eq!(drawn, pixels.width() * pixels.height());
    pixels
}

#[test]
fn sixels_are_near_the_picture() {
    // As large as the box, so nothing is resized; 100 is no multiple of 6.
    let (picture, within) = (picture(200, 100), cells(20, 5));
    let found = sixel_pixels(&show(&picture, Sixel, within, 1));
    assert_eq!(found.dimensions(), (200, 100));
    // Levels are 51 apart, and dithering takes one of the two beside the value.
    let mut values = picture.as_raw().iter().zip(found.as_raw());
    assert!(values.all(|(value, found)| value.abs_diff(*found) <= 51));
    // Of one colour, 8 × 8 pixels have 64 steps between two levels, so their mean is within one.
    for colour in [[0, 255, 51], [100, 150, 33], [254, 1, 77]] {
        let flat = RgbImage::from_pixel(200, 100, Rgb(colour));
        let text = show(&flat, Sixel, within, 1);
        // Only a colour of the palette fills whole lines.
        let is_exact = colour.iter().all(|value| value % 51 == 0);
        assert_eq!(text.contains("!200~"), is_exact, "{colour:?}");
        let found = sixel_pixels(&text);
        let tile = imageops::crop_imm(&found, 0, 0, 8, 8).to_image();
        for (channel, value) in colour.into_iter().enumerate() {
            let sum: u32 = tile.pixels().map(|pixel| u32::from(pixel.0[channel])).sum();
            assert!(sum.abs_diff(64 * u32::from(value)) <= 64, "{colour:?}");
        }
    }
}

#[test]
fn blocks_hold_two_pixels() {
    let picture = picture(8, 5);
    let text = show(&picture, Blocks, cells(8, 9), 1);
    let mut found = RgbImage::new(8, 5);
    let rgb = |codes: &[u32]| Rgb([0, 1, 2].map(|channel| codes[channel] as u8));
    for (row, line) in (0..).zip(text.lines()) {
        let (line, end) = line.rsplit_once('▀').unwrap();
        assert_eq!(end, "\x1b[0m");
        for (x, cell) in (0..).zip(line.split('▀')) {
            match numbers(cell).as_slice() {
                [38, 2, colours @ .., 49] if row == 2 => found.put_pixel(x, 4, rgb(colours)),
                [38, 2, colours @ ..] if colours[3..5] == [48, 2] => {
                    found.put_pixel(x, 2 * row, rgb(colours));
                    found.put_pixel(x, 2 * row + 1, rgb(&colours[5..]));
                }
                _ => panic!("{cell:?}"),
            }
        }
    }
    assert_eq!(found, picture);
}
