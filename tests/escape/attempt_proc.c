/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/kcmp.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <linux/seccomp.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "escape.h"

#define STACK_SIZE	65536
#define PIDFD_SELF	(-10001)	/* Linux 6.14: its own process */
#define TO_PROCESS_GROUP	4		/* Linux 6.9 */

/* A signal that is ignored unless somebody wants it. */
#define HARMLESS	SIGWINCH

extern char	**environ;

/* ---- new processes ------------------------------------------------------*/

static int
child(long pid)
{
	int	 error = errno;

	if (pid == 0)
		_exit(0);
	if (pid == -1)
		return (error);
	(void)waitpid((pid_t)pid, NULL, __WALL);
	return (0);
}

#ifdef SYS_fork
static int
do_fork(const struct prey *p)
{
	(void)p;
	return (child(syscall(SYS_fork)));
}
#endif

#ifdef SYS_vfork
static int
do_vfork(const struct prey *p)
{
	pid_t	 pid;

	(void)p;
	if ((pid = vfork()) == 0)
		_exit(0);
	return (pid == -1 ? errno : 0);
}
#endif

static int
clone_with(unsigned long flags)
{
	return (child(syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL,
	    0UL)));
}

static int
clone_plain(const struct prey *p)
{
	(void)p;
	return (clone_with(0));
}

static int
clone_parent(const struct prey *p)
{
	(void)p;
	return (clone_with(CLONE_PARENT));
}

static int
clone_user(const struct prey *p)
{
	(void)p;
	return (clone_with(CLONE_NEWUSER));
}

static int
clone_net(const struct prey *p)
{
	(void)p;
	return (clone_with(CLONE_NEWUSER | CLONE_NEWNET));
}

static int
clone_pidfd(const struct prey *p)
{
	int	 fd = -1;

	(void)p;
	return (child(syscall(SYS_clone, (unsigned long)(CLONE_PIDFD |
	    SIGCHLD), NULL, &fd, NULL, 0UL)));
}

static int
thread(void *arg)
{
	(void)arg;
	return (0);
}

static int
clone_thread(const struct prey *p)
{
	static char	 stack[STACK_SIZE] __attribute__((__aligned__(16)));

	(void)p;
	return (child(clone(thread, stack + sizeof(stack),
	    CLONE_VM | SIGCHLD, NULL)));
}

static int
do_clone3(const struct prey *p)
{
	struct clone_args	 args;

	(void)p;
	memset(&args, 0, sizeof(args));
	args.exit_signal = SIGCHLD;
	return (child(syscall(SYS_clone3, &args, sizeof(args))));
}

/* ---- new programs -------------------------------------------------------*/

static char	 sh[] = "sh", dash_c[] = "-c", command[] = "exit 77";
static char	*exec_argv[] = { sh, dash_c, command, NULL };

TRY(do_execve, SYS_execve, "/bin/sh", exec_argv, environ)
TRY(do_execveat, SYS_execveat, AT_FDCWD, "/bin/sh", exec_argv, environ, 0)

static int
exec_memfd(const struct prey *p)
{
	static const char	 text[] = "#!/bin/sh\nexit 77\n";
	long			 fd;

	(void)p;
	if ((fd = syscall(SYS_memfd_create, "x", 0)) == -1 ||
	    write((int)fd, text, sizeof(text) - 1) == -1)
		return (errno);
	return (attempt_result(syscall(SYS_execveat, (int)fd, "", exec_argv,
	    environ, AT_EMPTY_PATH)));
}

/* ---- other processes ----------------------------------------------------*/

TRY(kill_sibling, SYS_kill, p->r.sibling, HARMLESS)
TRY(kill_spawner, SYS_kill, p->r.spawner, HARMLESS)
TRY(kill_parent, SYS_kill, p->r.parent, HARMLESS)
TRY(kill_control, SYS_kill, p->r.control, HARMLESS)
TRY(kill_group, SYS_kill, 0, 0)
TRY(tgkill_sibling, SYS_tgkill, p->r.sibling, p->r.sibling, HARMLESS)
TRY(tgkill_spawner, SYS_tgkill, p->r.spawner, p->r.spawner, HARMLESS)
TRY(tgkill_parent, SYS_tgkill, p->r.parent, p->r.parent, HARMLESS)
TRY(tgkill_control, SYS_tgkill, p->r.control, p->r.control, HARMLESS)
TRY(tkill_sibling, SYS_tkill, p->r.sibling, HARMLESS)
TRY(open_pidfd, SYS_pidfd_open, p->r.sibling, 0)
/* Without a pidfd: descriptors of another kind, itself, its own group. */
TRY(pidfd_signal, SYS_pidfd_send_signal, p->channel, SIGWINCH, NULL, 0)
TRY(pidfd_kill, SYS_pidfd_send_signal, p->channel, SIGKILL, NULL, 0)
TRY(pidfd_group, SYS_pidfd_send_signal, PIDFD_SELF, SIGKILL, NULL,
    TO_PROCESS_GROUP)
