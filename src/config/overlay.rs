//! The environment over the file.
//!
//! Invariant: a value is read as the type that its key has, and an error names the variable, never
//! its value.

use super::{Config, Model, wrong};
use crate::domain::Result;

/// Every key with a value of its type; a model's stand under `models.*`.
pub(super) fn known_keys() -> toml::Table {
    let mut known = toml::Table::try_from(Config::default()).unwrap_or_default();
    let mut any = toml::Table::new();
    any.insert(
        "*".to_owned(),
        toml::Table::try_from(Model::default())
            .unwrap_or_default()
            .into(),
    );
    known.insert("models".to_owned(), any.into());
    known
}

/// Sets one key of `table`; the value is read as the type that `known` has there.
pub(super) fn overlay(
    table: &mut toml::Table,
    known: &toml::Table,
    variable: &str,
    path: &str,
    value: &str,
) -> Result<()> {
    let keys: Vec<&str> = path.split("__").collect();
    let (last, sections) = keys
        .split_last()
        .ok_or_else(|| wrong(format!("{variable} names no key")))?;
    let unknown = || wrong(format!("{variable}: there is no key {}", keys.join(".")));
    let mut known = known;
    let mut table = table;
    for section in sections {
        known = known
            .get(*section)
            .or_else(|| known.get("*"))
            .and_then(toml::Value::as_table)
            .ok_or_else(unknown)?;
        table = table
            .entry(*section)
            .or_insert_with(|| toml::Table::new().into())
            .as_table_mut()
            .ok_or_else(unknown)?;
    }
    let parsed = match known.get(*last).ok_or_else(unknown)? {
        toml::Value::Integer(_) => value.parse().ok().map(toml::Value::Integer),
        toml::Value::Float(_) => value.parse().ok().map(toml::Value::Float),
        toml::Value::Boolean(_) => value.parse().ok().map(toml::Value::Boolean),
        toml::Value::Array(_) => {
            let items = value
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            Some(toml::Value::Array(
                items.map(|item| item.to_owned().into()).collect(),
            ))
        }
        toml::Value::String(_) | toml::Value::Datetime(_) => Some(value.to_owned().into()),
        toml::Value::Table(_) => None,
    };
    table.insert(
        (*last).to_owned(),
        parsed.ok_or_else(|| wrong(format!("{variable}: the value has the wrong type")))?,
    );
    Ok(())
}
