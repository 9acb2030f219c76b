/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "cage.h"
#include "landlock.h"

/*
 * The lists: what each process was seen to call, and nothing beside; what no
 * test makes it call has its reason in tests/calls/calls.py.  A call that is
 * not here kills the process; the parent says so in the log.
 */

/* Every process: messages, time, the end. */
static const int	 common_calls[] = {
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(close), SCMP_SYS(recvmsg),
	SCMP_SYS(clock_gettime),	/* where it is no vDSO call */
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(gettid), SCMP_SYS(getpid),
					/* abort(3), arc4random(3) of libbsd */
	SCMP_SYS(exit_group),
#ifdef WITH_SANITIZERS
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
	SCMP_SYS(getrandom), SCMP_SYS(rt_sigreturn), SCMP_SYS(futex),
	SCMP_SYS(exit), SCMP_SYS(restart_syscall),
	SCMP_SYS(mprotect), SCMP_SYS(sigaltstack), SCMP_SYS(sched_yield),
	SCMP_SYS(prctl), SCMP_SYS(rt_sigaction), SCMP_SYS(getrlimit),
	SCMP_SYS(tgkill), SCMP_SYS(sched_getaffinity), SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep),
#endif
};

/* What libc tries and lives without: an error, not a death (resolver: see
 * there). */
static const int	 soft_calls[] = {
	SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(stat), SCMP_SYS(lstat),
	SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(statx),
	SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(readlink),
	SCMP_SYS(readlinkat), SCMP_SYS(uname), SCMP_SYS(ioctl),
#ifndef WITH_SANITIZERS
	SCMP_SYS(writev),	/* last words of malloc(3), to stderr */
#endif
};

/* Spawner and workers: no heap. */
static const int	 worker_calls[] = {
	SCMP_SYS(poll), SCMP_SYS(ppoll),
	SCMP_SYS(restart_syscall),	/* poll(2) after SIGCONT */
	SCMP_SYS(recvfrom), SCMP_SYS(shutdown), SCMP_SYS(getpeername),
	SCMP_SYS(getsockname),		/* msg_recv() */
	/* The fork; inert in a worker, which may have no process. */
	SCMP_SYS(wait4), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(close_range),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(landlock_create_ruleset), SCMP_SYS(landlock_restrict_self),
};

static const int	 control_calls[] = {
	SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2),
	SCMP_SYS(epoll_ctl), SCMP_SYS(recvfrom),
	SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(connect),
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
	SCMP_SYS(getrandom),
	SCMP_SYS(lseek),		/* fclose(3) of the configuration */
	SCMP_SYS(rt_sigaction),		/* abort(3) */
};

/*
 * What getaddrinfo(3) of glibc calls, by nscd(8), or with the modules "files",
 * "dns", "myhostname", "mymachines", "mdns" and "resolve" of nsswitch.conf(5).
 */
static const int	 resolver_calls[] = {
	SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(fstat),
	SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(access),
	SCMP_SYS(faccessat), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
	SCMP_SYS(lseek), SCMP_SYS(pread64),	/* of a module */
	SCMP_SYS(uname),			/* the local domain */
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
	SCMP_SYS(futex),			/* pthread_once(3) */
	SCMP_SYS(getrandom),
	SCMP_SYS(connect), SCMP_SYS(getpeername), SCMP_SYS(getsockname),
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(restart_syscall),
	SCMP_SYS(recvfrom), SCMP_SYS(sendmmsg),
	SCMP_SYS(writev),			/* a question by TCP */
	SCMP_SYS(gettimeofday), SCMP_SYS(time),	/* where it is no vDSO call */
};

struct option {
	int	 level;
	int	 name;
};

static const struct option	 worker_options[] = {
	{ SOL_SOCKET, SO_KEEPALIVE }, { SOL_SOCKET, SO_LINGER },
	{ SOL_SOCKET, SO_OOBINLINE },
	{ IPPROTO_TCP, TCP_NODELAY }, { IPPROTO_TCP, TCP_KEEPIDLE },
	{ IPPROTO_TCP, TCP_KEEPINTVL }, { IPPROTO_TCP, TCP_KEEPCNT },
	{ IPPROTO_TCP, TCP_USER_TIMEOUT },
};

static const struct option	 worker_questions[] = {
	{ SOL_SOCKET, SO_ERROR }, { SOL_SOCKET, SO_TYPE },
	{ SOL_SOCKET, SO_ACCEPTCONN }, { IPPROTO_TCP, TCP_INFO },
};

