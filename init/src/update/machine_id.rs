//! Which machine this is, to spread a fleet over time: nobody is shown it.

use std::fs;
use std::path::Path;

use pintle_update::schedule::MachineId;
use pintle_verify::Digest;

use crate::store::STATE;

/// machine-id(5).
const OF_SYSTEM: &str = "/etc/machine-id";

/// Where the hardware says who it is.
const OF_HARDWARE: [&str; 2] =
    ["/sys/class/dmi/id/product_uuid", "/sys/firmware/devicetree/base/serial-number"];

/// What an image without one is given, kept beside the images.
const OF_STATE: &str = "machine-id";

/// The id of the system, else of the hardware, else one that is made once and kept. A machine that can keep nothing
/// has another one at each boot.
pub(crate) fn of_this_machine() -> MachineId {
    let kept = Path::new(STATE).join(OF_STATE);
    let known = [OF_SYSTEM, OF_HARDWARE[0], OF_HARDWARE[1]].into_iter().map(Path::new);
    let text = known.chain([kept.as_path()]).find_map(read).unwrap_or_else(|| make(&kept));
    let digest = Digest::of(text.as_bytes());
    MachineId::from_bytes(digest.as_bytes().first_chunk().copied().unwrap_or_default())
}

/// All zeros, or all ones, is what firmware says that was not told.
fn read(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim_matches(['\n', '\0', ' ']).to_lowercase();
    let says_something = |filler| text.chars().any(|c| c != filler && c != '-');
    (text.len() >= 8 && says_something('0') && says_something('f')).then_some(text)
}

fn make(path: &Path) -> String {
    let mut bytes = [0; 16];
    let flags = rustix::rand::GetRandomFlags::empty();
    rustix::rand::getrandom(bytes.as_mut_slice(), flags).unwrap_or_default();
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(path, format!("{text}\n")).unwrap_or_default();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_says_nothing_is_none() {
        let directory = std::env::temp_dir().join(format!("pintle-id-{}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        let path = directory.join("id");
        for text in ["", "4c4c4544-0043\n"] {
            fs::write(&path, text).unwrap();
            assert_eq!(read(&path).is_some(), text.len() > 8, "{text}");
        }
        for text in ["00000000-0000-0000", "FFFFFFFF-FFFF", "abc"] {
            fs::write(&path, text).unwrap();
            assert_eq!(read(&path), None, "{text}");
        }
        let made = make(&path);
        // The file's form is frozen; whatever is in it, it is the id as long as it stays.
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{made}\n"));
        assert!(made.len() == 32 && made.bytes().all(|b| b.is_ascii_hexdigit()), "{made}");
        assert_eq!(read(&path), Some(made.clone()));
        assert_ne!(make(&path), made);
        fs::remove_dir_all(&directory).unwrap();
    }
}
