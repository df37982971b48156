//! What the process could do by what it is: capabilities, and by Landlock its reach to files, ports and others.

use landlock::{
    ABI, Access, AccessFs, AccessNet, PathBeneath, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, Scope,
};
use pintle_sys::Purpose;
use rustix::fd::BorrowedFd;
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities,
};

use super::Lacking;

/// The newest Landlock whose rights are all known to do no harm here. A later one may split off rights that
/// the worker needs, as UDP's were.
const KNOWN: ABI = ABI::V6;

/// A user other than root has none as a rule; whoever started this one may have kept some.
///
/// The bounding set and the securebits stay: changing them needs a capability, and they only matter to a
/// process that can execute programs or become root.
pub(crate) fn give_up_capabilities() -> pintle_sys::Result<()> {
    clear_ambient_capability_set().to("clear the ambient capabilities")?;
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    set_capabilities(None, sets).to("give up capabilities")
}

/// Gives up every file by name, TCP ports of its own, and the signals and abstract unix sockets of others. What
/// the kernel does not know is left out and named. The files beneath one directory can still be read.
///
/// Connecting over TCP stays free: a registry, its mirrors and where they redirect to may use any port.
pub(crate) fn give_up_files(but: Option<BorrowedFd<'_>>) -> Result<Lacking, RulesetError> {
    let but = but.map(|directory| PathBeneath::new(directory, AccessFs::ReadFile));
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::from_all(KNOWN))?
        .create()?
        .add_rules(but.map(Ok::<_, RulesetError>))?
        .restrict_self()?;
    Ok(Lacking::of(status.landlock.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Protection;
    use std::fs::{self, File};
    use std::io::{self, ErrorKind, Write};
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
    use std::thread;

    /// Landlock holds for a thread, so that each test has one to shut in.
    fn inside<T: Send>(tried: impl FnOnce() -> T + Send) -> (T, Lacking) {
        thread::scope(|scope| {
            let shut_in = scope.spawn(|| {
                let lacking = give_up_files(None).unwrap();
                (tried(), lacking)
            });
            shut_in.join().unwrap()
        })
    }

    fn refusal<T>(result: io::Result<T>) -> Option<ErrorKind> {
        result.err().map(|error| error.kind())
    }

    #[test]
    fn no_file_is_in_reach() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "content").unwrap();
        let tries = || {
            [
                refusal(File::open(&file)),
                refusal(File::create(&file)),
                refusal(fs::remove_file(&file)),
                refusal(fs::create_dir(folder.path().join("folder"))),
                refusal(fs::read_dir("/")),
                refusal(std::process::Command::new("/bin/true").status()),
            ]
        };
        assert_eq!(tries()[0], None, "nothing keeps the file from being read outside");
        fs::write(&file, "content").unwrap();
        fs::remove_dir(folder.path().join("folder")).unwrap();
        let (refused, lacking) = inside(tries);
        if !lacking.protections().contains(&Protection::Files) {
            assert_eq!(refused, [Some(ErrorKind::PermissionDenied); 6]);
        }
    }

    #[test]
    fn files_that_were_open_stay_of_use() {
        let mut file = tempfile::tempfile().unwrap();
        let (written, _) = inside(|| file.write_all(b"content").and_then(|()| file.set_len(3)));
        written.unwrap();
        assert_eq!(file.metadata().unwrap().len(), 3);
    }

    #[test]
    fn tcp_connects_and_does_not_bind() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let tries = || {
            let bound = refusal(TcpListener::bind("127.0.0.1:0"));
            (refusal(TcpStream::connect(address)), refusal(UdpSocket::bind("127.0.0.1:0")), bound)
        };
        let ((connected, udp, bound), lacking) = inside(tries);
        assert_eq!((connected, udp), (None, None));
        if !lacking.protections().contains(&Protection::Ports) {
            assert_eq!(bound, Some(ErrorKind::PermissionDenied));
        }
    }

    #[test]
    fn abstract_sockets_of_others_are_out_of_reach() {
        let name = format!("pintle-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(name).unwrap();
        let _listener = UnixListener::bind_addr(&address).unwrap();
        let connect = || refusal(UnixStream::connect_addr(&address));
        assert_eq!(connect(), None);
        let (connected, lacking) = inside(connect);
        if !lacking.protections().contains(&Protection::Scopes) {
            assert_eq!(connected, Some(ErrorKind::PermissionDenied));
        }
    }
}
