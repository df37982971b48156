//! A builder with releases, a container image, and a registry.

use crate::conforming::Conforming;
use crate::registry::{Door, Registry};
use crate::workshop::Workshop;
use serde_json::Value;

pub(crate) struct Shop {
    pub(crate) workshop: Workshop,
    registry: Server,
}

/// Registries that others wrote.
enum Server {
    Debian(Registry),
    Conforming(Conforming),
}

impl Server {
    fn host(&self) -> String {
        match self {
            Self::Debian(registry) => registry.host(),
            Self::Conforming(registry) => registry.host().to_owned(),
        }
    }
}

impl Shop {
    /// With release `r1`, of sequence 1, the container image that it was built from, `oci:oci:latest`, and
    /// docker-registry.
    pub(crate) fn open() -> Self {
        Self::with(Server::Debian(Registry::start(&Door::Open)))
    }

    /// The same with each registry.
    pub(crate) fn at_each_registry() -> [Self; 2] {
        [Self::open(), Self::with(Server::Conforming(Conforming::start()))]
    }

    fn with(registry: Server) -> Self {
        let workshop = Workshop::of_a_machine();
        let container =
            "mkdir -p rootfs/bin rootfs/proc rootfs/dev rootfs/sys && cp /bin/busybox rootfs/bin/
            umoci init --layout oci
            umoci new --image oci:latest
            tar --create --file layer.tar --directory rootfs . && umoci raw add-layer --image oci:latest layer.tar
            umoci config --image oci:latest --architecture amd64 --created 2024-01-01T00:00:00Z";
        workshop.shell(container).noted();
        let shop = Self { workshop, registry };
        shop.build("r1", 1);
        shop
    }

    pub(crate) fn build(&self, name: &str, sequence: u64) {
        let build = format!("build oci:oci:latest --arch amd64 --key ours.key -q -o {name}");
        self.workshop.pintle(&format!("{build} --sequence {sequence}")).said();
    }

    /// A tag in the registry.
    pub(crate) fn tag(&self, name: &str) -> String {
        format!("{}/{name}", self.registry.host())
    }

    /// Pushes and gives what is said for programs.
    pub(crate) fn push(&self, release: &str, name: &str) -> Value {
        let to = self.tag(name);
        self.workshop.pintle(&format!("push {release} {to} --plain-http --fast --json")).json()
    }

    /// The document that a tag or a digest names, as skopeo gets it.
    pub(crate) fn raw(&self, name: &str) -> String {
        let from = self.tag(name);
        let inspect = format!("skopeo inspect --raw --tls-verify=false docker://{from}");
        self.workshop.shell(&inspect).said()
    }

    pub(crate) fn skopeo_copy(&self, from: &str, to: &str) {
        let tls = "--src-tls-verify=false --dest-tls-verify=false";
        self.workshop.shell(&format!("skopeo copy --quiet --all {tls} {from} {to}")).noted();
    }

    /// Puts the container image under a tag.
    pub(crate) fn push_container(&self, name: &str) {
        self.skopeo_copy("oci:oci:latest", &format!("docker://{}", self.tag(name)));
    }
}

/// The digests that an index names.
pub(crate) fn digests(index: &str) -> Vec<String> {
    let index: Value = serde_json::from_str(index).unwrap();
    let manifests = index["manifests"].as_array().unwrap().iter();
    manifests.map(|one| one["digest"].as_str().unwrap().to_owned()).collect()
}
