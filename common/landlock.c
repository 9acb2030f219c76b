/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/syscall.h>

#include <errno.h>
#include <unistd.h>

#include "landlock.h"

/*
 * Our own constants: the headers of a distribution know the ABI of its own
 * kernel, the program may run on a later one.
 */
#define CREATE_VERSION		1u
#define RULE_PATH_BENEATH	1
#define RULE_NET_PORT		2

#define FS_WRITE_FILE		(UINT64_C(1) << 1)
#define FS_READ_FILE		(UINT64_C(1) << 2)
#define FS_READ_DIR		(UINT64_C(1) << 3)
#define FS_REMOVE_DIR		(UINT64_C(1) << 4)
#define FS_REMOVE_FILE		(UINT64_C(1) << 5)
#define FS_MAKE_DIR		(UINT64_C(1) << 7)
#define FS_MAKE_REG		(UINT64_C(1) << 8)
#define FS_ABI1			((UINT64_C(1) << 13) - 1)
#define FS_REFER		(UINT64_C(1) << 13)	/* ABI 2 */
#define FS_TRUNCATE		(UINT64_C(1) << 14)	/* ABI 3 */
#define FS_IOCTL_DEV		(UINT64_C(1) << 15)	/* ABI 5 */
#define NET_BIND_TCP		(UINT64_C(1) << 0)	/* ABI 4 */
#define NET_CONNECT_TCP		(UINT64_C(1) << 1)
#define SCOPE_ALL		UINT64_C(3)		/* ABI 6 */

struct ruleset {
	uint64_t	 fs;
	uint64_t	 net;
	uint64_t	 scoped;
};

struct path_beneath {
	uint64_t	 allowed;
	int32_t		 parent_fd;
} __attribute__((__packed__));

struct net_port {
	uint64_t	 allowed;
	uint64_t	 port;
};

int
landlock_abi(void)
{
	static long	 abi = -1;	/* asked once: filters come after */

	if (abi == -1)
		abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
		    CREATE_VERSION);
	if (abi < 0)
		abi = 0;
	return ((int)abi);
}

/* All rights on files that ABI ${abi} knows: what is not named is allowed. */
static uint64_t
all_files(int abi)
{
	uint64_t	 fs = FS_ABI1;

	if (abi >= 2)
		fs |= FS_REFER;
	if (abi >= 3)
		fs |= FS_TRUNCATE;
	if (abi >= 5)
		fs |= FS_IOCTL_DEV;
	return (fs);
}

static void
add(struct layers *l, int wanted, uint32_t bits, int has)
{
	if (wanted && has)
		l->held |= bits;
	else if (wanted)
		l->missing |= bits;
}

struct layers
landlock_layers(unsigned int what)
{
	struct layers	 l = { 0, 0 };
	int		 abi = landlock_abi();

	add(&l, what & CAGE_FILES, LAYER_FILES, abi >= 1);
	add(&l, what & CAGE_READ, LAYER_READ, abi >= 1);
	add(&l, what & CAGE_NET, LAYER_TCP, abi >= 4);
	add(&l, what & CAGE_SCOPE, LAYER_SCOPE, abi >= 6);
	return (l);
}

static void
remember(unsigned int what)
{
	struct layers	 l = landlock_layers(what);

	layers_held(l.held);
	layers_missing(l.missing);
}

int
landlock_begin(unsigned int what)
{
	struct ruleset	 rs = { 0, 0, 0 };
	size_t		 size = sizeof(rs.fs);
	int		 abi = landlock_abi();

	if (abi == 0) {
		remember(what);
		errno = ENOSYS;
		return (-1);
	}
	if (what & (CAGE_FILES | CAGE_READ))
		rs.fs = all_files(abi);
	if (abi >= 4) {
		size = sizeof(rs.fs) + sizeof(rs.net);
		if (what & CAGE_NET)
			rs.net = NET_BIND_TCP | NET_CONNECT_TCP;
	}
	if (abi >= 6) {
		size = sizeof(rs);
		if (what & CAGE_SCOPE)
			rs.scoped = SCOPE_ALL;
	}
	if (rs.fs == 0 && rs.net == 0 && rs.scoped == 0) {
		remember(what);
		errno = EOPNOTSUPP;
		return (-1);
	}
	return ((int)syscall(SYS_landlock_create_ruleset, &rs, size, 0));
}

static int
allow_port(int fd, uint64_t right, uint16_t port)
{
	struct net_port	 rule = { right, port };

	if (landlock_abi() < 4)
		return (0);
	return ((int)syscall(SYS_landlock_add_rule, fd, RULE_NET_PORT, &rule,
	    0));
}

int
landlock_connect(int fd, uint16_t port)
{
	return (allow_port(fd, NET_CONNECT_TCP, port));
}

int
landlock_bind(int fd, uint16_t lo, uint16_t hi)
{
	uint32_t	 port;

	for (port = lo; port <= hi; port++) {
		if (allow_port(fd, NET_BIND_TCP, (uint16_t)port) == -1)
			return (-1);
	}
	return (0);
}

int
landlock_read(int fd, int path)
{
	struct path_beneath	 rule = { FS_READ_FILE | FS_READ_DIR, path };

	if (syscall(SYS_landlock_add_rule, fd, RULE_PATH_BENEATH, &rule,
	    0) == 0)
		return (0);
	if (errno != EINVAL)
		return (-1);
	rule.allowed = FS_READ_FILE;	/* it is no directory */
	return ((int)syscall(SYS_landlock_add_rule, fd, RULE_PATH_BENEATH,
	    &rule, 0));
}

int
landlock_write(int fd, int dir)
{
	struct path_beneath	 rule = { FS_READ_FILE | FS_READ_DIR |
				    FS_WRITE_FILE | FS_REMOVE_DIR |
				    FS_REMOVE_FILE | FS_MAKE_DIR |
				    FS_MAKE_REG, dir };

	if (landlock_abi() >= 2)
		rule.allowed |= FS_REFER;
	if (landlock_abi() >= 3)
		rule.allowed |= FS_TRUNCATE;
	return ((int)syscall(SYS_landlock_add_rule, fd, RULE_PATH_BENEATH,
	    &rule, 0));
}

int
landlock_enter(int fd, unsigned int what)
{
	long	 r;

	r = syscall(SYS_landlock_restrict_self, fd, 0);
	(void)close(fd);
	if (r != 0)
		return (-1);
	remember(what);
	return (0);
}
