//! What a machine boots from: the initramfs, the kernel, the disk.

mod disk;
mod hostile;
mod initrd;
mod invariants;
