//! Whether a picture file goes on to its end, for the formats whose decoders fill in what is missing.

use image::ImageFormat;

/// Whether the file holds the whole picture as far as its structure tells.
///
/// JPEG must have its end marker and WebP as many bytes as its header says; decoders of the other formats notice a
/// missing end themselves.
pub(super) fn is_whole(format: ImageFormat, bytes: &[u8]) -> bool {
    match format {
        ImageFormat::Jpeg => jpeg_has_end(bytes),
        ImageFormat::WebP => riff_has_end(bytes),
        _ => true,
    }
}

/// Walks the segments of a JPEG to its end marker (ITU-T T.81, annex B).
///
/// Searching the file for the marker's bytes would not do: cameras put a small JPEG of its own into the EXIF segment and
/// whole files behind the end.
fn jpeg_has_end(bytes: &[u8]) -> bool {
    const END_OF_IMAGE: u8 = 0xD9;
    let mut at = 2;
    loop {
        // The next marker: 0xFF and a byte that is neither a fill byte, a stuffed zero nor a restart.
        let Some(offset) = bytes.get(at..).and_then(|rest| {
            rest.windows(2)
                .position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0x00 | 0xFF | 0xD0..=0xD7))
        }) else {
            return false;
        };
        at += offset + 1;
        if bytes[at] == END_OF_IMAGE {
            return true;
        }
        let Some(&[high, low]) = bytes.get(at + 1..at + 3) else {
            return false;
        };
        at += 1 + usize::from(u16::from_be_bytes([high, low])).max(2);
    }
}

/// Whether there are as many bytes as the RIFF header says (RFC 9649, section 2.4).
fn riff_has_end(bytes: &[u8]) -> bool {
    let Some(&[a, b, c, d]) = bytes.get(4..8) else {
        return false;
    };
    bytes.len() as u64 >= 8 + u64::from(u32::from_le_bytes([a, b, c, d]))
}