/* SO_PEERPIDFD is not among them: a handle of the parent. */
static const struct option	 control_questions[] = {
	{ SOL_SOCKET, SO_ERROR }, { SOL_SOCKET, SO_TYPE },
	{ SOL_SOCKET, SO_ACCEPTCONN },
};

static const struct option	 control_options[] = {
	{ SOL_SOCKET, SO_REUSEADDR }, { SOL_SOCKET, SO_KEEPALIVE },
	{ IPPROTO_IPV6, IPV6_V6ONLY }, { IPPROTO_TCP, TCP_NODELAY },
	{ IPPROTO_TCP, TCP_KEEPIDLE }, { IPPROTO_TCP, TCP_KEEPINTVL },
	{ IPPROTO_TCP, TCP_KEEPCNT }, { IPPROTO_TCP, TCP_USER_TIMEOUT },
};

static const struct option	 resolver_options[] = {
	{ SOL_IP, IP_RECVERR }, { SOL_IPV6, IPV6_RECVERR },
};

static const struct option	 resolver_questions[] = {
	{ SOL_SOCKET, SO_ERROR }, { SOL_SOCKET, SO_TYPE },
};

/* Of open(2): all that could change a file, or make one. */
#define OPEN_CHANGES	(O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND)

#define N(a)		(sizeof(a) / sizeof((a)[0]))
/* An int argument: what is above its 32 bits is noise. */
#define ARG(n, v)	SCMP_CMP(n, SCMP_CMP_MASKED_EQ, 0xffffffffULL,	\
			    (scmp_datum_t)(v))
#define HAS_NOT(n, v)	SCMP_CMP(n, SCMP_CMP_MASKED_EQ,		\
			    (scmp_datum_t)(v), 0)
#define ALLOW(ctx, call, n, ...)					\
	seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(call), n,	\
	    __VA_ARGS__)

static int
allow_all(scmp_filter_ctx ctx, const int *calls, size_t n)
{
	size_t	 i;
	int	 r = 0;

	for (i = 0; i < n && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
	return (r);
}

static int
allow_options(scmp_filter_ctx ctx, int call, const struct option *o, size_t n)
{
	size_t	 i;
	int	 r = 0;

	for (i = 0; i < n && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, call, 2,
		    ARG(1, o[i].level), ARG(2, o[i].name));
	return (r);
}

static int
common_rules(scmp_filter_ctx ctx)
{
	int	 r;

	/* A filter for another architecture's calls is a filter for none. */
	if ((r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH,
	    SCMP_ACT_KILL_PROCESS)) != 0 ||
	    (r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2)) != 0 ||
	    (r = allow_all(ctx, common_calls, N(common_calls))) != 0)
		return (r);
#ifndef WITH_SANITIZERS
	/*
	 * By which abort(3), malloc(3) and the stack protector end.  A filter
	 * cannot tell one's own process id from others, so that tgkill(2)
	 * would reach every process of the user.  Refused, they end by an
	 * instruction that is none and SIGSEGV: seen as the crash that it is.
	 */
	if ((r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES),
	    SCMP_SYS(tgkill), 0)) != 0)
		return (r);
#endif
	/* No memory becomes executable. */
	if ((r = ALLOW(ctx, mmap, 1, HAS_NOT(2, PROT_EXEC))) != 0)
		return (r);
	/*
	 * MSG_FASTOPEN connects: from a socket that was a listener once, past
	 * Landlock and an empty network namespace.
	 */
	return (ALLOW(ctx, sendto, 1, HAS_NOT(3, MSG_FASTOPEN)));
}

static int
soft_rules(scmp_filter_ctx ctx)
{
	size_t	 i;
	int	 r = 0;

	for (i = 0; i < N(soft_calls) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES),
		    soft_calls[i], 0);
	return (r);
}

static int
relay_rules(scmp_filter_ctx ctx)
{
	int	 r;

	if ((r = ALLOW(ctx, accept4, 1,
	    ARG(3, SOCK_NONBLOCK | SOCK_CLOEXEC))) != 0 ||
	    (r = ALLOW(ctx, pipe2, 1,
	    ARG(1, O_NONBLOCK | O_CLOEXEC))) != 0 ||
	    (r = ALLOW(ctx, splice, 2, SCMP_A1(SCMP_CMP_EQ, 0, 0),
	    SCMP_A3(SCMP_CMP_EQ, 0, 0))) != 0 ||
	    (r = ALLOW(ctx, fcntl, 1, ARG(1, F_SETPIPE_SZ))) != 0 ||
	    (r = ALLOW(ctx, fcntl, 1, ARG(1, F_GETPIPE_SZ))) != 0 ||
	    (r = ALLOW(ctx, fcntl, 1, ARG(1, F_DUPFD_CLOEXEC))) != 0)
		return (r);
	if ((r = allow_options(ctx, SCMP_SYS(setsockopt), worker_options,
	    N(worker_options))) != 0)
		return (r);
	return (allow_options(ctx, SCMP_SYS(getsockopt), worker_questions,
	    N(worker_questions)));
}

