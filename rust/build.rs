//! Finds libmoonrail: in the folder that `MOONRAIL_LIB_DIR` names, or where pkg-config knows it to be.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{exit, Command};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for name in [
        "MOONRAIL_LIB_DIR",
        "PKG_CONFIG_PATH",
        "PKG_CONFIG",
        "DOCS_RS",
    ] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    // Documentation is built without linking anything.
    if env::var_os("DOCS_RS").is_some() {
        return;
    }
    let folder = match find() {
        Ok(folder) => folder,
        Err(why) => {
            eprintln!("error: libmoonrail was not found: {why}");
            eprintln!(
                "Build it with `make c-library` in Moonrail's source, then set MOONRAIL_LIB_DIR to its .build/c/lib; \
                 or `make install-c PREFIX=...`, and have PREFIX/lib/pkgconfig in PKG_CONFIG_PATH."
            );
            exit(1);
        }
    };
    println!("cargo:rustc-link-search=native={}", folder.display());
    println!("cargo:rustc-link-lib=dylib=moonrail");
    // For this package's own tests and examples; those of others read DEP_MOONRAIL_LIBDIR in their build scripts.
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", folder.display());
    println!("cargo:libdir={}", folder.display());
}

fn find() -> Result<PathBuf, String> {
    if let Some(folder) = env::var_os("MOONRAIL_LIB_DIR") {
        let folder = PathBuf::from(folder);
        if holds_library(&folder) {
            return Ok(folder);
        }
        return Err(format!(
            "MOONRAIL_LIB_DIR is {}, and there is no libmoonrail.so",
            folder.display()
        ));
    }
    let program = env::var_os("PKG_CONFIG").unwrap_or_else(|| "pkg-config".into());
    let output = Command::new(&program)
        .args(["--variable=libdir", "moonrail"])
        .output()
        .map_err(|error| {
            format!(
                "MOONRAIL_LIB_DIR is not set, and {} does not run: {error}",
                program.to_string_lossy()
            )
        })?;
    let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    if output.status.success() && holds_library(&folder) {
        return Ok(folder);
    }
    Err("MOONRAIL_LIB_DIR is not set, and pkg-config does not know it".into())
}

fn holds_library(folder: &Path) -> bool {
    folder.join("libmoonrail.so").exists()
}
