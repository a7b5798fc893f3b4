//! What the test binaries share, and the house's own rules. It must not be used by the product.

#[cfg(test)]
mod tidy;
