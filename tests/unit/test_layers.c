/* SPDX-License-Identifier: ISC */
/*
 * Kernels that are not here: the calls of landlock.c and sandbox_linux.c go
 * to a stand-in, which answers as a kernel of the Landlock ABI asked for
 * would.
 */
#include <sys/types.h>
#include <sys/syscall.h>

#include <criterion/criterion.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "landlock.h"
#include "layers.h"
#include "sandbox.h"

#define RULESET_FD	1000	/* nobody's */
#define ALL		(CAGE_FILES | CAGE_NET | CAGE_SCOPE)

long	fake_syscall(long, ...);
int	fake_unshare(int);

static long	 abi;		/* negative: an errno */
static int	 create_errno, restrict_errno, unshare_errno;
static uint64_t	 made[3];	/* of the rule set: files, TCP, scopes */
static size_t	 made_size;
static int	 entered;
static unsigned	 rules;		/* added */
static int	 is_file;	/* a rule on a file, not a directory */
static uint64_t	 file_rights;

/* What a kernel of each ABI knows, from its documentation. */
static uint64_t
known(int field)
{
	switch (field) {
	case 0:
		return (abi >= 5 ? 0xffff : abi >= 3 ? 0x7fff :
		    abi == 2 ? 0x3fff : 0x1fff);
	case 1:
		return (abi >= 4 ? 3 : 0);
	default:
		return (abi >= 6 ? 3 : 0);
	}
}

static long
fail(int error)
{
	errno = error;
	return (-1);
}

static long
create(const uint64_t *attr, size_t size, unsigned int flags)
{
	size_t	 fields = abi >= 6 ? 3 : abi >= 4 ? 2 : 1, i;

	if (abi < 0)
		return (fail((int)-abi));
	if (flags == 1)
		return (attr == NULL && size == 0 ? abi : fail(EINVAL));
	if (create_errno != 0)
		return (fail(create_errno));
	if (size > fields * sizeof(*attr))
		return (fail(E2BIG));
	memset(made, 0, sizeof(made));
	memcpy(made, attr, size);
	made_size = size;
	for (i = 0; i < 3; i++) {
		if (made[i] & ~known((int)i))
			return (fail(EINVAL));
	}
	return (made[0] | made[1] | made[2] ? RULESET_FD : fail(ENOMSG));
}

static long
add_rule(int type, const void *rule)
{
	uint64_t	 right;

	if (abi < 4 && type == 2)
		return (fail(EINVAL));
	memcpy(&right, rule, sizeof(right));
	if (right & ~made[type == 2 ? 1 : 0])
		return (fail(EINVAL));
	if (type == 1 && is_file && (right & 0x8) != 0)
		return (fail(EINVAL));
	if (type == 1)
		file_rights = right;
	rules++;
	return (0);
}

long
fake_syscall(long number, ...)
{
	const void	*p;
	va_list		 ap;
	size_t		 size;
	int		 type;
	long		 r = fail(ENOSYS);

	va_start(ap, number);
	if (number == SYS_landlock_create_ruleset) {
		p = va_arg(ap, const void *);
		size = va_arg(ap, size_t);
		r = create(p, size, va_arg(ap, unsigned int));
	} else if (number == SYS_landlock_add_rule) {
		cr_assert_eq(va_arg(ap, int), RULESET_FD);
		type = va_arg(ap, int);
		r = add_rule(type, va_arg(ap, const void *));
	} else if (number == SYS_landlock_restrict_self) {
		cr_assert_eq(va_arg(ap, int), RULESET_FD);
		entered++;
		r = restrict_errno != 0 ? fail(restrict_errno) : 0;
	}
	va_end(ap);
	return (r);
}

int
fake_unshare(int what)
{
	(void)what;
	return (unshare_errno != 0 ? (int)fail(unshare_errno) : 0);
}

TestSuite(layers, .timeout = 30);

static void
expect_layers(uint32_t held, uint32_t missing)
{
	struct layers	 l = layers_own();

	cr_expect_eq(l.held, held, "held %#x", l.held);
	cr_expect_eq(l.missing, missing, "missing %#x", l.missing);
}

/* A worker on a kernel of that ABI. */
static void
worker_on(long number, uint32_t held, uint32_t missing, uint64_t files,
    uint64_t tcp, uint64_t scopes)
{
	struct layers	 l;

	abi = number;
	l = sandbox_of_workers();
	cr_assert_null(sandbox_worker());
	expect_layers(held, missing);
	/* What the spawner foretells is what a worker gets. */
	cr_expect_eq(l.held, held);
	cr_expect_eq(l.missing, missing);
	cr_expect_eq(entered, abi > 0);
	cr_expect_eq(made[0], files);
	cr_expect_eq(made[1], tcp);
	cr_expect_eq(made[2], scopes);
	cr_expect_eq(made_size, files == 0 ? 0 : tcp == 0 ? 8u :
	    scopes == 0 ? 16u : 24u);
}

#define EVERY	(LAYER_FILES | LAYER_TCP | LAYER_SCOPE)

Test(layers, no_landlock)
{
	worker_on(-ENOSYS, 0, EVERY, 0, 0, 0);
}

Test(layers, landlock_turned_off)
{
	worker_on(-EOPNOTSUPP, 0, EVERY, 0, 0, 0);
}

