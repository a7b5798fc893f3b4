//! The place on a real kernel: each test starts a place of its own. `life::as_an_ordinary_user` runs all of them once more without rights.

mod containers;
mod exec;
mod kit;
mod layers;
mod life;
mod networks;
mod refusals;
mod volumes;
