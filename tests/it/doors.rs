//! The door matrix: every route by every kind of caller, and the fine print of getting in.

mod forge;
mod handshake;
mod matrix;
mod standing;
