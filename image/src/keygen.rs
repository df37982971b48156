//! Making and reading keys: PEM files as openssl writes and reads them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use pintle_verify::{KeyId, KeySet, PublicKey, SigningKey};
use rustix::rand::{GetRandomFlags, getrandom};

use crate::error::Attempt;
use crate::{Error, Result};

/// What follows the key's name in the file name of the private half.
const PRIVATE: &str = "key";
/// What follows it in that of the public half; a directory of keys is its files of this kind.
const PUBLIC: &str = "pub";
/// How PEM begins where openssl was told to encrypt it.
const ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const PRIVATE_WANTED: &str = "a private Ed25519 key in PEM, as pintle keygen or openssl genpkey \
                              -algorithm ed25519 makes it";
const PUBLIC_WANTED: &str = "a public Ed25519 key in PEM, as pintle keygen or openssl pkey -pubout \
                             makes it";
/// No key in PEM comes near it, with all the text that tools write before one.
const MAX_FILE: u64 = 64 << 10;

/// A key pair on disk.
#[derive(Debug, serde::Serialize)]
pub struct KeyPair {
    /// The name by which signatures refer to it, in hexadecimal.
    #[serde(serialize_with = "as_text")]
    pub id: KeyId,
    /// The file with the private half, for its owner's eyes only.
    pub private: PathBuf,
    /// The file with the public half.
    pub public: PathBuf,
}

/// Makes a key of the kernel's randomness, as `<name>.key` and `<name>.pub`. Overwrites nothing.
pub fn generate(name: &Path) -> Result<KeyPair> {
    let key = SigningKey::generate(&random_seed()?);
    let pair = KeyPair {
        id: key.public().id(),
        private: with_suffix(name, PRIVATE),
        public: with_suffix(name, PUBLIC),
    };
    let (private_pem, public_pem) = (key.to_pem(), key.public().to_pem());
    create(&pair.private, 0o600, &private_pem.map_err(|e| unwritten(&pair.private, e))?)?;
    create(&pair.public, 0o644, &public_pem.map_err(|e| unwritten(&pair.public, e))?)
        .inspect_err(|_| discard(&pair.private))?;
    Ok(pair)
}

/// Reads a private key, as `generate` or `openssl genpkey -algorithm ed25519` made it.
pub fn read_signing_key(file: &Path) -> Result<SigningKey> {
    let pem = read(file)?;
    if pem.contains(ENCRYPTED) {
        let name = file.display();
        let cause = format!("it is encrypted; decrypt it: openssl pkey -in {name} -out FILE");
        return Err(Error::input(format!("use key {name}"), cause));
    }
    SigningKey::from_pem(&pem).map_err(|cause| unusable(file, cause, PRIVATE_WANTED))
}

/// Reads a machine's keys. Each path is a public key, or a directory of which all `*.pub` are read.
pub fn read_key_set(paths: &[PathBuf], threshold: u8) -> Result<KeySet> {
    let mut keys = Vec::new();
    for file in public_key_files(paths)? {
        let key = PublicKey::from_pem(&read(&file)?);
        keys.push(key.map_err(|cause| unusable(&file, cause, PUBLIC_WANTED))?);
    }
    check_threshold(threshold, keys.len())?;
    KeySet::new(keys, threshold).map_err(|e| Error::input("use these keys", e))
}

fn check_threshold(threshold: u8, keys: usize) -> Result<()> {
    if usize::from(threshold) <= keys {
        return Ok(());
    }
    let keys = if keys == 1 { "is 1 key".to_owned() } else { format!("are {keys} keys") };
    let cause = format!("the threshold is {threshold}, and there {keys}");
    Err(Error::input("use these keys", cause))
}

fn public_key_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        match path.is_dir() {
            true => files.extend(public_keys_in(path)?),
            false => files.push(path.clone()),
        }
    }
    Ok(files)
}