/*
 * No sendmsg(2): spawner and workers receive descriptors and never send any.
 * Whoever closes the last copy of a socket with SO_LINGER waits for its
 * peer, however it came to have it: a peer's connection that a taken worker
 * passes to control would hold up everybody.
 */
static int
worker_rules(scmp_filter_ctx ctx)
{
	int	 r;

	if ((r = soft_rules(ctx)) != 0 ||
	    (r = allow_all(ctx, worker_calls, N(worker_calls))) != 0 ||
	    (r = relay_rules(ctx)) != 0)
		return (r);
	/*
	 * fork(3) as glibc does it, no threads and no namespaces; a limit of
	 * no process makes it inert in a worker.
	 */
	if ((r = ALLOW(ctx, clone, 1, HAS_NOT(0, CLONE_VM | CLONE_FILES |
	    CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |
	    CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP))) != 0)
		return (r);
	/* Of one's own limits only: pid 0. */
	if ((r = ALLOW(ctx, prlimit64, 2, ARG(0, 0),
	    ARG(1, RLIMIT_DATA))) != 0 ||
	    (r = ALLOW(ctx, prlimit64, 2, ARG(0, 0),
	    ARG(1, RLIMIT_NPROC))) != 0)
		return (r);
	/*
	 * The spawner kills with a pidfd, which workers do not have.  Without
	 * flags: one of them makes it the whole process group.
	 */
	return (ALLOW(ctx, pidfd_send_signal, 2, ARG(1, SIGKILL),
	    ARG(3, 0)));
}

static int
control_rules(scmp_filter_ctx ctx)
{
	int	 r;

	if ((r = soft_rules(ctx)) != 0 ||
	    (r = allow_all(ctx, control_calls, N(control_calls))) != 0 ||
	    (r = ALLOW(ctx, sendmsg, 1, HAS_NOT(2, MSG_FASTOPEN))) != 0)
		return (r);
	/* TCP: with MPTCP it could connect past Landlock. */
	if ((r = ALLOW(ctx, socket, 3, ARG(0, AF_INET),
	    SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_STREAM),
	    ARG(2, 0))) != 0 ||
	    (r = ALLOW(ctx, socket, 3, ARG(0, AF_INET6),
	    SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_STREAM),
	    ARG(2, 0))) != 0 ||
	    (r = ALLOW(ctx, socketpair, 2, ARG(0, AF_UNIX),
	    SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_SEQPACKET))) != 0)
		return (r);
	if ((r = ALLOW(ctx, fcntl, 1, ARG(1, F_DUPFD_CLOEXEC))) != 0 ||
	    (r = ALLOW(ctx, fcntl, 1, ARG(1, F_GETFL))) != 0 ||
	    (r = ALLOW(ctx, fcntl, 1, ARG(1, F_SETFD))) != 0 ||
	    (r = ALLOW(ctx, fcntl, 2, ARG(1, F_SETFL),
	    HAS_NOT(2, O_ASYNC))) != 0)
		return (r);
	if ((r = allow_options(ctx, SCMP_SYS(getsockopt), control_questions,
	    N(control_questions))) != 0)
		return (r);
	return (allow_options(ctx, SCMP_SYS(setsockopt), control_options,
	    N(control_options)));
}

/* Sockets to ask with: no raw ones, and no protocol but the usual one. */
static int
resolver_sockets(scmp_filter_ctx ctx)
{
	static const int	 kinds[][2] = {
		{ AF_INET, SOCK_DGRAM }, { AF_INET, SOCK_STREAM },
		{ AF_INET6, SOCK_DGRAM }, { AF_INET6, SOCK_STREAM },
		{ AF_UNIX, SOCK_STREAM },	/* nscd, avahi, resolved */
		{ AF_NETLINK, SOCK_RAW },	/* our own addresses */
	};
	size_t			 i;
	int			 r = 0;

	for (i = 0; i < N(kinds) && r == 0; i++)
		r = ALLOW(ctx, socket, 3, ARG(0, kinds[i][0]),
		    SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf,
		    (scmp_datum_t)kinds[i][1]), ARG(2, 0));
	if (r != 0)
		return (r);
	/*
	 * A netlink socket is bound by an address of 12 bytes.  One of the
	 * internet is longer, so that no port can be had with it.
	 */
	if ((r = ALLOW(ctx, bind, 1, ARG(2, 12))) != 0)
		return (r);
	if ((r = allow_options(ctx, SCMP_SYS(getsockopt), resolver_questions,
	    N(resolver_questions))) != 0)
		return (r);
	return (allow_options(ctx, SCMP_SYS(setsockopt), resolver_options,
	    N(resolver_options)));
}

