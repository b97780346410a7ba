//! Checkpoints from anywhere.

use tch::Device;

use super::Checkpoint;

/// A checkpoint that is read is the same once it was written and read again, and has a state or is refused.
///
/// # Panics
/// Where that is not so.
pub fn checkpoint(bytes: &[u8]) {
    let Ok(checkpoint) = Checkpoint::from_bytes(bytes) else {
        return;
    };
    let written = match checkpoint.to_bytes() {
        Ok(written) => written,
        Err(error) => panic!("what was read cannot be written: {error}"),
    };
    // By what is shown, because no NaN is itself.
    let again = Checkpoint::from_bytes(&written).map(|again| format!("{again:?}"));
    assert_eq!(again.ok(), Some(format!("{checkpoint:?}")));
    drop(checkpoint.state(Device::Cpu));
}

/// What a fuzzer begins with.
#[cfg(test)]
pub(crate) fn seeds() -> [(String, Vec<u8>); 2] {
    use std::collections::HashMap;

    use safetensors::tensor::TensorView;
    use safetensors::{Dtype, serialize};

    let file = |optimiser: &[&str], best_loss: &str| {
        let said = [
            ("format", "atelier checkpoint 2"),
            (
                "job",
                "0000000000000000000000000000000000000000000000000000000000000001",
            ),
            ("scale", "1"),
            ("evaluations_of_scale", "20"),
            ("evaluations", "120"),
            ("seconds", "1.5"),
            ("best_loss", best_loss),
            ("since_best", "3"),
            ("recoveries", "0"),
            ("bests", "2.5 1.25"),
        ];
        let said = said.map(|(key, text)| (key.to_owned(), text.to_owned()));
        let values = [0_u8; 3 * 2 * 2 * 4];
        let names = ["image", "best"].iter().chain(optimiser);
        let views = names.map(|name| {
            let view = TensorView::new(Dtype::F32, vec![1, 3, 2, 2], &values);
            (name.to_string(), view.unwrap())
        });
        serialize(views, Some(HashMap::from(said))).unwrap()
    };
    [
        (
            "lbfgs.safetensors".to_owned(),
            file(&["optimiser.steps", "optimiser.scale"], "1.25"),
        ),
        ("no-loss.safetensors".to_owned(), file(&[], "NaN")),
    ]
}
