#!/bin/busybox sh
# The other yardstick: what a careful person writes by hand with busybox and veritysetup. Never shipped.
/bin/busybox --install -s /bin
export PATH=/bin:/sbin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
{ read -r entry; read -r blocks; read -r root; read -r salt; while read -r module; do insmod "$module"; done; } </params
mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs /run
mkdir /run/state
mount -t ext4 -o nosuid,nodev /dev/vda /run/state
cd "/run/state/images/$entry" || exec sh
losetup -r /dev/loop0 root.img
losetup -r /dev/loop1 root.tree
veritysetup open /dev/loop0 root /dev/loop1 "$root"
mount -t erofs -o ro,nodev /dev/mapper/root /root
mkdir -p /run/state/data/etc/upper /run/state/data/etc/work /run/state/data/var
mount -t overlay -o nosuid,nodev,lowerdir=/root/etc,upperdir=/run/state/data/etc/upper,workdir=/run/state/data/etc/work overlay /root/etc
mount -o bind /run/state/data/var /root/var
for directory in proc sys dev run; do mount -o move /$directory /root/$directory; done
cd /
cp /rest.sh /root/run
exec switch_root /root /bin/sh /run/rest.sh