TRY(seize_sibling, SYS_ptrace, (long)PTRACE_SEIZE, (long)p->r.sibling, 0L, 0L)
TRY(seize_parent, SYS_ptrace, (long)PTRACE_SEIZE, (long)p->r.parent, 0L, 0L)
TRY(seize_control, SYS_ptrace, (long)PTRACE_SEIZE, (long)p->r.control, 0L, 0L)
TRY(trace_me, SYS_ptrace, (long)PTRACE_TRACEME, 0L, 0L, 0L)

static int
queue_signal(const struct prey *p)
{
	siginfo_t	 si;

	memset(&si, 0, sizeof(si));
	si.si_code = SI_QUEUE;
	return (attempt_result(syscall(SYS_rt_sigqueueinfo, p->r.sibling,
	    HARMLESS, &si)));
}

static int
queue_thread(const struct prey *p)
{
	siginfo_t	 si;

	memset(&si, 0, sizeof(si));
	si.si_code = SI_QUEUE;
	return (attempt_result(syscall(SYS_rt_tgsigqueueinfo, p->r.parent,
	    p->r.parent, HARMLESS, &si)));
}

static int
steal_descriptor(const struct prey *p)
{
	long	 fd = syscall(SYS_pidfd_open, p->r.sibling, 0);

	if (fd == -1)
		return (errno);
	return (attempt_result(syscall(SYS_pidfd_getfd, (int)fd, 3, 0)));
}

/* The same program at the same place: it is a fork of the same spawner. */
static int
read_sibling(const struct prey *p)
{
	char		 buf[8];
	struct iovec	 here = { buf, sizeof(buf) };
	struct iovec	 there = { exec_argv, sizeof(buf) };

	return (attempt_result(syscall(SYS_process_vm_readv,
	    (long)p->r.sibling, &here, 1L, &there, 1L, 0L)));
}

static int
write_sibling(const struct prey *p)
{
	struct iovec	 iov = { exec_argv, 8 };

	return (attempt_result(syscall(SYS_process_vm_writev,
	    (long)p->r.sibling, &iov, 1L, &iov, 1L, 0L)));
}

static int
limit(pid_t pid, int resource)
{
	struct rlimit	 rl;

	if (syscall(SYS_prlimit64, pid, resource, NULL, &rl) == -1)
		return (errno);
	return (attempt_result(syscall(SYS_prlimit64, pid, resource, &rl,
	    NULL)));
}

static int
limit_sibling(const struct prey *p)
{
	return (limit(p->r.sibling, RLIMIT_NOFILE));
}

static int
core_of_sibling(const struct prey *p)
{
	return (limit(p->r.sibling, RLIMIT_CORE));
}

static int
limit_parent(const struct prey *p)
{
	return (limit(p->r.parent, RLIMIT_NOFILE));
}

static int
limit_itself(const struct prey *p)
{
	(void)p;
	return (limit(0, RLIMIT_NOFILE));
}

static int
set_limit(int resource, rlim_t value)
{
	const struct rlimit	 rl = { value, value };

	return (attempt_result(syscall(SYS_prlimit64, 0, resource, &rl,
	    NULL)));
}

/* RLIMIT_NPROC 0 makes fork(2) inert: it must stay. */
static int
raise_processes(const struct prey *p)
{
	(void)p;
	return (set_limit(RLIMIT_NPROC, 64));
}

static int
raise_memory(const struct prey *p)
{
	(void)p;
	return (set_limit(RLIMIT_DATA, 1 << 30));
}

static int
schedule_sibling(const struct prey *p)
{
	struct sched_param	 param = { 0 };

	return (attempt_result(syscall(SYS_sched_setscheduler, p->r.sibling,
	    SCHED_BATCH, &param)));
}

