//! Names and paths: strings of which some characters are not part.

text! {
    /// The name of a service, which is also the name of its cgroup.
    ///
    /// It has no dot, because the kernel's own files in a cgroup have one.
    pub struct ServiceName: "a name of at most 64 letters, digits, '-' and '_' that starts with a letter or a digit",
    |text| length(text, 1..=64) && starts_alphanumeric(text) && text.bytes().all(is_word);
}

text! {
    /// A host name of at most 64 bytes (`HOST_NAME_MAX` of Linux), its labels by RFC 1123.
    pub struct Hostname: "a host name of at most 64 lower-case letters, digits, '-' and '.', such as \"kiosk-7\"",
    |text| length(text, 1..=64) && text.split('.').all(is_label);
}

text! {
    /// A path from the root of the image, with no empty, `.` or `..` component.
    pub struct AbsolutePath: "an absolute path without empty, '.' and '..' components, such as \"/var/lib/app\"",
    |text| length(text, 1..=4095) && is_absolute(text) && is_printable(text);
}

text! {
    /// The path of a terminal.
    pub struct TtyPath: "the path of a terminal below /dev, such as \"/dev/tty1\"",
    |text| length(text, 6..=64) && text.starts_with("/dev/") && is_absolute(text) && is_printable(text);
}

text! {
    /// The id that all images of a machine have in common: `IMAGE_ID` of os-release(5).
    pub struct ImageId: "an image id of at most 64 lower-case letters, digits, '.', '_' and '-', such as \"org.example.kiosk\"",
    |text| length(text, 1..=64) && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'));
}

text! {
    /// The name of a kernel module, with `_` where a file's name may have `-`.
    pub struct ModuleName: "the name of a kernel module, such as \"virtio_blk\"",
    |text| length(text, 1..=64) && text.bytes().all(is_word), spelled |text| text.replace('-', "_");
}

text! {
    /// The name of a virtio serial port, as below `/sys/class/virtio-ports/*/name`.
    pub struct PortName: "the name of a virtio port, such as \"org.pintle.report\"",
    |text| length(text, 1..=64) && text.bytes().all(|b| is_word(b) || b == b'.');
}

text! {
    /// An installed image's name without its boot counters, such as `42_1.4.0`.
    pub struct EntryId: "an entry's sequence and version, such as \"42_1.4.0\"",
    |text| length(text, 3..=85) && is_entry_id(text);
}

text! {
    /// A line for people to read.
    pub struct Line: "a line of at most 128 bytes",
    |text| length(text, 1..=128) && is_printable(text);
}

impl AbsolutePath {
    /// `/`
    pub fn root() -> Self {
        Self("/".into())
    }
}

fn length(text: &str, allowed: std::ops::RangeInclusive<usize>) -> bool {
    allowed.contains(&text.len())
}

fn starts_alphanumeric(text: &str) -> bool {
    text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
}

fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'-' || b == b'_'
}

pub(crate) fn is_label(label: &str) -> bool {
    let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(inside)
}

fn is_absolute(path: &str) -> bool {
    let component = |name: &str| !matches!(name, "" | "." | "..");
    path == "/" || path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(component))
}

fn is_printable(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

fn is_entry_id(text: &str) -> bool {
    let in_version = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'~' | b'^' | b'-');
    text.split_once('_').is_some_and(|(sequence, version)| {
        sequence.parse::<u64>().is_ok_and(|number| number.to_string() == sequence)
            && length(version, 1..=64)
            && version.bytes().all(in_version)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    fn accepts<T: Value>(good: &[&str]) {
        for text in good {
            assert!(T::from_text(text).is_some(), "{text:?}");
        }
    }

    fn refuses<T: Value>(bad: &[&str]) {
        for text in bad {
            assert!(T::from_text(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn service_names_are_safe_names_of_cgroups() {
        accepts::<ServiceName>(&["sshd", "NetworkManager", "a", "0", "a_b-c", &"a".repeat(64)]);
        refuses::<ServiceName>(&[
            "",
            "-a",
            "_a",
            "a.b",
            "cgroup.procs",
            "..",
            "a/b",
            "a b",
            "ä",
            "a\0",
            &"a".repeat(65),
        ]);
    }

    #[test]
    fn hostnames_are_labels() {
        accepts::<Hostname>(&["kiosk", "kiosk-7.example.org", "7"]);
        refuses::<Hostname>(&["", ".", "a.", "a..b", "-a", "a-", "A", "a_b", &"a".repeat(65)]);
    }

    #[test]
    fn paths_are_absolute_and_go_one_way() {
        accepts::<AbsolutePath>(&["/", "/a", "/a/b.c", "/a/...", "/ä b"]);
        refuses::<AbsolutePath>(&["", "a", "//", "/a/", "/a//b", "/./a", "/a/..", "/a\0", "/a\n"]);
        accepts::<TtyPath>(&["/dev/tty1", "/dev/pts/0"]);
        refuses::<TtyPath>(&["/dev", "/dev/", "/tmp/tty", "/dev/../tmp"]);
    }

    #[test]
    fn entry_ids_have_a_sequence_and_a_version_but_no_counters() {
        accepts::<EntryId>(&["42_1.4.0", "0_a", "18446744073709551615_1~rc1^2-3"]);
        refuses::<EntryId>(&[
            "",
            "_",
            "42",
            "42_",
            "_1.0",
            "042_1",
            "+1_1",
            "18446744073709551616_1",
            "42_1.4.0+3-0",
            "42_../x",
            "4 2_1",
        ]);
    }

    #[test]
    fn module_names_have_one_spelling() {
        let dash = ModuleName::from_text("dm-verity").map(|name| name.to_string());
        assert_eq!(dash.as_deref(), Some("dm_verity"));
        refuses::<ModuleName>(&["", "a.ko", "../x", "a b"]);
    }

    #[test]
    fn image_ids_ports_and_lines_have_their_characters() {
        accepts::<ImageId>(&["org.example.kiosk", "a_b-c"]);
        refuses::<ImageId>(&["", "A", "a/b", "a b", &"a".repeat(65)]);
        accepts::<PortName>(&["org.pintle.report"]);
        refuses::<PortName>(&["", "a/b", "a b"]);
        accepts::<Line>(&["The web server, port 80"]);
        refuses::<Line>(&["", "two\nlines", "\u{1b}[2J", &"a".repeat(129)]);
    }
}
