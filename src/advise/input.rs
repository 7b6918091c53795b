//! What the user hands over: a list of dimensions, a percentage.

use anyhow::{Context, Result, bail, ensure};

#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub name: Option<String>,
    pub dim: usize,
    /// What a budget has to pay for making it smaller: at 1, losing 1 % of it weighs as much as 1 %
    /// of its time.
    pub importance: f64,
}

impl Item {
    pub(super) fn of(name: Option<String>, dim: usize, importance: Option<f64>) -> Result<Item> {
        let importance = importance.unwrap_or(1.0);
        ensure!((1..=MAX_DIM).contains(&dim), "{dim}: a dimension is from 1 to {MAX_DIM}");
        ensure!(
            importance.is_finite() && importance >= 0.0,
            "importance {importance}: a number from 0 up"
        );
        Ok(Item { name, dim, importance })
    }
}

/// No dimension is larger: sums of many still fit.
const MAX_DIM: usize = 1 << 24;

/// `107,113,121`.
pub fn dims(text: &str) -> Result<Vec<Item>> {
    text.split(',')
        .map(|dim| {
            let dim = dim.trim();
            let dim = dim
                .parse()
                .with_context(|| format!("{dim:?} is no dimension; a list is like 107,113,121"))?;
            Item::of(None, dim, None)
        })
        .collect()
}

pub fn percentage(text: &str) -> Result<f64> {
    let number = text.trim().strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    match number {
        Some(percent) if (0.0..=100.0).contains(&percent) => Ok(percent / 100.0),
        _ => bail!("{text:?} is no percentage from 0% to 100%, like 10%"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_are_divided_by_commas() {
        let dims = dims("107, 113").unwrap();
        assert_eq!(dims.iter().map(|item| item.dim).collect::<Vec<_>>(), [107, 113]);
        for text in ["", "107,", "1e2", "0", "-1", "99999999999999999999"] {
            assert!(super::dims(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_percentage_has_its_sign() {
        assert_eq!(percentage("10%").unwrap(), 0.1);
        assert_eq!(percentage(" 4.7 % ").unwrap(), 0.047);
        for text in ["0.1", "10", "-1%", "101%", "NaN%", "%", ""] {
            let error = percentage(text).unwrap_err().to_string();
            assert!(error.contains("like 10%"), "{error}");
        }
    }
}