static int
affinity_sibling(const struct prey *p)
{
	cpu_set_t	 set;

	memset(&set, 0xff, sizeof(set));
	return (attempt_result(syscall(SYS_sched_setaffinity, p->r.sibling,
	    sizeof(set), &set)));
}

TRY(nice_sibling, SYS_setpriority, PRIO_PROCESS, p->r.sibling, 1)
TRY(io_sibling, SYS_ioprio_set, 1, p->r.sibling, 2 << 13 | 4)
TRY(compare_sibling, SYS_kcmp, (long)getpid(), (long)p->r.sibling,
    (long)KCMP_VM, 0L, 0L)
TRY(session_of_sibling, SYS_getsid, p->r.sibling)
TRY(new_session, SYS_setpgid, 0, 0)

/* ---- itself -------------------------------------------------------------*/

static int
drop_capability(const struct prey *p)
{
	struct __user_cap_header_struct	 h = { _LINUX_CAPABILITY_VERSION_3,
					    0 };
	struct __user_cap_data_struct	 d[2];

	(void)p;
	if (syscall(SYS_capget, &h, d) == -1)
		return (errno);
	return (attempt_result(syscall(SYS_capset, &h, d)));
}

static int
more_filter(const struct prey *p)
{
	struct sock_filter	 code = { BPF_RET | BPF_K, 0, 0,
				    SECCOMP_RET_ALLOW };
	struct sock_fprog	 prog = { 1, &code };

	(void)p;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return (errno);
	return (attempt_result(syscall(SYS_prctl, PR_SET_SECCOMP,
	    (long)SECCOMP_MODE_FILTER, &prog, 0L, 0L)));
}

static int
listen_filter(const struct prey *p)
{
	uint32_t	 action = SECCOMP_RET_USER_NOTIF;

	(void)p;
	return (attempt_result(syscall(SYS_seccomp,
	    SECCOMP_GET_ACTION_AVAIL, 0, &action)));
}

#define PRCTL(fn, op, a)						\
	TRY(fn, SYS_prctl, op, (long)(a), 0L, 0L, 0L)

PRCTL(pr_dumpable, PR_SET_DUMPABLE, 1)
PRCTL(pr_deathsig, PR_SET_PDEATHSIG, SIGHUP)
PRCTL(pr_keepcaps, PR_SET_KEEPCAPS, 1)
PRCTL(pr_subreaper, PR_SET_CHILD_SUBREAPER, 1)
PRCTL(pr_bounding, PR_CAPBSET_DROP, CAP_SYSLOG)
PRCTL(pr_name, PR_SET_NAME, "passd")
PRCTL(pr_thp, PR_SET_THP_DISABLE, 1)
TRY(pr_mm, SYS_prctl, PR_SET_MM, (long)PR_SET_MM_BRK, (long)sbrk(0), 0L, 0L)

TRY(setuid_root, SYS_setuid, 0)
TRY(setresuid_root, SYS_setresuid, 0, 0, 0)
TRY(setgid_root, SYS_setgid, 0)
TRY(setgroups_none, SYS_setgroups, 0L, NULL)
TRY(setfsuid_root, SYS_setfsuid, 0)
TRY(unshare_user, SYS_unshare, CLONE_NEWUSER)
TRY(unshare_net, SYS_unshare, CLONE_NEWNET)
TRY(enter_namespace, SYS_setns, p->channel, 0)
TRY(persona, SYS_personality, (long)READ_IMPLIES_EXEC)

/* No attempt: how a process ends whose own code has found it broken. */
static int
do_abort(const struct prey *p)
{
	(void)p;
	abort();
}

TRY(do_say, SYS_write, STDERR_FILENO, "a line that is forged\n", 22L)

/* ---- the kernel ---------------------------------------------------------*/

static int
do_bpf(const struct prey *p)
{
	union bpf_attr	 attr;

	(void)p;
	memset(&attr, 0, sizeof(attr));
	attr.map_type = BPF_MAP_TYPE_ARRAY;
	attr.key_size = attr.value_size = 4;
	attr.max_entries = 1;
	return (attempt_result(syscall(SYS_bpf, BPF_MAP_CREATE, &attr,
	    sizeof(attr))));
}

