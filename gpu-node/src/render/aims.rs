//! What the rows of a batch are to come near at one layer, and how far they are from it.

use atelier_proto::settings::LossKind;
use tch::{TchError, Tensor};

use super::statistics::{Agreement, Moments, Wanted, by_row, mean_square, single};
use super::tiles::Window;

/// What features of one layer are to come near.
#[derive(Debug)]
pub(super) struct Aim {
    pub(super) content: Option<ContentAim>,
    /// One for each region of the picture that has paintings of its own; one in all without masks.
    pub(super) style: Vec<StyleAim>,
    pub(super) loss: LossKind,
}

/// Where things are to be.
#[derive(Debug)]
pub(super) struct ContentAim {
    /// The photo's features (published formulas) or their structure (`Relative`), `[batch, channels, height, width]`.
    pub(super) value: Tensor,
    /// What the distance counts, `[batch]`.
    pub(super) factor: Tensor,
    /// What is known of a structure beforehand; none for features.
    pub(super) wanted: Option<Wanted>,
}

/// Which features are to occur together in a region.
#[derive(Debug)]
pub(super) struct StyleAim {
    /// Where the region is, `[batch, 1, height, width]` in 0..=1; none: everywhere.
    pub(super) guidance: Option<Tensor>,
    /// Positions in the region, `[batch, 1, 1]`.
    pub(super) positions: Tensor,
    /// What [`Moments::statistics`] is to be.
    pub(super) parts: Vec<Part>,
}

/// A statistic with what the mean squared distance from it counts.
#[derive(Debug)]
pub(super) struct Part {
    /// `[batch, …]`.
    pub(super) value: Tensor,
    /// `[batch]`.
    pub(super) factor: Tensor,
}

/// Weighted distances of one layer, `[batch]` each.
#[derive(Debug)]
pub(super) struct Distances {
    pub(super) content: Option<Tensor>,
    pub(super) style: Option<Tensor>,
}

impl Aim {
    /// Sums over the positions of features, `[batch, channels, …]`, that lie at `window` of the whole layer; sums of
    /// windows that cut a layer into parts add up, entry by entry, to those of the whole.
    pub(super) fn sums(&self, features: &Tensor, window: &Window) -> Result<Vec<Tensor>, TchError> {
        let mut sums = Vec::new();
        if let Some(content) = &self.content {
            let value = window.of(&content.value)?;
            let features = &single(features)?;
            if content.wanted.is_some() {
                let agreement = Agreement::of(features, &value)?;
                sums.extend([agreement.first, agreement.square, agreement.cross]);
            } else {
                let squares = features.f_sub(&value)?.f_square()?.f_flatten(1, -1)?;
                sums.push(by_row(&squares, |row| {
                    row.f_sum_dim_intlist(1, false, None)
                })?);
            }
        }
        for region in &self.style {
            let guidance = region.guidance.as_ref();
            let guidance = guidance.map(|guidance| window.of(guidance)).transpose()?;
            let moments = Moments::of(features, guidance.as_ref(), self.loss)?;
            sums.push(moments.second);
            sums.extend(moments.first);
        }
        Ok(sums)
    }

    /// How far features are with the given sums of the whole layer.
    pub(super) fn distances(&self, sums: &[Tensor]) -> Result<Distances, TchError> {
        let mut sums = sums.iter();
        let mut next = || {
            sums.next()
                .map(Tensor::shallow_clone)
                .ok_or_else(|| TchError::Shape("sums of another layer".to_owned()))
        };
        let content = match &self.content {
            None => None,
            Some(content) => {
                let distance = if let Some(wanted) = &content.wanted {
                    let agreement = Agreement {
                        first: next()?,
                        square: next()?,
                        cross: next()?,
                    };
                    agreement.distance(wanted)?
                } else {
                    let values: i64 = content.value.size().iter().skip(1).product();
                    next()?.f_div_scalar(values as f64)?
                };
                Some(distance.f_mul(&content.factor)?)
            }
        };
        let mut style: Option<Tensor> = None;
        for region in &self.style {
            let moments = Moments {
                second: next()?,
                first: match self.loss {
                    LossKind::Relative => Some(next()?),
                    LossKind::Gatys | LossKind::NeuralStyle => None,
                },
            };
            let statistics = moments.statistics(&region.positions, self.loss)?;
            for (statistic, part) in statistics.iter().zip(&region.parts) {
                let distance = mean_square(&statistic.f_sub(&part.value)?)?.f_mul(&part.factor)?;
                style = Some(match style {
                    None => distance,
                    Some(sum) => sum.f_add(&distance)?,
                });
            }
        }
        Ok(Distances { content, style })
    }

