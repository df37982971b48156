// The yardstick: just the system calls that a verified boot, one service and a clean power-off need, in order, nothing
// checked twice, no signature, no boot counting, no supervisor. Compiled statically by the benchmarks; never shipped.
//
// Reads /params: the entry's directory below the state file system, the number of data blocks, the root hash, the salt, one a
// line, then the paths of the modules to load, in order.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/loop.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define MUST(call)                                                                                                     \
	if ((call) < 0) {                                                                                              \
		perror(#call);                                                                                         \
		for (;;)                                                                                               \
			pause();                                                                                       \
	}

static char line[512];

static char *next(FILE *params) {
	if (!fgets(line, sizeof line, params))
		return NULL;
	line[strcspn(line, "\n")] = 0;
	return line;
}

static void load(const char *path) {
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	MUST(fd);
	MUST(syscall(SYS_finit_module, fd, "", 0));
	close(fd);
}

static int attach(int control, const char *path, char *device, size_t size) {
	struct loop_config config = {.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR};
	int file = open(path, O_RDONLY | O_CLOEXEC), number = ioctl(control, LOOP_CTL_GET_FREE);
	MUST(file);
	MUST(number);
	snprintf(device, size, "/dev/loop%d", number);
	int loop = open(device, O_RDONLY | O_CLOEXEC);
	MUST(loop);
	config.fd = file;
	MUST(ioctl(loop, LOOP_CONFIGURE, &config));
	close(file);
	return loop;
}

struct request {
	struct dm_ioctl head;
	struct dm_target_spec target;
	char parameters[1024];
};

static struct request request_for(unsigned flags) {
	struct request request = {.head = {.version = {4, 0, 0}, .data_size = sizeof request, .flags = flags}};
	request.head.data_start = offsetof(struct request, target);
	strcpy(request.head.name, "root");
	return request;
}

static void serve(const sigset_t *signals) {
	if (fork() == 0) {
		sigprocmask(SIG_UNBLOCK, signals, NULL);
		MUST(execl(SERVICE, SERVICE, NULL));
	}
}

// Steps into the tmpfs of /run, whence the root and all that is below it can be let go.
static void power_off(int dm) {
	struct request remove = request_for(0);

	kill(-1, SIGTERM);
	while (wait(NULL) > 0)
		;
	sync();
	mkdir("/run/dev", 0755);
	mkdir("/run/root", 0755);
	MUST(mount("/dev", "/run/dev", NULL, MS_MOVE, NULL));
	MUST(chdir("/run"));
	MUST(syscall(SYS_pivot_root, ".", "root"));
	MUST(umount("/root/proc"));
	MUST(umount("/root/sys"));
	MUST(umount("/root/var"));
	MUST(umount("/root/etc"));
	MUST(umount("/root"));
	MUST(ioctl(dm, DM_DEV_REMOVE, &remove));
	// The kernel detaches the loop devices in its own time.
	while (umount("/state") < 0 && errno == EBUSY)
		usleep(1000);
	MUST(reboot(RB_POWER_OFF));
}

int main(void) {
	char entry[256], image[512], tree[512], data[32], hash[32], root[128], salt[256];
	unsigned long blocks;
	sigset_t signals;
	int signal;

	MUST(mount("proc", "/proc", "proc", 0, ""));
	MUST(mount("sysfs", "/sys", "sysfs", 0, ""));
	MUST(mount("devtmpfs", "/dev", "devtmpfs", 0, ""));
	FILE *params = fopen("/params", "re");
	strcpy(entry, next(params));
	blocks = strtoul(next(params), NULL, 10);
	strcpy(root, next(params));
	strcpy(salt, next(params));
	while (next(params))
		load(line);
	fclose(params);

	MUST(mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755"));
	MUST(mkdir("/run/state", 0755));
	MUST(mount("/dev/vda", "/run/state", "ext4", MS_NOSUID | MS_NODEV, ""));
	snprintf(image, sizeof image, "/run/state/images/%s/root.img", entry);
	snprintf(tree, sizeof tree, "/run/state/images/%s/root.tree", entry);

	int loops = open("/dev/loop-control", O_RDWR | O_CLOEXEC), dm = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	MUST(loops);
	MUST(dm);
	int first = attach(loops, image, data, sizeof data), second = attach(loops, tree, hash, sizeof hash);
	struct request create = request_for(DM_READONLY_FLAG), table = request_for(DM_READONLY_FLAG), resume = request_for(0);
	MUST(ioctl(dm, DM_DEV_CREATE, &create));
	table.head.target_count = 1;
	table.target.length = blocks * 8;
	strcpy(table.target.target_type, "verity");
	snprintf(table.parameters, sizeof table.parameters, "1 %s %s 4096 4096 %lu 1 sha256 %s %s", data, hash, blocks, root, salt);
	MUST(ioctl(dm, DM_TABLE_LOAD, &table));
	MUST(ioctl(dm, DM_DEV_SUSPEND, &resume));
	close(first);
	close(second);
	close(loops);

	MUST(mount("/dev/dm-0", "/root", "erofs", MS_RDONLY | MS_NODEV, ""));
	mkdir("/run/state/data", 0755);
	mkdir("/run/state/data/etc", 0755);
	mkdir("/run/state/data/etc/upper", 0755);
	mkdir("/run/state/data/etc/work", 0755);
	MUST(mount("overlay", "/root/etc", "overlay", MS_NOSUID | MS_NODEV,
		   "lowerdir=/root/etc,upperdir=/run/state/data/etc/upper,workdir=/run/state/data/etc/work"));
	mkdir("/run/state/data/var", 0755);
	MUST(mount("/run/state/data/var", "/root/var", NULL, MS_BIND, NULL));
	MUST(mount("/proc", "/root/proc", NULL, MS_MOVE, NULL));
	MUST(mount("/sys", "/root/sys", NULL, MS_MOVE, NULL));
	MUST(mount("/dev", "/root/dev", NULL, MS_MOVE, NULL));
	MUST(mount("/run", "/root/run", NULL, MS_MOVE, NULL));
	MUST(chdir("/root"));
	MUST(mount(".", "/", NULL, MS_MOVE, NULL));
	MUST(chroot("."));
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR2);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	serve(&signals);
	sigwait(&signals, &signal);
	power_off(dm);
}
