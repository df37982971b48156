//! What must hold whatever the bytes; the fuzz targets of the same names share it.

pub(crate) mod deb;
pub(crate) mod modinfo;
pub(crate) mod vmlinuz;
