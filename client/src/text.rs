//! Small habits of wording.

use std::time::Duration;

/// What a terminal can safely show of a name that anybody may have made up: control characters, which
/// could move the cursor or recolour the screen, become `�`.
pub fn printable(text: &str) -> String {
    let plain = |character: char| {
        // The second group reorders the text around it.
        let is_unsafe = character.is_control()
            || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if is_unsafe {
            char::REPLACEMENT_CHARACTER
        } else {
            character
        }
    };
    text.chars().map(plain).collect()
}

/// The text, or its beginning and `…`, in at most `characters_max` characters.
pub fn shortened(text: &str, characters_max: usize) -> String {
    if text.chars().count() <= characters_max {
        return text.to_owned();
    }
    let kept = characters_max.saturating_sub(1);
    text.chars().take(kept).chain(['…']).collect()
}

/// A count with its noun: `1 cell`, `4 cells`.
pub fn counted(count: usize, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

/// A duration for people: `3.2 s`, `4 min 10 s`, `2 h 5 min`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        assert_eq!(printable("a\x1b[31m\nb\u{202e}é🎨"), "a�[31m�b�é🎨");
    }

    #[test]
    fn what_is_short_enough_stays() {
        assert_eq!(shortened("Sisley", 6), "Sisley");
        assert_eq!(shortened("Cézanne", 6), "Cézan…");
    }
}