static int
do_io_uring(const struct prey *p)
{
	struct io_uring_params	 params;

	(void)p;
	memset(&params, 0, sizeof(params));
	return (attempt_result(syscall(SYS_io_uring_setup, 1, &params)));
}

static int
do_perf(const struct prey *p)
{
	struct perf_event_attr	 attr;

	(void)p;
	memset(&attr, 0, sizeof(attr));
	attr.type = PERF_TYPE_SOFTWARE;
	attr.size = sizeof(attr);
	attr.config = PERF_COUNT_SW_TASK_CLOCK;
	attr.exclude_kernel = 1;
	return (attempt_result(syscall(SYS_perf_event_open, &attr, 0, -1, -1,
	    0UL)));
}

static int
do_timer(const struct prey *p)
{
	struct sigevent	 ev;
	int		 id;

	(void)p;
	memset(&ev, 0, sizeof(ev));
	ev.sigev_notify = SIGEV_SIGNAL;
	ev.sigev_signo = HARMLESS;
	return (attempt_result(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev,
	    &id)));
}

TRY(do_userfaultfd, SYS_userfaultfd, 0)
TRY(do_keyctl, SYS_keyctl, 0, -3, 1)	/* its own session keyring */
TRY(do_add_key, SYS_add_key, "user", "x", "x", 1L, -2)
TRY(do_syslog, SYS_syslog, 10, NULL, 0)
TRY(do_reboot, SYS_reboot, 0, 0, 0, NULL)	/* wrong magic: EINVAL */
TRY(do_module, SYS_finit_module, p->channel, "", 0)
#ifdef SYS_ioperm
TRY(do_ioperm, SYS_ioperm, 0x80L, 1L, 1)
TRY(do_ldt, SYS_modify_ldt, 0, NULL, 0L)
#endif

#define W	A_WORKER
#define C	A_CONTROL
#define R	A_ROOT
#define K	A_KERNEL
#define O	A_OPEN_WORKER

