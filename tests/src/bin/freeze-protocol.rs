//! Writes the protocol of this version into `proto/released/`, as that which later versions must understand.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use atelier_proto::v1::FILE_DESCRIPTOR_SET;
use atelier_proto::version::Release;
use prost::Message as _;
use prost_types::FileDescriptorSet;

fn main() -> anyhow::Result<()> {
    let mut protocol = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET)?;
    // What others define is theirs to keep.
    protocol
        .file
        .retain(|file| file.package().starts_with("atelier."));
    for file in &mut protocol.file {
        // Comments and places in the files, which say nothing about the wire.
        file.source_code_info = None;
    }
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../proto/released"));
    let Release { major, minor, .. } = Release::own();
    let path = folder.join(format!("{major}.{minor}.binpb"));
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(&path, protocol.encode_to_vec()))
        .with_context(|| format!("cannot write {}", path.display()))?;
    writeln!(std::io::stdout(), "{}", path.display())?;
    Ok(())
}
