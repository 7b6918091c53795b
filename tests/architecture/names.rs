//! What the code of a file names by paths.

use crate::sources::Source;
use std::collections::{BTreeMap, BTreeSet};
use syn::visit::Visit;

#[derive(Default)]
pub struct Names {
    /// Absolute paths below the crate, as `[journal, record, Trial]`.
    pub paths: BTreeSet<Vec<String>>,
    /// What it hands on: the name here, and the path of the item.
    pub exports: BTreeMap<String, Vec<String>>,
    pub module: Vec<String>,
    children: BTreeSet<String>,
}

impl Names {
    pub fn of(source: &Source) -> Names {
        let file = syn::parse_file(&source.text)
            .unwrap_or_else(|error| panic!("{}: {error}", source.path));
        let mut children = BTreeSet::new();
        for item in &file.items {
            if let syn::Item::Mod(item) = item {
                children.insert(item.ident.to_string());
            }
        }
        let mut names = Names { module: source.module(), children, ..Names::default() };
        names.visit_file(&file);
        names
    }

    /// The absolute path of one written here; none if it leads out of the crate.
    fn absolute(&self, path: &[String]) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        let mut absolute = match &**first {
            "crate" | "night_sweep" => Vec::new(),
            "self" => self.module.clone(),
            "super" => self.module[..self.module.len().checked_sub(1)?].to_vec(),
            child if self.children.contains(child) => {
                [&self.module[..], &[child.to_owned()]].concat()
            }
            _ => return None,
        };
        for name in rest {
            match &**name {
                "super" => drop(absolute.pop()),
                "self" => {}
                _ => absolute.push(name.clone()),
            }
        }
        Some(absolute)
    }

    fn tree(&mut self, tree: &syn::UseTree, before: &[String], is_export: bool) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.tree(&path.tree, &with(&path.ident), is_export),
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.tree(tree, before, is_export));
            }
            syn::UseTree::Glob(_) => self.paths.extend(self.absolute(before)),
            syn::UseTree::Name(syn::UseName { ident }) => self.item(&with(ident), ident, is_export),
            syn::UseTree::Rename(use_as) => {
                self.item(&with(&use_as.ident), &use_as.rename, is_export)
            }
        }
    }

    fn item(&mut self, path: &[String], name: &syn::Ident, is_export: bool) {
        let Some(path) = self.absolute(path) else { return };
        match is_export {
            true => drop(self.exports.insert(name.to_string(), path)),
            false => drop(self.paths.insert(path)),
        }
    }
}

impl Visit<'_> for Names {
    fn visit_item(&mut self, item: &syn::Item) {
        let attributes = match item {
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            _ => return syn::visit::visit_item(self, item),
        };
        let is_test = |attribute: &syn::Attribute| {
            attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
        };
        if !attributes.iter().any(is_test) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &syn::ItemUse) {
        self.tree(&item.tree, &[], !matches!(item.vis, syn::Visibility::Inherited));
    }

    fn visit_path(&mut self, path: &syn::Path) {
        let names: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.len() > 1 {
            self.paths.extend(self.absolute(&names));
        }
        syn::visit::visit_path(self, path);
    }
}
