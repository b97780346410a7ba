//! "Did you mean": the nearest known word to one that is not known.

/// The known word nearest to `word`, if one is near enough to be worth naming: by Jaro–Winkler similarity, over 0.75.
///
/// ```
/// use atelier_proto::suggest::nearest;
///
/// assert_eq!(nearest("sise", ["size", "seed"]), Some("size"));
/// assert_eq!(nearest("colour", ["size", "seed"]), None);
/// ```
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.75)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, candidate)| candidate)
}

/// The sentence that names the nearest known word, or else all of them.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(word, known.clone()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None => format!(
            "known are: {}",
            known.into_iter().collect::<Vec<_>>().join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_named_and_a_far_one_is_not() {
        let known = ["content_weight", "style_weight", "size"];
        assert_eq!(nearest("contentweight", known), Some("content_weight"));
        assert_eq!(nearest("sise", known), Some("size"));
        assert_eq!(nearest("zzz", known), None);
        assert_eq!(
            did_you_mean("zzz", known),
            "known are: content_weight, style_weight, size"
        );
    }
}
