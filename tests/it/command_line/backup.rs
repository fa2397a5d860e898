//! `deepme backup`.
