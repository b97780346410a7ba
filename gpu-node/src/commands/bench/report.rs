//! What `atelier-node bench` answers, for people and for programs.

use atelier_proto::settings::RenderSettings;
use comfy_table::{CellAlignment, Table, TableStyle};
use serde::Serialize;

use crate::render::{Peak, Peaks, Renderer};

/// A batch that was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct BatchReport {
    /// Pictures in it.
    pub(super) batch: u32,
    /// From the jobs to the pictures, targets included.
    pub(super) seconds: f64,
    pub(super) seconds_per_cell: f64,
    pub(super) cells_per_hour: f64,
    /// Of the whole batch.
    pub(super) milliseconds_per_evaluation: f64,
    /// Of convolutions; a multiply-add is two.
    pub(super) operations_per_second: f64,
    /// The most that the process held, or that was taken of the GPU beyond the network.
    pub(super) memory_bytes: u64,
    /// The most that was taken beyond program and network, shared by the pictures.
    pub(super) memory_bytes_per_picture: u64,
    /// Mean of the pictures' losses.
    pub(super) loss: f64,
}

/// Everything that was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Report {
    version: &'static str,
    network: String,
    device: String,
    /// In which numbers it convolves, but for the last evaluations.
    precision: &'static str,
    settings: RenderSettings,
    /// Operations a second on arithmetic alone.
    pub(super) peaks: Option<Peaks>,
    pub(super) batches: Vec<BatchReport>,
    /// Batches that did not fit into the memory.
    pub(super) batches_too_large: Vec<u32>,
}

impl Report {
    /// Of a renderer, with nothing measured.
    pub(super) fn new(renderer: &Renderer, settings: RenderSettings) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            network: renderer.network().to_owned(),
            device: renderer.device().to_owned(),
            precision: renderer.precision(),
            settings,
            peaks: None,
            batches: Vec::new(),
            batches_too_large: Vec::new(),
        }
    }

    /// The yardstick: what the device reaches in the numbers that it convolves in.
    fn peak(&self) -> Option<Peak> {
        let peaks = self.peaks?;
        Some(peaks.bfloat16.unwrap_or(peaks.float32))
    }

    /// One line of JSON, with each batch's shares of the peaks.
    pub(super) fn to_json(&self) -> Result<String, std::io::Error> {
        let mut value = serde_json::to_value(self)?;
        if let (Some(peak), Some(batches)) = (self.peak(), value["batches"].as_array_mut()) {
            for (batch, measured) in batches.iter_mut().zip(&self.batches) {
                let speed = measured.operations_per_second;
                batch["share_of_convolution"] = (speed / peak.convolution).into();
                batch["share_of_matrix_product"] = (speed / peak.matrix_product).into();
            }
        }
        Ok(value.to_string())
    }

    /// A few lines and a table.
    pub(super) fn to_words(&self) -> String {
        let settings = &self.settings;
        let mut lines = vec![
            format!("{} on {}, {}", self.network, self.device, self.precision),
            format!(
                "{} px, {} evaluations a picture",
                settings.size,
                settings.evaluations_planned()
            ),
        ];
        if let Some(peaks) = self.peaks {
            let kinds = [
                ("float32", Some(peaks.float32)),
                ("bfloat16", peaks.bfloat16),
            ];
            for (name, peak) in kinds {
                let Some(peak) = peak else { continue };
                lines.push(format!(
                    "large convolution {} TFLOP/s, matrix product {} TFLOP/s in {name}",
                    tera(peak.convolution),
                    tera(peak.matrix_product)
                ));
            }
        }
        lines.push(String::new());
        lines.push(self.table().trim_fmt());
        for batch in &self.batches_too_large {
            lines.push(format!("a batch of {batch} does not fit into the memory"));
        }
        lines.join("\n")
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(TableStyle::new()).set_header([
            "BATCH",
            "CELLS/H",
            "S/CELL",
            "MS/EVALUATION",
            "TFLOP/S",
            "OF CONVOLUTION",
            "OF PRODUCT",
            "PEAK MIB",
            "MIB/PICTURE",
            "LOSS",
        ]);
        for batch in &self.batches {
            let speed = batch.operations_per_second;
            let share = |of: fn(Peak) -> f64| {
                self.peak().map_or_else(String::new, |peak| {
                    format!("{:.0} %", 100.0 * speed / of(peak))
                })
            };
            table.add_row([
                batch.batch.to_string(),
                format!("{:.0}", batch.cells_per_hour),
                format!("{:.2}", batch.seconds_per_cell),
                format!("{:.1}", batch.milliseconds_per_evaluation),
                tera(speed),
                share(|peak| peak.convolution),
                share(|peak| peak.matrix_product),
                (batch.memory_bytes >> 20).to_string(),
                (batch.memory_bytes_per_picture >> 20).to_string(),
                format!("{:.4e}", batch.loss),
            ]);
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

/// Operations a second in millions of millions: three digits that count.
fn tera(operations: f64) -> String {
    let tera = operations / 1e12;
    match tera {
        ..10.0 => format!("{tera:.2}"),
        ..100.0 => format!("{tera:.1}"),
        _ => format!("{tera:.0}"),
    }
}
