/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "landlock.h"
#include "layers.h"
#include "sandbox.h"
#include "sandbox_client.h"
#include "ui.h"

/*
 * What is not in these lists fails with EPERM.  It does not kill, as it does
 * in passd: the libraries for TLS and XMPP are others', of any version, and
 * live without most of what they try.
 */

/* Bytes between the descriptors that are open. */
static const int	 relay_calls[] = {
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(close),
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(recvfrom),
	SCMP_SYS(shutdown), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
	SCMP_SYS(getpeername), SCMP_SYS(getsockname),
	SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(fstatat64),
	SCMP_SYS(fcntl), SCMP_SYS(fcntl64),
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
	SCMP_SYS(clock_gettime), SCMP_SYS(getrandom), SCMP_SYS(getpid),
	SCMP_SYS(gettid), SCMP_SYS(tgkill), SCMP_SYS(futex),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall),
	SCMP_SYS(exit), SCMP_SYS(exit_group),
#ifdef WITH_SANITIZERS
	SCMP_SYS(mprotect), SCMP_SYS(sigaltstack), SCMP_SYS(sched_yield),
	SCMP_SYS(prctl), SCMP_SYS(getrlimit), SCMP_SYS(prlimit64),
	SCMP_SYS(sched_getaffinity), SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(readlink), SCMP_SYS(ptrace),
#endif
};

/* libstrophe and OpenSSL, new connections, children, their signals. */
static const int	 session_calls[] = {
	SCMP_SYS(select), SCMP_SYS(pselect6), SCMP_SYS(connect),
	SCMP_SYS(sendmsg), SCMP_SYS(recvmsg), SCMP_SYS(writev),
	SCMP_SYS(readv),
	SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(wait4), SCMP_SYS(waitid),
	SCMP_SYS(kill),			/* held by Landlock's scope */
	SCMP_SYS(alarm), SCMP_SYS(setitimer),
	SCMP_SYS(getpgrp), SCMP_SYS(getpgid), SCMP_SYS(getppid),
	SCMP_SYS(set_robust_list), SCMP_SYS(rseq),
	SCMP_SYS(uname), SCMP_SYS(sysinfo), SCMP_SYS(sched_yield),
	SCMP_SYS(gettimeofday), SCMP_SYS(time),
	SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
	SCMP_SYS(getegid),		/* OpenSSL: is it set-user-ID? */
	SCMP_SYS(open), SCMP_SYS(openat),	/* held by Landlock */
	SCMP_SYS(lseek), SCMP_SYS(pread64), SCMP_SYS(stat), SCMP_SYS(lstat),
	SCMP_SYS(statx), SCMP_SYS(access), SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2), SCMP_SYS(getdents64), SCMP_SYS(readlink),
	SCMP_SYS(readlinkat), SCMP_SYS(getcwd),
};

/* Files that are received. */
static const int	 write_calls[] = {
	SCMP_SYS(mkdirat), SCMP_SYS(unlinkat), SCMP_SYS(renameat),
	SCMP_SYS(renameat2), SCMP_SYS(linkat), SCMP_SYS(ftruncate),
	SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(fchmod),
	SCMP_SYS(utimensat), SCMP_SYS(flock), SCMP_SYS(pwrite64),
	SCMP_SYS(fallocate), SCMP_SYS(fstatfs), SCMP_SYS(umask),
};

/* Where certificates may be, if no CA file was given. */
static const char *const trust[] = {
	"/etc/ssl", "/usr/lib/ssl", "/etc/pki", "/usr/share/ca-certificates",
	"/usr/local/share/ca-certificates", "/etc/ca-certificates",
};

#define N(a)		(sizeof(a) / sizeof((a)[0]))
#define ARG(n, v)	SCMP_CMP(n, SCMP_CMP_MASKED_EQ, 0xffffffffULL,	\
			    (scmp_datum_t)(v))
#define HAS_NOT(n, v)	SCMP_CMP(n, SCMP_CMP_MASKED_EQ,		\
			    (scmp_datum_t)(v), 0)
#define ALLOW(ctx, call, n, ...)					\
	seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(call), n,	\
	    __VA_ARGS__)

static void
must(int r, const char *what)
{
	if (r != 0)
		exit(ui_fail(EXIT_USAGE, "the sandbox cannot be set up: %s: "
		    "%s", what, strerror(r < 0 ? -r : errno)));
}

