//! What a machine boots from: the initramfs, the kernel, the disk.

mod disk;
mod initrd;
