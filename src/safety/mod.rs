//! stub until the engine lands
use crate::domain::safety::{Category, Tier};
use std::sync::Arc;
/// x
#[derive(Debug)]
pub struct Gate;
/// x
#[derive(Debug, Clone)]
pub struct Assessment {
    /// x
    pub tier: Tier,
    /// x
    pub categories: Vec<Category>,
    /// x
    pub pack_version: Arc<str>,
}
impl Gate {
    /// x
    pub fn embedded() -> Result<Self, std::io::Error> {
        Ok(Gate)
    }
    /// x
    pub fn assess(&self, t: &str, _: &[&str]) -> Assessment {
        Assessment {
            tier: if t.contains("죽고 싶") {
                Tier::Elevated
            } else {
                Tier::None
            },
            categories: vec![],
            pack_version: "0".into(),
        }
    }
}
/// stub
#[derive(Debug)]
pub struct Resource {
    /// x
    pub contact: String,
}
impl Resource {
    /// x
    pub fn name(&self, _: Lang) -> &str {
        "109"
    }
    /// x
    pub fn note(&self, _: Lang) -> Option<&str> {
        None
    }
}
/// stub
pub fn resources(_c: &str, _t: Tier, _cs: &[Category]) -> Vec<Resource> {
    vec![Resource {
        contact: "109".into(),
    }]
}
/// x
#[derive(Clone, Copy, Debug)]
pub enum Lang {
    /// x
    Ko,
    /// x
    En,
}
impl Lang {
    /// x
    pub fn detect(t: &str) -> Lang {
        if t.is_ascii() { Lang::En } else { Lang::Ko }
    }
}
/// x
pub fn message(_: Tier, _: &[Category], _: Lang) -> &'static str {
    "stub"
}
/// x
pub fn short_text(_: Tier, _: &[Category], _: &str, _: Lang) -> String {
    "stub".into()
}
/// x
pub fn fixed_answer(_: Tier, _: &[Category], _: &str, _: Lang) -> String {
    "stub".into()
}
/// x
pub fn preamble(_: Tier, _: &[Category], _: Lang) -> &'static str {
    "stub"
}