Test(layers, abi_1)
{
	worker_on(1, LAYER_FILES, LAYER_TCP | LAYER_SCOPE, 0x1fff, 0, 0);
}

Test(layers, abi_2)
{
	worker_on(2, LAYER_FILES, LAYER_TCP | LAYER_SCOPE, 0x3fff, 0, 0);
}

Test(layers, abi_3)
{
	worker_on(3, LAYER_FILES, LAYER_TCP | LAYER_SCOPE, 0x7fff, 0, 0);
}

Test(layers, abi_4)
{
	worker_on(4, LAYER_FILES | LAYER_TCP, LAYER_SCOPE, 0x7fff, 3, 0);
}

Test(layers, abi_5)
{
	worker_on(5, LAYER_FILES | LAYER_TCP, LAYER_SCOPE, 0xffff, 3, 0);
}

Test(layers, abi_6)
{
	worker_on(6, EVERY, 0, 0xffff, 3, 3);
}

/* A later one may know more: we ask for what we know. */
Test(layers, abi_of_the_future)
{
	worker_on(99, EVERY, 0, 0xffff, 3, 3);
}

/* Nothing that this kernel could do: no rule set, and it is told. */
Test(layers, only_what_is_not_there)
{
	abi = 3;
	cr_expect_eq(landlock_begin(CAGE_NET | CAGE_SCOPE), -1);
	cr_expect_eq(errno, EOPNOTSUPP);
	expect_layers(0, LAYER_TCP | LAYER_SCOPE);
}

Test(layers, rules_of_ports)
{
	int	 fd;

	abi = 4;
	cr_assert_eq(fd = landlock_begin(ALL), RULESET_FD);
	cr_expect_eq(landlock_connect(fd, 53), 0);
	cr_expect_eq(landlock_bind(fd, 65530, 65535), 0);
	cr_expect_eq(rules, 7);
}

Test(layers, rules_of_ports_that_the_kernel_has_not)
{
	int	 fd;

	abi = 3;
	cr_assert_eq(fd = landlock_begin(ALL), RULESET_FD);
	cr_expect_eq(landlock_connect(fd, 53), 0);
	cr_expect_eq(landlock_bind(fd, 1, 3), 0);
	cr_expect_eq(rules, 0);
}

Test(layers, rules_of_files)
{
	int	 fd;

	abi = 1;
	cr_assert_eq(fd = landlock_begin(CAGE_READ), RULESET_FD);
	cr_expect_eq(landlock_read(fd, 9), 0);
	cr_expect_eq(file_rights, 0xc);		/* READ_FILE, READ_DIR */
	is_file = 1;
	cr_expect_eq(landlock_read(fd, 9), 0);
	cr_expect_eq(file_rights, 0x4);
	cr_expect_eq(landlock_enter(fd, CAGE_READ), 0);
	expect_layers(LAYER_READ, 0);
}

/* A kernel that has it and refuses it is no reason to go on without. */
Test(layers, refused)
{
	const char	*step;

	abi = 6;
	create_errno = ENOMEM;
	cr_assert_not_null(step = sandbox_worker());
	cr_expect_str_eq(step, "landlock_create_ruleset");
	cr_expect_eq(errno, ENOMEM);
	expect_layers(0, 0);
	create_errno = 0;
	restrict_errno = EPERM;
	cr_assert_not_null(step = sandbox_worker());
	cr_expect_str_eq(step, "landlock_restrict_self");
	expect_layers(0, 0);
}

Test(layers, network_of_its_own)
{
	cr_expect_null(sandbox_empty_net());
	expect_layers(LAYER_NO_NET, 0);
}

static void
no_network(int error)
{
	unshare_errno = error;
	cr_expect_null(sandbox_empty_net());
	expect_layers(0, LAYER_NO_NET);
}

Test(layers, container_without_unshare)
{
	no_network(EPERM);
}

Test(layers, kernel_without_namespaces)
{
	no_network(EINVAL);
}

Test(layers, kernel_without_unshare)
{
	no_network(ENOSYS);
}

Test(layers, network_that_should_be_there)
{
	unshare_errno = ENOMEM;
	cr_expect_str_eq(sandbox_empty_net(), "unshare network");
	expect_layers(0, 0);
}

Test(layers, names)
{
	char	 text[LAYERS_TEXT_MAX], small[8];

	cr_expect_str_eq(layers_text(0, text, sizeof(text)), "none");
	cr_expect_str_eq(layers_text(LAYER_USER, text, sizeof(text)), "user");
	cr_expect_str_eq(layers_text(LAYER_TCP | LAYER_CHROOT |
	    LAYER_FILTER, text, sizeof(text)),
	    "chroot,landlock-tcp,seccomp");
	/* All fit; what is no layer has no name; what is too long is cut. */
	(void)layers_text(UINT32_MAX, text, sizeof(text));
	cr_expect_lt(strlen(text), sizeof(text) - 1);
	cr_expect_not_null(strstr(text, ",pledge"));
	cr_expect_str_eq(text + strlen(text) - 6, "pledge");
	cr_expect_str_eq(layers_text(LAYER_ALL, small, sizeof(small)),
	    "user,ch");
}