/*
 * Modules of nsswitch.conf(5) are loaded when a name is looked up that those
 * before did not know, which no harmless look-up makes sure of: a file may be
 * mapped to be executed, but never memory that was, or can be, written to.
 * Nor can a file be: see openat and Landlock.  Whoever takes the resolver can
 * map code that is installed anyway.
 */
static int
resolver_modules(scmp_filter_ctx ctx)
{
	int	 r;

	if ((r = ALLOW(ctx, mmap, 2, ARG(2, PROT_READ | PROT_EXEC),
	    HAS_NOT(3, MAP_ANONYMOUS | MAP_SHARED))) != 0 ||
	    (r = ALLOW(ctx, prctl, 1, ARG(0, PR_CAPBSET_READ))) != 0)
		return (r);
#ifdef WITH_SANITIZERS
	return (0);		/* they have mprotect as it is */
#else
	return (ALLOW(ctx, mprotect, 1, HAS_NOT(2, PROT_EXEC)));
#endif
}

static int
resolver_rules(scmp_filter_ctx ctx)
{
	int	 r;

	if ((r = allow_all(ctx, resolver_calls, N(resolver_calls))) != 0 ||
	    (r = ALLOW(ctx, open, 1, HAS_NOT(1, OPEN_CHANGES))) != 0 ||
	    (r = ALLOW(ctx, openat, 1, HAS_NOT(2, OPEN_CHANGES))) != 0 ||
	    (r = ALLOW(ctx, ioctl, 1, ARG(1, FIONREAD))) != 0 ||
	    (r = ALLOW(ctx, fcntl, 1, ARG(1, F_GETFD))) != 0 ||
	    (r = ALLOW(ctx, fcntl, 1, ARG(1, F_SETFD))) != 0 ||
	    (r = ALLOW(ctx, fcntl, 1, ARG(1, F_GETFL))) != 0 ||
	    (r = ALLOW(ctx, fcntl, 2, ARG(1, F_SETFL),
	    HAS_NOT(2, O_ASYNC))) != 0)
		return (r);
	if ((r = resolver_sockets(ctx)) != 0)
		return (r);
	return (resolver_modules(ctx));
}

static int
rules(scmp_filter_ctx ctx, enum cage cage)
{
	switch (cage) {
	case CAGE_WORKER:
		return (worker_rules(ctx));
	case CAGE_CONTROL:
		return (control_rules(ctx));
	case CAGE_RESOLVER:
		return (resolver_rules(ctx));
	}
	return (-EINVAL);
}

static scmp_filter_ctx
build(enum cage cage)
{
	scmp_filter_ctx	 ctx;
	int		 r;

	if ((ctx = seccomp_init(SCMP_ACT_KILL_PROCESS)) == NULL) {
		errno = ENOMEM;
		return (NULL);
	}
	if ((r = common_rules(ctx)) == 0)
		r = rules(ctx, cage);
	if (r == 0)
		return (ctx);
	seccomp_release(ctx);
	errno = -r;
	return (NULL);
}

int
cage_file(const char *label)
{
	return (memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING));
}

/* From here on nobody who holds it can change it. */
static int
seal(int fd)
{
	return (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK |
	    F_SEAL_GROW | F_SEAL_WRITE));
}

/* Return 0, or -1 with errno. */
static int
copy(int to, int from)
{
	static char	 buf[16384];
	size_t		 total = 0;
	ssize_t		 n;

	while ((n = read(from, buf, sizeof(buf))) > 0) {
		total += (size_t)n;
		if (total > CAGE_COPY_MAX) {
			errno = EFBIG;
			return (-1);
		}
		if (write(to, buf, (size_t)n) != n)
			return (-1);
	}
	return (n == -1 || lseek(to, 0, SEEK_SET) == -1 ? -1 : 0);
}