static void
allow_all(scmp_filter_ctx ctx, const int *calls, size_t n)
{
	size_t	 i;

	for (i = 0; i < n; i++)
		must(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0),
		    "seccomp rule");
}

static void
relay_rules(scmp_filter_ctx ctx)
{
	allow_all(ctx, relay_calls, N(relay_calls));
	must(ALLOW(ctx, mmap, 1, HAS_NOT(2, PROT_EXEC)), "mmap");
	must(ALLOW(ctx, sendto, 1, HAS_NOT(3, MSG_FASTOPEN)), "sendto");
	/* isatty(3), the foreground group of a terminal; no TIOCSTI. */
	must(ALLOW(ctx, ioctl, 1, ARG(1, TCGETS)), "ioctl");
	must(ALLOW(ctx, ioctl, 1, ARG(1, TIOCGPGRP)), "ioctl");
	must(ALLOW(ctx, ioctl, 1, ARG(1, FIONREAD)), "ioctl");
	must(ALLOW(ctx, ioctl, 1, ARG(1, FIONBIO)), "ioctl");
}

static void
session_rules(scmp_filter_ctx ctx)
{
	static const int	 families[] = { AF_INET, AF_INET6 };
	size_t			 i;

	allow_all(ctx, session_calls, N(session_calls));
	for (i = 0; i < N(families); i++)
		must(ALLOW(ctx, socket, 2, ARG(0, families[i]),
		    SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_STREAM)), "socket");
	must(ALLOW(ctx, socketpair, 1, ARG(0, AF_UNIX)), "socketpair");
	must(ALLOW(ctx, pipe2, 1, HAS_NOT(1, O_DIRECT)), "pipe2");
	/* fork(3), no thread and no namespace. */
	must(ALLOW(ctx, clone, 1, HAS_NOT(0, CLONE_VM | CLONE_NEWNS |
	    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |
	    CLONE_NEWUTS | CLONE_NEWCGROUP)), "clone");
}

static void
filter(enum sandbox_kind kind, int writing)
{
	scmp_filter_ctx	 ctx;

	if ((ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM))) == NULL)
		must(-ENOMEM, "seccomp");
	must(seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH,
	    SCMP_ACT_KILL_PROCESS), "seccomp architecture");
	must(seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2),
	    "seccomp tree");
	relay_rules(ctx);
	if (kind == SANDBOX_SESSION)
		session_rules(ctx);
	if (writing)
		allow_all(ctx, write_calls, N(write_calls));
	must(seccomp_load(ctx), "seccomp");
	seccomp_release(ctx);
	layers_held(LAYER_FILTER);
}

/* Allow one path; what is not there needs no rule. */
static void
allow_path(int rules, const char *path, int writing)
{
	int	 fd;

	if ((fd = open(path, O_PATH | O_CLOEXEC)) == -1)
		return;
	must(writing ? landlock_write(rules, fd) : landlock_read(rules, fd),
	    path);
	(void)close(fd);
}

static void
landlock(enum sandbox_kind kind, const struct sandbox_path *paths, size_t n)
{
	unsigned int	 what = CAGE_FILES | CAGE_SCOPE;
	size_t		 i;
	int		 fd;

	if (kind == SANDBOX_RELAY)
		what |= CAGE_NET;
	if ((fd = landlock_begin(what)) == -1) {
		if (errno != ENOSYS && errno != EOPNOTSUPP)
			must(-1, "Landlock");
		ui_debug("this kernel has no Landlock");
		return;
	}
	for (i = 0; kind == SANDBOX_SESSION && i < N(trust); i++)
		allow_path(fd, trust[i], 0);
	for (i = 0; i < n; i++)
		allow_path(fd, paths[i].path, paths[i].write);
	must(landlock_enter(fd, what), "Landlock");
}

void
sandbox_client(enum sandbox_kind kind, const struct sandbox_path *paths,
    size_t n)
{
	const char	*failed;
	char		 text[LAYERS_TEXT_MAX];
	size_t		 i;
	int		 writing = 0;

	for (i = 0; i < n; i++)
		writing |= paths[i].write;
	if ((failed = sandbox_lock()) != NULL)
		must(-1, failed);
	landlock(kind, paths, n);
	filter(kind, writing);
	ui_debug("sandbox: %s", layers_text(layers_own().held, text,
	    sizeof(text)));
}
