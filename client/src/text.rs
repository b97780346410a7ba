//! Small habits of wording.

use std::fmt::Display;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// What a terminal can safely show of a name that anybody may have made up: control characters, which
/// could move the cursor or recolour the screen, become `�`.
pub fn printable(text: &str) -> String {
    shown(text, "")
}

/// The same of a text that has lines.
pub fn printable_lines(text: &str) -> String {
    shown(text, "\n\t")
}

/// The text, with those control characters that are wanted.
fn shown(text: &str, wanted: &str) -> String {
    let plain = |character: char| {
        // The second group reorders the text around it.
        let is_unsafe = character.is_control()
            || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if is_unsafe && !wanted.contains(character) {
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

/// The first line of what is told of an error, without its hint.
pub fn first_line(error: &impl Display) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

/// The lines of a log, indented below what they are of, safe to show.
pub fn log_lines(log: &str) -> impl Iterator<Item = String> {
    let lines = log.lines();
    lines.map(|line| format!("  {}", printable(&line.replace('\t', "    "))))
}

/// Indented lines, one for each item, and how many more there are than `items_max`.
pub fn listed<Item>(items: &[Item], items_max: usize, line: impl Fn(&Item) -> String) -> String {
    let told = items.iter().take(items_max);
    let mut lines: Vec<String> = told.map(|item| format!("  {}", line(item))).collect();
    if items.len() > items_max {
        lines.push(format!("  and {} more", items.len() - items_max));
    }
    lines.join("\n")
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

/// A duration that is only estimated: `3 s`, `4 min 10 s`, `2 h 5 min`.
pub fn rough_duration(rough: Duration) -> String {
    match rough.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        _ => duration(rough),
    }
}

/// How long ago something was: `3 s ago`, `4 min ago`, `2 h ago`, `3 days ago`.
pub fn ago(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86_400 => format!("{} h ago", seconds / 3600),
        _ => format!("{} ago", counted((seconds / 86_400) as usize, "day")),
    }
}

/// A time in a zone, to the minute: `2026-06-01 10:00`.
pub fn local_time(time: Timestamp, zone: &TimeZone) -> String {
    let there = time.to_zoned_datetime(zone.clone());
    there.strftime("%Y-%m-%d %H:%M").to_string()
}

/// US dollars: `$1.25`; what is less than a cent and not nothing is `<$0.01`.
pub fn dollars(dollars: f64) -> String {
    if dollars > 0.0 && dollars < 0.01 {
        "<$0.01".to_owned()
    } else {
        format!("${dollars:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sums_are_as_short_as_people_say_them() {
        let told = [0, 59, 60, 3599, 3600, 86_399, 86_400, 300_000].map(Duration::from_secs);
        assert_eq!(
            told.map(ago),
            [
                "0 s ago",
                "59 s ago",
                "1 min ago",
                "59 min ago",
                "1 h ago",
                "23 h ago",
                "1 day ago",
                "3 days ago"
            ]
        );
        let told = [0, 59, 250, 7500].map(Duration::from_secs);
        let rough = ["0 s", "59 s", "4 min 10 s", "2 h 5 min"];
        assert_eq!(told.map(rough_duration), rough);
        let told = [0.0, 0.0099, 0.01, 2.5, 1234.567].map(dollars);
        assert_eq!(told, ["$0.00", "<$0.01", "$0.01", "$2.50", "$1234.57"]);
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        assert_eq!(printable("a\x1b[31m\nb\u{202e}é🎨"), "a�[31m�b�é🎨");
    }

    #[test]
    fn what_is_too_much_to_list_is_counted() {
        let told = |items_max| listed(&["a", "b", "c"], items_max, ToString::to_string);
        assert_eq!(told(3), "  a\n  b\n  c");
        assert_eq!(told(1), "  a\n  and 2 more");
    }

    #[test]
    fn what_is_short_enough_stays() {
        assert_eq!(shortened("Sisley", 6), "Sisley");
        assert_eq!(shortened("Cézanne", 6), "Cézan…");
    }
}
