//! Makes `ui/dist` exist, so that the crate compiles before the page was built; the page then says how to build it.

use std::{fs, path::Path};

fn main() {
    let dist = Path::new("ui/dist");
    if let Err(error) = fs::create_dir_all(dist) {
        println!("cargo::warning={} cannot be made: {error}", dist.display());
    }
    println!("cargo::rerun-if-changed=ui/dist");
    println!("cargo::rerun-if-changed=build.rs");
}
