//! A case: one thing to time, with the names it goes by in Criterion and in the report.

use super::operation::Operation;
use super::precision::Precision;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One thing to time. A row of the report is one case, and any variants of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// `group/series/point`: Criterion's id, unique in a run.
    pub id: String,
    /// The id of the row this case belongs to; equal to `id` unless this is a variant.
    pub row: String,
    /// How a variant differs from its row (`on_the_fly`, `padded`); none for the row itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The curve this point lies on, as a legend names it.
    pub curve: String,
    /// The swept dimension at this point (head_dim, K, N, or the padded size).
    pub dim: usize,
    /// Element types: those of what is read, and of the result.
    pub dtype: Precision,
    /// What is launched.
    pub operation: Operation,
    /// The experiment's own columns, written at the top of the row as they are.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub labels: Map<String, Value>,
}

impl Case {
    /// The second part of its id.
    pub fn series(&self) -> &str {
        self.id.split('/').nth(1).unwrap_or_default()
    }

    /// A row of its own: its id is `group/series/point`.
    pub fn row(
        group: &str,
        series: &str,
        point: &str,
        dim: usize,
        dtype: impl Into<Precision>,
        operation: Operation,
    ) -> Self {
        let (id, dtype) = (format!("{group}/{series}/{point}"), dtype.into());
        let (row, curve, labels) = (id.clone(), series.to_owned(), Map::new());
        Case { row, id, variant: None, curve, dim, dtype, operation, labels }
    }

    /// The same case under the legend `curve`.
    pub fn on_curve(self, curve: impl Into<String>) -> Self {
        Case { curve: curve.into(), ..self }
    }

    /// With one more column in its row.
    pub fn label(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.labels.insert(key.to_owned(), value.into());
        self
    }

    /// With the column `causal` where an attention is.
    pub fn masked(self, causal: bool) -> Self {
        if causal { self.label("causal", true) } else { self }
    }

    /// Another way to compute this row, timed as a case of its own: `group/series_name/point`.
    pub fn variant(&self, name: &str, operation: Operation) -> Self {
        let (head, point) = self.id.rsplit_once('/').unwrap_or(("", &self.id));
        Case {
            id: format!("{head}_{name}/{point}"),
            variant: Some(name.to_owned()),
            operation,
            labels: Map::new(),
            ..self.clone()
        }
    }
}
