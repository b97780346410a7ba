//! Bars that count, and the strokes of all bars.

use indicatif::{ProgressBar, ProgressStyle};

use crate::printer::Printer;

/// A bar that counts `length` steps of what is said; invisible where there are no bars. Clear it with
/// [`ProgressBar::finish_and_clear`].
pub fn counter(printer: &Printer, what: &str, length: u64) -> ProgressBar {
    counting(printer, what, length, "{prefix}  {bar:24}  {pos} of {len}")
}

/// The same of bytes.
pub fn byte_counter(printer: &Printer, what: &str, bytes: u64) -> ProgressBar {
    let template = "{prefix}  {bar:24}  {bytes} of {total_bytes}, {eta} left";
    counting(printer, what, bytes, template)
}

fn counting(printer: &Printer, what: &str, length: u64, template: &str) -> ProgressBar {
    let Some(bars) = printer.bars() else {
        return ProgressBar::hidden();
    };
    let bar = bars.add(ProgressBar::new(length));
    bar.set_style(style(template, printer));
    bar.set_prefix(what.to_owned());
    bar
}

/// A template, which is ours and so parses; with the strokes that all bars here have.
pub(super) fn style(template: &str, printer: &Printer) -> ProgressStyle {
    let template = if printer.colour() {
        template.replace("{bar:24}", "{bar:24.cyan/dim}")
    } else {
        template.to_owned()
    };
    ProgressStyle::with_template(&template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}