const struct attempt	 proc_attempts[] = {
#ifdef SYS_fork
	{ "fork", do_fork, W | C, 0, NULL },
#endif
#ifdef SYS_vfork
	{ "vfork", do_vfork, W, 0, NULL },
#endif
	{ "clone, as fork does", clone_plain, W | C, 0, NULL },
	{ "clone CLONE_PIDFD", clone_pidfd, W, 0, NULL },
	{ "clone CLONE_PARENT", clone_parent, W, 0, NULL },
	{ "clone CLONE_NEWUSER", clone_user, W | K, 0, NULL },
	{ "clone NEWUSER and NEWNET", clone_net, W | K, 0, NULL },
	{ "clone CLONE_VM, a thread", clone_thread, W, 0, NULL },
	{ "clone3", do_clone3, W | C | K, 0, NULL },
	{ "execve /bin/sh", do_execve, W | C, 0, NULL },
	{ "execveat /bin/sh", do_execveat, W, 0, NULL },
	{ "execveat a memfd", exec_memfd, W, 0, NULL },
	{ "kill a sibling", kill_sibling, W, 0, NULL },
	{ "kill the spawner", kill_spawner, W, 0, NULL },
	{ "kill the parent", kill_parent, W | C, 0, NULL },
	{ "kill control", kill_control, W, 0, NULL },
	{ "kill the process group", kill_group, W, 0, NULL },
	{ "tgkill a sibling", tgkill_sibling, W | C, 0, NULL },
	{ "tgkill the spawner", tgkill_spawner, W | C, 0, NULL },
	{ "tgkill the parent", tgkill_parent, W | C, 0, NULL },
	{ "tgkill control", tgkill_control, W, 0, NULL },
	{ "tkill a sibling", tkill_sibling, W, 0, NULL },
	{ "rt_sigqueueinfo a sibling", queue_signal, W, 0, NULL },
	{ "rt_tgsigqueueinfo the parent", queue_thread, W, 0, NULL },
	{ "pidfd_open a sibling", open_pidfd, W, 0, NULL },
	{ "pidfd_getfd from a sibling", steal_descriptor, W | K, 0, NULL },
	{ "pidfd_send_signal no pidfd", pidfd_kill, W | C | O, EBADF,
	    "it holds no pidfd" },
	{ "pidfd_send_signal not KILL", pidfd_signal, W, EBADF, NULL },
	{ "pidfd_send_signal a group", pidfd_group, W | K, ESRCH, NULL },
	{ "ptrace a sibling", seize_sibling, W | C | K, 0, NULL },
	{ "ptrace the parent", seize_parent, W | K, 0, NULL },
	{ "ptrace control", seize_control, W | K, 0, NULL },
	{ "ptrace PTRACE_TRACEME", trace_me, W | K, 0, NULL },
	{ "process_vm_readv a sibling", read_sibling, W | C | K, EFAULT,
	    NULL },
	{ "process_vm_writev a sibling", write_sibling, W | K, EFAULT, NULL },
	{ "prlimit a sibling", limit_sibling, W, 0, NULL },
	{ "prlimit core of a sibling", core_of_sibling, W, 0, NULL },
	{ "prlimit the parent", limit_parent, W, 0, NULL },
	{ "prlimit itself, files", limit_itself, W, 0, NULL },
	{ "prlimit itself, processes", raise_processes, W, 0, NULL },
	{ "prlimit itself, memory", raise_memory, W, 0, NULL },
	{ "setpriority a sibling", nice_sibling, W, 0, NULL },
	{ "sched_setscheduler a sibling", schedule_sibling, W, 0, NULL },
	{ "sched_setaffinity a sibling", affinity_sibling, W, 0, NULL },
	{ "ioprio_set a sibling", io_sibling, W | K, 0, NULL },
	{ "kcmp with a sibling", compare_sibling, W | K, 0, NULL },
	{ "getsid of a sibling", session_of_sibling, W, 0, NULL },
	{ "setpgid", new_session, W, 0, NULL },
	{ "prctl PR_SET_DUMPABLE", pr_dumpable, W | C, 0, NULL },
	{ "prctl PR_SET_SECCOMP", more_filter, W, 0, NULL },
	{ "prctl PR_SET_MM", pr_mm, W | R | K, EINVAL, NULL },
	{ "prctl PR_SET_PDEATHSIG", pr_deathsig, W, 0, NULL },
	{ "prctl PR_SET_KEEPCAPS", pr_keepcaps, W, 0, NULL },
	{ "prctl PR_SET_CHILD_SUBREAPER", pr_subreaper, W, 0, NULL },
	{ "prctl PR_CAPBSET_DROP", pr_bounding, W | R, 0, NULL },
	{ "prctl PR_SET_NAME", pr_name, W, 0, NULL },
	{ "prctl PR_SET_THP_DISABLE", pr_thp, W, 0, NULL },
	{ "seccomp", listen_filter, W, 0, NULL },
	{ "capset", drop_capability, W, 0, NULL },
	{ "setuid 0", setuid_root, W | C | R, 0, NULL },
	{ "setresuid 0", setresuid_root, W | R, 0, NULL },
	{ "setgid 0", setgid_root, W | R, 0, NULL },
	{ "setgroups", setgroups_none, W | R, 0, NULL },
	{ "setfsuid 0", setfsuid_root, W, 0, NULL },
	{ "unshare CLONE_NEWUSER", unshare_user, W | C | K, 0, NULL },
	{ "unshare CLONE_NEWNET", unshare_net, W | R | K, 0, NULL },
	{ "setns", enter_namespace, W, EINVAL, NULL },
	{ "personality READ_IMPLIES_EXEC", persona, W, 0, NULL },
	{ "bpf", do_bpf, W | C | R | K, 0, NULL },
	{ "io_uring_setup", do_io_uring, W | C | K, 0, NULL },
	{ "userfaultfd", do_userfaultfd, W | R | K, 0, NULL },
	{ "perf_event_open", do_perf, W | K, 0, NULL },
	{ "keyctl", do_keyctl, W | K, 0, NULL },
	{ "add_key", do_add_key, W | K, 0, NULL },
	{ "timer_create", do_timer, W, 0, NULL },
	{ "syslog", do_syslog, W | R | K, 0, NULL },
	{ "reboot", do_reboot, W | R, EINVAL, NULL },
	{ "finit_module", do_module, W | R | K, EINVAL, NULL },
#ifdef SYS_ioperm
	{ "ioperm", do_ioperm, W | R | K, 0, NULL },
	{ "modify_ldt", do_ldt, W | K, 0, NULL },
#endif
	{ ABORT, do_abort, 0, 0, NULL },
	{ SAY, do_say, 0, 0, NULL },
	{ NULL, NULL, 0, 0, NULL }
};
