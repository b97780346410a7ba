//! Whether a picture file goes on to its end, for the formats whose decoders fill in what is missing.

use image::ImageFormat;

use super::jpeg;

/// Whether the file holds the whole picture as far as its structure tells.
///
/// JPEG must have its end marker and WebP as many bytes as its header says; decoders of the other formats notice a
/// missing end themselves.
pub(super) fn is_whole(format: ImageFormat, bytes: &[u8]) -> bool {
    match format {
        ImageFormat::Jpeg => jpeg::has_end(bytes),
        ImageFormat::WebP => riff_has_end(bytes),
        _ => true,
    }
}

/// Whether there are as many bytes as the RIFF header says (RFC 9649, section 2.4).
fn riff_has_end(bytes: &[u8]) -> bool {
    let Some(&[a, b, c, d]) = bytes.get(4..8) else {
        return false;
    };
    bytes.len() as u64 >= 8 + u64::from(u32::from_le_bytes([a, b, c, d]))
}
