# The second half of the other yardstick, in the verified root: one service, and a power-off as shell scripts do it. The root
# cannot be unmounted by who runs from it, so the state file system below it is made read-only. Never shipped.
trap : USR2
SERVICE &
wait
kill -TERM -1
wait
umount /etc /var
mount -o remount,ro /run/state
sync
poweroff -f
