/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#include <linux/openat2.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "escape.h"

#define FILE_	attempt_path(p, "file")
#define NEW	attempt_path(p, "new")

/* "/proc/PID/name" */
static const char *
proc_path(int32_t pid, const char *name)
{
	static char	 path[64];
	char		 digits[12];
	size_t		 i = sizeof(digits);

	digits[--i] = '\0';
	do {
		digits[--i] = (char)('0' + pid % 10);
	} while ((pid /= 10) > 0);
	(void)strlcpy(path, "/proc/", sizeof(path));
	(void)strlcat(path, digits + i, sizeof(path));
	(void)strlcat(path, name, sizeof(path));
	return (path);
}

/* ---- to read ------------------------------------------------------------*/

TRY(do_openat, SYS_openat, AT_FDCWD, FILE_, O_RDONLY)
TRY(open_passwd, SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY)
TRY(open_root, SYS_openat, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY)
TRY(open_path, SYS_openat, AT_FDCWD, "/", O_PATH)
TRY(open_proc, SYS_openat, AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY)
TRY(own_memory, SYS_openat, AT_FDCWD, "/proc/self/mem", O_RDWR)
TRY(own_descriptor, SYS_openat, AT_FDCWD, "/proc/self/fd/0", O_RDWR)
TRY(sibling_memory, SYS_openat, AT_FDCWD, proc_path(p->r.sibling, "/mem"),
    O_RDWR)
TRY(parent_memory, SYS_openat, AT_FDCWD, proc_path(p->r.parent, "/mem"),
    O_RDWR)
TRY(parent_fd, SYS_openat, AT_FDCWD, proc_path(p->r.parent, "/fd"),
    O_RDONLY | O_DIRECTORY)
TRY(control_environ, SYS_openat, AT_FDCWD,
    proc_path(p->r.control, "/environ"), O_RDONLY)
#ifdef SYS_open
TRY(do_open, SYS_open, FILE_, O_RDONLY)
TRY(do_stat, SYS_stat, FILE_, &(struct stat){ .st_size = 0 })
TRY(do_lstat, SYS_lstat, FILE_, &(struct stat){ .st_size = 0 })
TRY(do_access, SYS_access, FILE_, R_OK)
#endif
#ifdef SYS_newfstatat
TRY(do_fstatat, SYS_newfstatat, AT_FDCWD, FILE_,
    &(struct stat){ .st_size = 0 }, 0)
#endif
TRY(do_fstat, SYS_fstat, p->peer, &(struct stat){ .st_size = 0 })
TRY(do_statx, SYS_statx, AT_FDCWD, FILE_, 0, STATX_ALL,
    &(struct statx){ .stx_size = 0 })
TRY(do_faccessat, SYS_faccessat, AT_FDCWD, FILE_, R_OK)
TRY(do_readlinkat, SYS_readlinkat, AT_FDCWD, "/proc/self/exe",
    &(char){ 0 }, 1L)
TRY(do_statfs, SYS_statfs, p->r.dir, &(struct statfs){ .f_type = 0 })
TRY(do_chdir, SYS_chdir, p->r.dir)
TRY(do_inotify, SYS_inotify_init1, 0)

static int
do_openat2(const struct prey *p)
{
	struct open_how	 how;

	memset(&how, 0, sizeof(how));
	how.flags = O_RDONLY;
	return (attempt_result(syscall(SYS_openat2, AT_FDCWD, FILE_, &how,
	    sizeof(how))));
}

static int
do_handle(const struct prey *p)
{
	struct file_handle	 h = { .handle_bytes = 0 };
	int			 mount_id;

	return (attempt_result(syscall(SYS_name_to_handle_at, AT_FDCWD,
	    FILE_, &h, &mount_id, 0)));
}

static int
do_getcwd(const struct prey *p)
{
	char	 buf[4096];

	(void)p;
	return (attempt_result(syscall(SYS_getcwd, buf, sizeof(buf))));
}

