//! Tables and lists of facts, as terminals and `awk` like them: no lines, columns two spaces apart.

use comfy_table::{CellAlignment, Table, TableStyle};

/// A table without lines.
pub fn plain_table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_header(headings);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
        column.set_cell_alignment(CellAlignment::Left);
    }
    table
}

/// What there is to say of something, a line for each fact behind what it is of; those that are unknown or empty are left out.
/// A fact of several lines stands below itself.
pub fn facts<const COUNT: usize>(facts: [(&str, Option<String>); COUNT]) -> String {
    let width = facts.iter().map(|(what, _)| what.len()).max();
    let width = width.unwrap_or_default();
    let indent = format!("\n{:width$}", "", width = width + 2);
    let known = facts.into_iter().filter_map(|(what, fact)| {
        let fact = fact.filter(|fact| !fact.is_empty())?;
        Some(format!("{what:<width$}  {}", fact.replace('\n', &indent)))
    });
    known.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_stand_below_one_another_and_the_unknown_are_left_out() {
        let told = facts([
            ("cost", Some("$0.12".to_owned())),
            ("time left", None),
            ("labels", Some(String::new())),
            ("because", Some("one\nanother".to_owned())),
        ]);
        assert_eq!(told, "cost       $0.12\nbecause    one\n           another");
    }
}