fn public_keys_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let action = || format!("read keys in {}", directory.display());
    let entries = fs::read_dir(directory).attempt(action)?;
    let mut files: Vec<_> =
        entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>().attempt(action)?;
    files.retain(|file| file.extension().is_some_and(|suffix| suffix == PUBLIC));
    files.sort();
    match files.is_empty() {
        true => Err(Error::input(action(), format!("no file in it ends in .{PUBLIC}"))),
        false => Ok(files),
    }
}

fn read(file: &Path) -> Result<String> {
    let action = || format!("read key {}", file.display());
    let mut bytes = Vec::new();
    let opened = File::open(file).attempt(action)?;
    opened.take(MAX_FILE).read_to_end(&mut bytes).attempt(action)?;
    String::from_utf8(bytes).map_err(|_| {
        let cause = "it is no text, and PEM is; of DER, openssl pkey -inform DER makes PEM";
        Error::input(action(), cause)
    })
}

fn random_seed() -> Result<[u8; 32]> {
    let mut seed = [0; 32];
    // Requests of up to 256 bytes are never cut short (getrandom(2)).
    let got = getrandom(&mut seed, GetRandomFlags::empty());
    got.map_err(io::Error::from).attempt(|| "get randomness".to_owned())?;
    Ok(seed)
}

fn create(file: &Path, mode: u32, pem: &str) -> Result<()> {
    let action = || format!("create {}", file.display());
    let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(file);
    let mut created = match opened {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let cause =
                "a file is there, and what it holds cannot be made again; give another name";
            return Err(Error::input(action(), cause));
        }
        opened => opened.attempt(action)?,
    };
    let written = created.write_all(pem.as_bytes()).and_then(|()| created.sync_all());
    written.attempt(action).inspect_err(|_| discard(file))
}

/// Removes a file that this run made and that is of no use alone; another error is being told.
fn discard(file: &Path) {
    fs::remove_file(file).ok();
}

fn with_suffix(name: &Path, suffix: &str) -> PathBuf {
    let mut file = name.as_os_str().to_owned();
    file.push(".");
    file.push(suffix);
    file.into()
}

/// What is no key of that kind at all; whoever handed it in may have taken the wrong file.
fn unusable(file: &Path, cause: pintle_verify::Error, wanted: &str) -> Error {
    let action = format!("use key {}", file.display());
    match cause {
        pintle_verify::Error::Pem { .. } => {
            Error::input(action, format!("{cause}; expected {wanted}"))
        }
        cause => Error::input(action, cause),
    }
}

fn unwritten(file: &Path, cause: pintle_verify::Error) -> Error {
    Error::input(format!("create {}", file.display()), cause)
}