/* ---- to change ----------------------------------------------------------*/

static int
and_remove(const struct prey *p, int error, int dir)
{
	if (error == 0)
		(void)unlinkat(AT_FDCWD, NEW, dir ? AT_REMOVEDIR : 0);
	return (error);
}

static int
do_create(const struct prey *p)
{
	return (and_remove(p, attempt_result(syscall(SYS_openat, AT_FDCWD,
	    NEW, O_WRONLY | O_CREAT | O_EXCL, 0600)), 0));
}

static int
do_mkdir(const struct prey *p)
{
	return (and_remove(p, attempt_result(syscall(SYS_mkdirat, AT_FDCWD,
	    NEW, 0700)), 1));
}

static int
do_symlink(const struct prey *p)
{
	return (and_remove(p, attempt_result(syscall(SYS_symlinkat, "/",
	    AT_FDCWD, NEW)), 0));
}

static int
do_mkfifo(const struct prey *p)
{
	return (and_remove(p, attempt_result(syscall(SYS_mknodat, AT_FDCWD,
	    NEW, S_IFIFO | 0600, 0)), 0));
}

static int
do_disk(const struct prey *p)
{
	return (and_remove(p, attempt_result(syscall(SYS_mknodat, AT_FDCWD,
	    NEW, S_IFBLK | 0600, 0x700)), 0));
}

static int
do_link(const struct prey *p)
{
	char	 from[128];

	(void)strlcpy(from, FILE_, sizeof(from));
	return (and_remove(p, attempt_result(syscall(SYS_linkat, AT_FDCWD,
	    from, AT_FDCWD, NEW, 0)), 0));
}

TRY(do_unlink, SYS_unlinkat, AT_FDCWD, NEW, 0)
TRY(do_rename, SYS_renameat2, AT_FDCWD, NEW, AT_FDCWD, "x", 0)
TRY(do_chmod, SYS_fchmodat, AT_FDCWD, FILE_, 0644)
TRY(do_chown, SYS_fchownat, AT_FDCWD, FILE_, -1, -1, 0)
TRY(do_truncate, SYS_truncate, FILE_, 1L)
TRY(do_utimes, SYS_utimensat, AT_FDCWD, FILE_, NULL, 0)
TRY(do_memfd, SYS_memfd_create, "x", 0)
TRY(do_secret, SYS_memfd_secret, 0)
TRY(do_chroot, SYS_chroot, "/")
TRY(do_fanotify, SYS_fanotify_init, 0, O_RDONLY)
TRY(do_fsopen, SYS_fsopen, "tmpfs", 0)
TRY(do_open_tree, SYS_open_tree, AT_FDCWD, "/", 0)
TRY(do_umount, SYS_umount2, p->r.dir, 0)

static int
do_mount(const struct prey *p)
{
	int	 error;

	error = attempt_result(syscall(SYS_mount, "none", p->r.dir, "tmpfs",
	    0L, NULL));
	if (error == 0)
		(void)umount2(p->r.dir, MNT_DETACH);
	return (error);
}

/* ---- System V, and queues -----------------------------------------------*/

static int
do_shm(const struct prey *p)
{
	long	 id = syscall(SYS_shmget, IPC_PRIVATE, 4096L, 0600);

	(void)p;
	if (id != -1)
		(void)syscall(SYS_shmctl, id, IPC_RMID, NULL);
	return (attempt_result(id));
}

static int
do_sem(const struct prey *p)
{
	long	 id = syscall(SYS_semget, IPC_PRIVATE, 1, 0600);

	(void)p;
	if (id != -1)
		(void)syscall(SYS_semctl, id, 0, IPC_RMID, NULL);
	return (attempt_result(id));
}

