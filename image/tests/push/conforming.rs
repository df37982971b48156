//! A registry that has nothing in common with docker-registry: ferro-oci-server, which passes the conformance tests of
//! the OCI distribution specification.

use std::sync::Arc;

use ferro_oci_server::{AppState, InMemoryRegistryMeta, router};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// Runs until it is dropped; what it has is in memory.
pub(crate) struct Conforming {
    host: String,
    _runtime: Runtime,
}

impl Conforming {
    pub(crate) fn start() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let blobs = Arc::new(ferro_blob_store::InMemoryBlobStore::new());
        let app = router(AppState::new(blobs, Arc::new(InMemoryRegistryMeta::new())));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let host = listener.local_addr().unwrap().to_string();
        runtime.spawn(async { axum::serve(listener, app).await });
        Self { host, _runtime: runtime }
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }
}
