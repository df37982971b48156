//! `/proc/self/mountinfo`, in the order in which mounts can be taken down.
//!
//! Source: proc_pid_mountinfo(5).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// Mount points such that what is mounted on or below another mount comes before it, the later
/// mount first. A path that several mounts are stacked on comes that many times.
pub(crate) fn innermost_first(mountinfo: &str) -> Vec<PathBuf> {
    let mounts: Vec<Mount> = mountinfo.lines().filter_map(Mount::parse).collect();
    let ids: BTreeSet<u32> = mounts.iter().map(|mount| mount.id).collect();
    // The first mount of all is its own parent.
    let is_top = |mount: &&Mount| mount.id == mount.parent || !ids.contains(&mount.parent);
    let (mut open, mounted): (Vec<_>, Vec<_>) = mounts.iter().partition(is_top);
    let mut children: BTreeMap<u32, Vec<&Mount>> = BTreeMap::new();
    for mount in mounted {
        children.entry(mount.parent).or_default().push(mount);
    }
    let mut outermost_first = Vec::with_capacity(mounts.len());
    while let Some(mount) = open.pop() {
        outermost_first.push(mount.point.clone());
        // The earliest on top of the stack: the later of two siblings may cover the earlier.
        open.extend(children.remove(&mount.id).into_iter().flatten().rev());
    }
    outermost_first.reverse();
    outermost_first
}

struct Mount {
    id: u32,
    parent: u32,
    point: PathBuf,
}

impl Mount {
    /// `ID PARENT MAJOR:MINOR ROOT POINT ...`
    fn parse(line: &str) -> Option<Mount> {
        let mut fields = line.split(' ');
        let id = fields.next()?.parse().ok()?;
        let parent = fields.next()?.parse().ok()?;
        let point = unescape(fields.nth(2)?.as_bytes());
        Some(Mount { id, parent, point: PathBuf::from(OsString::from_vec(point)) })
    }
}

/// The kernel writes space, tab, newline and backslash as `\` and three octal digits.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let (byte, after) = octal(rest).unwrap_or((byte, after));
        plain.push(byte);
        rest = after;
    }
    plain
}

fn octal(text: &[u8]) -> Option<(u8, &[u8])> {
    let [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..] = text else {
        return None;
    };
    Some(((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(mountinfo: &str) -> Vec<String> {
        innermost_first(mountinfo).iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn what_is_mounted_below_comes_first() {
        let mountinfo = "\
            20 1 253:0 / / ro - erofs /dev/dm-0 ro\n\
            21 20 0:5 / /run rw - tmpfs tmpfs rw\n\
            22 21 8:1 / /run/state rw shared:1 - ext4 /dev/vda1 rw\n\
            23 20 8:1 /data/var /var rw - ext4 /dev/vda1 rw\n\
            24 23 0:9 / /var/lib/c rw - overlay overlay rw\n";
        assert_eq!(order(mountinfo), ["/var/lib/c", "/var", "/run/state", "/run", "/"]);
    }

    #[test]
    fn mounts_stacked_on_one_path_come_the_later_first() {
        // 32 covers 31, which covers 30; 33 was mounted in 31 before that was covered.
        let mountinfo = "\
            30 1 0:1 / / rw - tmpfs a rw\n\
            31 30 0:2 / /mnt rw - tmpfs b rw\n\
            32 31 0:3 / /mnt rw - tmpfs c rw\n\
            33 31 0:4 / /mnt/x rw - tmpfs d rw\n";
        assert_eq!(order(mountinfo), ["/mnt/x", "/mnt", "/mnt", "/"]);
    }

    #[test]
    fn order_of_the_lines_does_not_matter_to_nesting() {
        let mountinfo = "\
            9 8 0:3 / /a/b/c rw - tmpfs c rw\n\
            8 7 0:2 / /a/b rw - tmpfs b rw\n\
            7 6 0:1 / /a rw - tmpfs a rw\n";
        assert_eq!(order(mountinfo), ["/a/b/c", "/a/b", "/a"]);
    }

    #[test]
    fn escaped_paths_are_plain_again() {
        let line = r"7 1 0:1 / /a\040b\134c\011 rw - tmpfs a rw";
        assert_eq!(order(line), ["/a b\\c\t"]);
        assert_eq!(unescape(br"\04"), br"\04");
        assert_eq!(unescape(br"\777"), br"\777");
    }

    #[test]
    fn circles_and_foreign_lines_end() {
        assert_eq!(order("1 2 0:1 / /a rw\n2 1 0:1 / /b rw\nnonsense\n\n"), [""; 0]);
        assert_eq!(order("1 1 0:1 / /a rw"), ["/a"]);
    }
}
