//! Kernel modules, as far as one must know them without `depmod`: what a module says about itself,
//! which modules a kernel has, and in which order the wanted ones load.

mod builtin;
mod catalogue;
mod check;
mod modinfo;
mod module_file;
mod plan;
mod store;

pub use catalogue::Catalogue;
pub use check::check_modules;
pub use modinfo::Modinfo;
pub use plan::{Need, Plan, Planned, Wanted};

#[cfg(test)]
pub(crate) use modinfo::tests;
