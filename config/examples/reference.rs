//! Rewrites `docs/reference` from the tables: `cargo run -p pintle-config --example reference`.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference");
    std::fs::create_dir_all(&folder)?;
    for page in pintle_config::reference::pages() {
        std::fs::write(folder.join(page.name), page.text)?;
    }
    Ok(())
}
