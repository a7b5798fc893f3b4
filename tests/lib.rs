//! What the test binaries share, the house's own rules, and proofs of the golden files. It must not be used by the product.

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tidy;

pub mod engine;
pub mod hooks;
pub mod oci;
pub mod registry;
pub mod wire;

/// The project's folder.
#[cfg(test)]
fn root() -> std::path::PathBuf {
    let package = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().expect("the package lies in the workspace").to_owned()
}