static int
do_msg(const struct prey *p)
{
	long	 id = syscall(SYS_msgget, IPC_PRIVATE, 0600);

	(void)p;
	if (id != -1)
		(void)syscall(SYS_msgctl, id, IPC_RMID, NULL);
	return (attempt_result(id));
}

#define W	A_WORKER
#define C	A_CONTROL
#define R	A_ROOT
#define K	A_KERNEL

const struct attempt	 file_attempts[] = {
#ifdef SYS_open
	{ "open a file for all", do_open, W | C, 0, NULL },
	{ "stat it", do_stat, W | C, 0, NULL },
	{ "lstat it", do_lstat, W | C, 0, NULL },
	{ "access it", do_access, W | C, 0, NULL },
#endif
#ifdef SYS_newfstatat
	{ "newfstatat it", do_fstatat, W | C, 0, NULL },
#endif
	{ "openat it", do_openat, W | C, 0, NULL },
	{ "openat2 it", do_openat2, W | C, 0, NULL },
	{ "statx it", do_statx, W | C, 0, NULL },
	{ "faccessat it", do_faccessat, W | C, 0, NULL },
	{ "truncate it", do_truncate, W, 0, NULL },
	{ "chmod it", do_chmod, W, 0, NULL },
	{ "chown it", do_chown, W, 0, NULL },
	{ "utimensat it", do_utimes, W, 0, NULL },
	{ "link it", do_link, W | K, 0, NULL },
	{ "name_to_handle_at it", do_handle, W | K, EOVERFLOW, NULL },
	{ "fstat a socket of its own", do_fstat, W | C, 0, NULL },
	{ "open /etc/passwd", open_passwd, W | C, 0, NULL },
	{ "open /", open_root, W | C, 0, NULL },
	{ "open / with O_PATH", open_path, W | C, 0, NULL },
	{ "open /proc", open_proc, W | C, 0, NULL },
	{ "open /proc/self/mem", own_memory, W | C, 0, NULL },
	{ "open /proc/self/fd/0", own_descriptor, W | C, 0, NULL },
	{ "open a sibling's memory", sibling_memory, W | C | K, 0, NULL },
	{ "open the parent's memory", parent_memory, W | C | K, 0, NULL },
	{ "list the parent's descriptors", parent_fd, W | C, 0, NULL },
	{ "open control's environment", control_environ, W, 0, NULL },
	{ "readlink /proc/self/exe", do_readlinkat, W | C, 0, NULL },
	{ "statfs", do_statfs, W, 0, NULL },
	{ "chdir", do_chdir, W, 0, NULL },
	{ "getcwd", do_getcwd, W, 0, NULL },
	{ "inotify_init1", do_inotify, W, 0, NULL },
	{ "fanotify_init", do_fanotify, W | R | K, 0, NULL },
	{ "create a file", do_create, W | C, 0, NULL },
	{ "mkdir", do_mkdir, W, 0, NULL },
	{ "symlink", do_symlink, W, 0, NULL },
	{ "mknod a FIFO", do_mkfifo, W, 0, NULL },
	{ "mknod a disk", do_disk, W | R | K, 0, NULL },
	{ "unlink", do_unlink, W, ENOENT, NULL },
	{ "rename", do_rename, W, ENOENT, NULL },
	{ "memfd_create", do_memfd, W, 0, NULL },
	{ "memfd_secret", do_secret, W | K, 0, NULL },
	{ "chroot", do_chroot, W | C | R, 0, NULL },
	{ "mount", do_mount, W | C | R | K, 0, NULL },
	{ "umount2", do_umount, W | R, EINVAL, NULL },
	{ "fsopen", do_fsopen, W | R | K, 0, NULL },
	{ "open_tree", do_open_tree, W | K, 0, NULL },
	{ "shmget", do_shm, W | K, 0, NULL },
	{ "semget", do_sem, W | K, 0, NULL },
	{ "msgget", do_msg, W | K, 0, NULL },
	{ NULL, NULL, 0, 0, NULL }
};
