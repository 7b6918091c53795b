//! Pages with holes.

use anyhow::{Context, Result, bail};

/// `template` with each `{{name}}` replaced by the value of that name. Values are not searched in
/// turn: one that holds `{{name}}` shows just that.
pub fn fill(template: &str, values: &[(&str, &str)]) -> Result<String> {
    let mut parts = template.split("{{");
    let mut page = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("}}").context("{{ without }}")?;
        let Some((_, value)) = values.iter().find(|(key, _)| *key == name) else {
            bail!("the template asks for {name:?}, which is not there");
        };
        page.push_str(value);
        page.push_str(rest);
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn holes_are_filled_once() {
        let page = fill("<b>{{a}}</b>{{b}}{{a}}", &[("a", "{{b}}"), ("b", "}}")]).unwrap();
        assert_eq!(page, "<b>{{b}}</b>}}{{b}}");
        assert_eq!(fill("plain", &[]).unwrap(), "plain");
        assert!(fill("{{c}}", &[("a", "")]).is_err());
        assert!(fill("{{a", &[("a", "")]).is_err());
    }
}