int
cage_copy(int from)
{
	int	 fd, saved;

	if ((fd = cage_file("configuration")) == -1)
		return (-1);
	if (copy(fd, from) == 0 && seal(fd) == 0)
		return (fd);
	saved = errno;
	(void)close(fd);
	errno = saved;
	return (-1);
}

int
cage_worker_filter(void)
{
	scmp_filter_ctx	 ctx;
	int		 fd, r;

	if ((ctx = build(CAGE_WORKER)) == NULL)
		return (-1);
	fd = cage_file("filter");
	if (fd != -1 && (r = seccomp_export_bpf(ctx, fd)) != 0) {
		(void)close(fd);
		fd = -1;
		errno = -r;
	}
	seccomp_release(ctx);
	if (fd != -1 && seal(fd) == -1) {
		(void)close(fd);
		return (-1);
	}
	return (fd);
}

int
cage_print(enum cage cage, int fd)
{
	scmp_filter_ctx	 ctx;
	int		 r;

	if ((ctx = build(cage)) == NULL)
		return (-1);
	r = seccomp_export_pfc(ctx, fd);
	seccomp_release(ctx);
	return (r == 0 ? 0 : -1);
}

static const char *
fence(const struct sandbox_net *net)
{
	size_t	 i;
	int	 fd;

	fd = landlock_begin(CAGE_FILES | CAGE_NET | CAGE_SCOPE);
	if (fd == -1)
		return (errno == ENOSYS || errno == EOPNOTSUPP ? NULL :
		    "landlock_create_ruleset");
	if (net->connect[0] != 0 &&
	    landlock_connect(fd, net->connect[0]) == -1)
		return ("landlock_add_rule connect");
	for (i = 0; i < 2; i++) {
		if (net->bind_lo[i] != 0 && landlock_bind(fd,
		    net->bind_lo[i], net->bind_hi[i]) == -1)
			return ("landlock_add_rule bind");
	}
	return (landlock_enter(fd, CAGE_FILES | CAGE_NET | CAGE_SCOPE) == -1 ?
	    "landlock_restrict_self" : NULL);
}

/* For this process alone. */
static const char *
install(enum cage cage)
{
	scmp_filter_ctx	 ctx;
	int		 r;

	if ((ctx = build(cage)) == NULL)
		return ("filter");
	r = seccomp_load(ctx);
	seccomp_release(ctx);
	errno = r < 0 ? -r : 0;
	if (r != 0)
		return ("seccomp");
	layers_held(LAYER_FILTER);
	return (NULL);
}

const char *
sandbox_control(const struct sandbox_net *net)
{
	const char	*failed;

	if ((failed = fence(net)) != NULL)
		return (failed);
	return (install(CAGE_CONTROL));
}

/*
 * What is read to look up a name, and where modules and what they need are
 * installed.  The secret is next to these files: as an ordinary user the
 * resolver would be free to read it.
 */
static const char *const	 readable[] = {
	"/etc/gai.conf", "/etc/host.conf", "/etc/hostname", "/etc/hosts",
	"/etc/ld.so.cache", "/etc/machine-id", "/etc/mdns.allow",
	"/etc/networks", "/etc/nsswitch.conf", "/etc/protocols",
	"/etc/resolv.conf", "/etc/services",
	"/run/systemd", "/var/lib/misc",
	"/usr", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store",
};

static const char *
allow_reading(int fd)
{
	size_t	 i;
	int	 path, r;

	for (i = 0; i < N(readable); i++) {
		if ((path = open(readable[i], O_PATH | O_CLOEXEC)) == -1)
			continue;	/* not on this system */
		r = landlock_read(fd, path);
		(void)close(path);
		if (r == -1)
			return ("landlock_add_rule");
	}
	return (NULL);
}

#define RESOLVER_DOMAIN	(CAGE_READ | CAGE_NET | CAGE_SCOPE)
#define DOMAIN_PORT	53

const char *
sandbox_resolver(void)
{
	const char	*failed;
	int		 fd;

	if ((fd = landlock_begin(RESOLVER_DOMAIN)) != -1) {
		if ((failed = allow_reading(fd)) != NULL)
			return (failed);
		/* Answers that are too long for a packet come by TCP. */
		if (landlock_connect(fd, DOMAIN_PORT) == -1)
			return ("landlock_add_rule connect");
		if (landlock_enter(fd, RESOLVER_DOMAIN) == -1)
			return ("landlock_restrict_self");
	} else if (errno != ENOSYS && errno != EOPNOTSUPP)
		return ("landlock_create_ruleset");
	return (install(CAGE_RESOLVER));
}