fn as_text<S: serde::Serializer>(
    id: &KeyId,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Output};

    fn openssl(directory: &Path, args: &str) -> Output {
        let args = args.split_whitespace();
        Command::new("openssl").current_dir(directory).args(args).output().unwrap()
    }

    fn openssl_ok(directory: &Path, args: &str) -> String {
        let output = openssl(directory, args);
        assert!(output.status.success(), "openssl {args}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn openssl_reads_both_halves_and_derives_one_from_the_other() {
        let home = tempfile::tempdir().unwrap();
        generate(&home.path().join("release.2026")).unwrap();
        let text = openssl_ok(home.path(), "pkey -in release.2026.key -noout -text");
        assert!(text.starts_with("ED25519 Private-Key:"), "{text}");
        let derived = openssl_ok(home.path(), "pkey -in release.2026.key -pubout");
        assert_eq!(derived, fs::read_to_string(home.path().join("release.2026.pub")).unwrap());
    }

    #[test]
    fn openssl_signs_with_one_half_and_verifies_with_the_other() {
        let home = tempfile::tempdir().unwrap();
        generate(&home.path().join("k")).unwrap();
        fs::write(home.path().join("message"), "hello").unwrap();
        openssl_ok(home.path(), "pkeyutl -sign -rawin -inkey k.key -in message -out signature");
        let verify = "pkeyutl -verify -rawin -pubin -inkey k.pub -in message -sigfile signature";
        openssl_ok(home.path(), verify);
        fs::write(home.path().join("message"), "hullo").unwrap();
        assert!(!openssl(home.path(), verify).status.success());
    }

    #[test]
    fn keys_that_openssl_made_are_read() {
        let home = tempfile::tempdir().unwrap();
        openssl_ok(home.path(), "genpkey -algorithm ed25519 -out theirs.key");
        openssl_ok(home.path(), "pkey -in theirs.key -pubout -out theirs.pub");
        let private = read_signing_key(&home.path().join("theirs.key")).unwrap();
        let set = read_key_set(&[home.path().to_owned()], 1).unwrap();
        assert_eq!(set.keys(), [private.public()]);
    }

    #[test]
    fn only_the_owner_may_read_the_private_half() {
        let home = tempfile::tempdir().unwrap();
        let pair = generate(&home.path().join("k")).unwrap();
        let mode = fs::metadata(pair.private).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn two_runs_make_two_keys() {
        let home = tempfile::tempdir().unwrap();
        let first = generate(&home.path().join("a")).unwrap();
        let second = generate(&home.path().join("b")).unwrap();
        assert_ne!(first.id, second.id);
    }

    #[test]
    fn what_is_there_is_never_overwritten_and_nothing_half_made_is_left() {
        for there in ["k.key", "k.pub"] {
            let home = tempfile::tempdir().unwrap();
            fs::write(home.path().join(there), "precious").unwrap();
            let refused = generate(&home.path().join("k")).unwrap_err().to_string();
            assert!(refused.contains(there), "{refused}");
            assert_eq!(fs::read_to_string(home.path().join(there)).unwrap(), "precious");
            assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn a_set_takes_files_and_directories_and_refuses_a_key_twice() {
        let home = tempfile::tempdir().unwrap();
        let a = generate(&home.path().join("a")).unwrap();
        let b = generate(&home.path().join("b")).unwrap();
        let set = read_key_set(&[a.public.clone(), b.public], 2).unwrap();
        assert_eq!((set.keys().len(), set.threshold()), (2, 2));
        assert!(read_key_set(&[home.path().to_owned(), a.public], 1).is_err());
        assert!(read_key_set(&[home.path().to_owned()], 3).is_err());
    }

    #[test]
    fn what_is_no_private_key_is_refused_with_a_way_out() {
        let home = tempfile::tempdir().unwrap();
        generate(&home.path().join("k")).unwrap();
        openssl_ok(home.path(), "genpkey -algorithm x25519 -out other.key");
        openssl_ok(home.path(), "pkey -in k.key -aes256 -passout pass:x -out locked.key");
        openssl_ok(home.path(), "pkey -in k.key -outform DER -out der.key");
        for (name, way_out) in [
            ("k.pub", "expected a private Ed25519 key in PEM"),
            ("other.key", "openssl genpkey -algorithm ed25519 makes it"),
            ("locked.key", "it is encrypted; decrypt it: openssl pkey -in "),
            ("der.key", "openssl pkey -inform DER makes PEM"),
        ] {
            let refused = read_signing_key(&home.path().join(name)).unwrap_err().to_string();
            assert!(refused.contains(name) && refused.contains(way_out), "{refused}");
        }
    }

    #[test]
    fn what_is_no_public_key_is_refused_by_name() {
        let home = tempfile::tempdir().unwrap();
        let pair = generate(&home.path().join("k")).unwrap();
        let refused = read_key_set(&[pair.private], 1).unwrap_err().to_string();
        assert!(refused.contains("k.key") && refused.contains("; expected a public Ed25519 key"));
        let empty = tempfile::tempdir().unwrap();
        assert!(read_key_set(&[empty.path().to_owned()], 1).is_err());
    }
}
