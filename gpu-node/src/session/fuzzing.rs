//! Leased cells from a coordinator of whatever version.

use atelier_proto::v1;
use prost::Message as _;

use super::leased::LeasedCell;

/// The largest `size`, pixels.
const SIDE_PIXELS_MAX: u32 = 8_192;

/// A leased cell is parsed, into a picture of at least one pixel and at most as many as a size may ask for, or refused.
///
/// # Panics
/// Where that is not so.
pub fn leased_cell(bytes: &[u8]) {
    let Ok(message) = v1::LeasedCell::decode(bytes) else {
        return;
    };
    let Ok(cell) = LeasedCell::parse(message) else {
        return;
    };
    let canvas = cell.canvas();
    let sides = 1..=SIDE_PIXELS_MAX;
    assert!(
        sides.contains(&canvas.width) && sides.contains(&canvas.height),
        "{canvas:?}"
    );
    assert!(cell.photo.is_some() || !cell.paintings.is_empty());
    let keys = &cell.keys;
    let optional = [
        &keys.large_thumbnail,
        &keys.photo_original,
        &keys.artist_original,
        &keys.checkpoint,
        &keys.preview,
    ];
    assert!(optional.into_iter().flatten().all(|key| !key.is_empty()));
}

/// What a fuzzer begins with.
#[cfg(test)]
pub(crate) fn seeds() -> [(String, Vec<u8>); 1] {
    let mut cell = super::leased::tests::cell();
    cell.grid_id = "0190b7a8-5f6e-7c3d-8a2b-1c0d9e8f7a6b".to_owned();
    cell.cell_id = format!("{}/3", cell.grid_id);
    [("transfer".to_owned(), cell.encode_to_vec())]
}