    /// The aims of several batches as those of one. All have the same kinds of aims.
    pub(super) fn together(aims: &[&Self]) -> Result<Option<Self>, TchError> {
        let Some(first) = aims.first() else {
            return Ok(None);
        };
        let contents: Vec<&ContentAim> =
            aims.iter().filter_map(|aim| aim.content.as_ref()).collect();
        let content = match contents.as_slice() {
            [] => None,
            contents => Some(ContentAim::together(contents)?),
        };
        let regions = (0..first.style.len()).map(|region| {
            let of_rows: Vec<&StyleAim> = aims
                .iter()
                .filter_map(|aim| aim.style.get(region))
                .collect();
            StyleAim::together(&of_rows)
        });
        Ok(Some(Self {
            content,
            style: regions.collect::<Result<_, _>>()?,
            loss: first.loss,
        }))
    }

    /// The aims of some rows, `[rows]`, int64.
    pub(super) fn kept(&self, rows: &Tensor) -> Result<Self, TchError> {
        let content = self.content.as_ref().map(|content| content.kept(rows));
        let style = self.style.iter().map(|region| region.kept(rows));
        Ok(Self {
            content: content.transpose()?,
            style: style.collect::<Result<_, _>>()?,
            loss: self.loss,
        })
    }
}

impl ContentAim {
    fn together(contents: &[&Self]) -> Result<Self, TchError> {
        let wanted: Vec<&Wanted> = contents
            .iter()
            .filter_map(|content| content.wanted.as_ref())
            .collect();
        Ok(Self {
            value: stacked(contents, |content| &content.value)?,
            factor: stacked(contents, |content| &content.factor)?,
            wanted: match wanted.first() {
                None => None,
                Some(first) => Some(Wanted {
                    positions: first.positions,
                    mean: stacked(&wanted, |wanted| &wanted.mean)?,
                    square: stacked(&wanted, |wanted| &wanted.square)?,
                }),
            },
        })
    }

    fn kept(&self, rows: &Tensor) -> Result<Self, TchError> {
        let wanted = self.wanted.as_ref().map(|wanted| {
            Ok::<_, TchError>(Wanted {
                positions: wanted.positions,
                mean: wanted.mean.f_index_select(0, rows)?,
                square: wanted.square.f_index_select(0, rows)?,
            })
        });
        Ok(Self {
            value: self.value.f_index_select(0, rows)?,
            factor: self.factor.f_index_select(0, rows)?,
            wanted: wanted.transpose()?,
        })
    }
}

impl StyleAim {
    fn together(regions: &[&Self]) -> Result<Self, TchError> {
        let guided: Vec<&Tensor> = regions
            .iter()
            .filter_map(|region| region.guidance.as_ref())
            .collect();
        let parts = regions.first().map_or(0, |region| region.parts.len());
        let parts = (0..parts).map(|part| {
            let of_rows: Vec<&Part> = regions
                .iter()
                .filter_map(|region| region.parts.get(part))
                .collect();
            Ok(Part {
                value: stacked(&of_rows, |part| &part.value)?,
                factor: stacked(&of_rows, |part| &part.factor)?,
            })
        });
        Ok(Self {
            guidance: match guided.as_slice() {
                [] => None,
                guided => Some(Tensor::f_cat(guided, 0)?),
            },
            positions: stacked(regions, |region| &region.positions)?,
            parts: parts.collect::<Result<_, TchError>>()?,
        })
    }

    fn kept(&self, rows: &Tensor) -> Result<Self, TchError> {
        let guidance = self.guidance.as_ref();
        let parts = self.parts.iter().map(|part| {
            Ok(Part {
                value: part.value.f_index_select(0, rows)?,
                factor: part.factor.f_index_select(0, rows)?,
            })
        });
        Ok(Self {
            guidance: guidance
                .map(|guidance| guidance.f_index_select(0, rows))
                .transpose()?,
            positions: self.positions.f_index_select(0, rows)?,
            parts: parts.collect::<Result<_, TchError>>()?,
        })
    }
}

fn stacked<T>(rows: &[&T], tensor: impl Fn(&T) -> &Tensor) -> Result<Tensor, TchError> {
    let tensors: Vec<&Tensor> = rows.iter().map(|row| tensor(row)).collect();
    match tensors.as_slice() {
        [only] => Ok(only.shallow_clone()),
        tensors => Tensor::f_cat(tensors, 0),
    }
}
