//! The Markdown of measurements, and its place in BENCHMARKS.md.

use std::path::Path;

use anyhow::Context as _;

/// Bytes in MiB, whole.
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.0}", bytes as f64 / f64::from(1 << 20))
}

/// A number with its thousands apart.
pub fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A table whose first column is words and whose others are numbers; none without rows.
pub fn table(headings: &[&str], rows: Vec<Vec<String>>) -> Option<String> {
    if rows.is_empty() {
        return None;
    }
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let rules = (0..headings.len()).map(|column| if column == 0 { ":--" } else { "--:" });
    let mut lines = vec![
        line(headings.iter().map(|&heading| heading.to_owned()).collect()),
        line(rules.map(str::to_owned).collect()),
    ];
    lines.extend(rows.into_iter().map(line));
    Some(lines.join("\n"))
}

/// Writes a section between the markers of what is measured by `make` and a command, over the one of an earlier run if there is
/// one.
///
/// # Errors
/// When the file cannot be read or written, or has only one of the markers.
pub fn put_section(path: &Path, command: &str, key: &str, section: &str) -> anyhow::Result<()> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "# Benchmarks\n".to_owned(),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let begin = format!("<!-- begin: make {command}, {key} -->");
    let end = format!("<!-- end: make {command}, {key} -->");
    let block = format!("{begin}\n{section}{end}");
    let text = match text.split_once(&begin) {
        Some((before, rest)) => {
            let (_, after) = rest.split_once(&end).with_context(|| format!("no {end}"))?;
            format!("{before}{block}{after}")
        }
        None => format!("{}\n\n{block}\n", text.trim_end()),
    };
    let partial = path.with_extension("md.part");
    std::fs::write(&partial, text)?;
    Ok(std::fs::rename(partial, path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_told_apart() {
        let texts = [0.4, 12.0, 999.6, 100_000.0, 1_234_567.0].map(grouped);
        assert_eq!(texts, ["0", "12", "1,000", "100,000", "1,234,567"]);
    }

    #[test]
    fn a_section_takes_the_place_of_the_last_one_of_its_kind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("BENCHMARKS.md");
        std::fs::write(
            &path,
            "# Benchmarks\n\n<!-- begin: make bench, x -->\nkept\n",
        )
        .unwrap();
        for (key, section) in [("a", "old\n"), ("b", "other\n"), ("a", "new\n")] {
            put_section(&path, "bench-x", key, section).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("old"), "{text}");
        assert!(text.find("kept") < text.find("new") && text.find("new") < text.find("other"));
        assert_eq!(text.matches("<!-- begin: make bench-x, ").count(), 2);

        std::fs::write(&path, "<!-- begin: make bench-x, a -->\nhalf\n").unwrap();
        assert!(put_section(&path, "bench-x", "a", "new\n").is_err());
    }
}
