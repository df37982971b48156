//! The images that the rig makes, as umoci sees them.

use anyhow::{Context, Result};
use pintle_rootfs_test::walk::{Content, Node};
use pintle_rootfs_test::{Base, ContainerImage};
use std::path::Path;

#[test]
fn a_busybox_image_holds_a_user_space_and_the_agent() -> Result<()> {
    let nodes = ContainerImage::of(Base::Busybox, "1.0.0").unpacked()?;
    assert_eq!(find(&nodes, "usr/bin/sh")?.content, Content::Target(b"busybox".to_vec()));
    assert_eq!(find(&nodes, "usr/libexec/agent")?.mode, 0o100755);
    assert_eq!(find(&nodes, "usr/lib/pintle/agent.toml")?.mode, 0o100644);
    Ok(())
}

#[test]
fn a_debian_image_shows_what_layers_can_do() -> Result<()> {
    let nodes = ContainerImage::of(Base::Debian, "12.0.0").unpacked()?;
    assert_eq!(find(&nodes, "opt/specials/third-name")?.links, 3);
    assert_eq!(find(&nodes, "opt/specials/capable")?.xattrs[0].0, b"security.capability");
    assert_eq!(find(&nodes, "opt/specials/large-ids")?.gid, 3_000_000);
    assert_eq!(find(&nodes, "opt/sparse")?.size, 9 << 20);
    assert_eq!(names_in(&nodes, "usr/share/doc"), ["after", "before"]);
    assert!(find(&nodes, "usr/bin/perl").is_err());
    Ok(())
}

fn find<'a>(nodes: &'a [Node], path: &str) -> Result<&'a Node> {
    nodes.iter().find(|node| node.path == path.as_bytes()).with_context(|| format!("no {path}"))
}

fn names_in(nodes: &[Node], folder: &str) -> Vec<String> {
    let paths = nodes.iter().map(|node| String::from_utf8_lossy(&node.path).into_owned());
    let inside = paths.filter(|path| Path::new(path).parent() == Some(Path::new(folder)));
    inside.map(|path| path[folder.len() + 1..].to_owned()).collect()
}
