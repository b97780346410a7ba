//! One batch of a size that somebody else chose: for measuring what batches cost.

use super::rows::Row;
use super::{RenderError, RenderJob, Rendered, Renderer, Watch};

impl Renderer {
    /// Renders the jobs in one batch, whatever size measurement would choose; the results come in their order. None:
    /// they cannot share one, because they are not alike or so many do not fit into the memory at once.
    ///
    /// # Errors
    /// The first that any job would bring in [`Renderer::render_all`].
    pub fn render_at_once(
        &mut self,
        jobs: &[RenderJob],
        watch: &mut dyn Watch,
    ) -> Result<Option<Vec<Rendered>>, RenderError> {
        let rows = jobs
            .iter()
            .enumerate()
            .map(|(number, job)| self.row(number, job));
        let rows = rows.collect::<Result<Vec<_>, RenderError>>()?;
        let rows: Vec<&Row<'_>> = rows.iter().collect();
        let Some(first) = rows.first() else {
            return Ok(Some(Vec::new()));
        };
        let shared = first.shared();
        if rows.iter().any(|row| row.shared() != shared) {
            return Ok(None);
        }
        // One alone always fits: it is cut into tiles if need be.
        if rows.len() > 1 && rows.len() > self.fits(&rows) as usize {
            return Ok(None);
        }
        match self.render_batch(&rows, self.memory, true, watch) {
            Ok(results) => results.into_iter().collect::<Result<_, _>>().map(Some),
            Err(error) if error.is_lack_of_memory() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
