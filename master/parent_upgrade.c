/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cage.h"
#include "log.h"
#include "mono.h"
#include "parent.h"

/*
 * SIGUSR2: the program at the same path takes this one's place.  A child
 * tries it first, with the configuration and all that is kept; then control
 * ends, the spawner leaves its workers, and the parent executes the new
 * program, which finds everything in a file without a name.
 */

#define PREFLIGHT_MS	30000

/* The format of the file; what is changed gets another number. */
#define UPGRADE_MAGIC	0x70617301u

struct head {
	uint32_t	 magic;
	uint32_t	 nkept;
	uint32_t	 epoch;
	uint32_t	 last_id;
	int32_t		 config;	/* descriptor of the configuration */
	int32_t		 group;		/* of the workers */
	uint8_t		 key[MSG_KEY_LEN];
};
_Static_assert(sizeof(struct head) == 56, "upgrade");

extern char	**environ;

static pid_t	 preflight = -1;
static int64_t	 preflight_at;	/* to be killed */
static int	 config = -1;	/* that the preflight has checked */

/* Return the file, or -1 with errno. */
static int
save(int conf)
{
	struct head	 h;
	int		 fd;

	memset(&h, 0, sizeof(h));
	h.magic = UPGRADE_MAGIC;
	h.nkept = parent.nkept;
	h.epoch = parent.epoch;
	h.last_id = parent.last_id;
	h.config = conf;
	h.group = (int32_t)parent.group;
	memcpy(h.key, parent.key, sizeof(h.key));
	if ((fd = cage_file("kept")) == -1)
		return (-1);
	if (write(fd, &h, sizeof(h)) != (ssize_t)sizeof(h) ||
	    keep_save(fd) == -1 || lseek(fd, 0, SEEK_SET) == -1) {
		(void)close(fd);
		return (-1);
	}
	explicit_bzero(&h, sizeof(h));
	return (fd);
}

int
upgrade_load(int fd)
{
	struct head	 h;

	if (lseek(fd, 0, SEEK_SET) == -1 ||
	    read(fd, &h, sizeof(h)) != (ssize_t)sizeof(h) ||
	    h.magic != UPGRADE_MAGIC || keep_load(fd, h.nkept) == -1)
		return (-1);
	parent.epoch = h.epoch;
	parent.last_id = h.last_id;
	parent.config_fd = h.config;
	parent.group = (pid_t)h.group;
	memcpy(parent.key, h.key, sizeof(parent.key));
	explicit_bzero(&h, sizeof(h));
	return (0);
}

static void
set_cloexec(int fd, int on)
{
	(void)fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0);
}

void
upgrade_close_on_exec(void)
{
	keep_each_fd(set_cloexec, 1);
	if (parent.config_fd != -1)
		set_cloexec(parent.config_fd, 1);
}

/*
 * In the child: the configuration is read by an ordinary user, as always,
 * and what is kept by somebody who could do nothing with it.
 */
static void
try_program(int conf, int state)
{
	char	 file[32], number[16], flag_n[] = "-n", flag_f[] = "-f";
	char	 flag_u[] = "-U", name[] = "passd";
	char	*argv[] = { name, flag_n, flag_f, file, flag_u, number, NULL };
	gid_t	 gid = parent.gid[PROC_CONTROL];
	uid_t	 uid = parent.uid[PROC_CONTROL];

	set_cloexec(conf, 0);
	set_cloexec(state, 0);
	if (parent.root && (setgroups(1, &gid) == -1 ||
	    setresgid(gid, gid, gid) == -1 || setresuid(uid, uid, uid) == -1))
		_exit(126);
	(void)snprintf(file, sizeof(file), "/dev/fd/%d", conf);
	(void)snprintf(number, sizeof(number), "%d", state);
	(void)execve(parent.opt.self, argv, environ);
	_exit(127);
}

static void
give_up(const char *why)
{
	log_error("upgrade: %s; passd goes on as it is", why);
	if (config != -1)
		(void)close(config);
	config = -1;
}

void
upgrade_begin(void)
{
	int	 file, state;

	if (preflight != -1 || parent.handover != HANDOVER_NO) {
		log_warn("upgrade: one is under way already");
		return;
	}
	log_info("upgrade program=%s", parent.opt.self);
	if ((file = open_config(parent.opt.config)) == -1) {
		give_up("no configuration");
		return;
	}
	config = cage_copy(file);
	(void)close(file);
	if (config == -1 || (state = save(config)) == -1) {
		give_up("no memory");
		return;
	}
	if ((preflight = fork()) == 0)
		try_program(config, state);
	(void)close(state);
	if (preflight == -1)
		give_up("fork failed");
	preflight_at = mono_ms() + PREFLIGHT_MS;
}

int
upgrade_reaped(pid_t pid, int status)
{
	if (pid != preflight)
		return (0);
	preflight = -1;
	if (parent.stop_at != INT64_MAX)
		return (1);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		log_error("upgrade: the program does not take it, status=%d: "
		    "see passd -n", WIFEXITED(status) ? WEXITSTATUS(status) :
		    -WTERMSIG(status));
		give_up("refused");
		return (1);
	}
	parent_hand_over(HANDOVER_UPGRADE);
	return (1);
}

int64_t
upgrade_deadline(void)
{
	return (preflight == -1 ? INT64_MAX : preflight_at);
}

void
upgrade_turn(int64_t now)
{
	if (preflight == -1 || now < preflight_at)
		return;
	log_error("upgrade: the program does not come to an end, killed");
	(void)kill(preflight, SIGKILL);
	preflight_at = INT64_MAX;
}

/* execv(2) does not write there, but its type is older than const. */
static char *
unconst(const char *s)
{
	char	*p;

	memcpy(&p, &s, sizeof(p));
	return (p);
}

/* The command line again, with the paths as they were found. */
static void
command_line(char *number, char *argv[16])
{
	static char	 u[] = "-U", c[] = "-c", f[] = "-f", user[] = "-u";
	static char	 w[] = "-w", x[] = "-x", d[] = "-d", v[] = "-v";
	char		*all[] = {
		parent.opt.name, u, number,
		c, unconst(parent.opt.chroot), f, unconst(parent.opt.config),
		user, unconst(parent.opt.user),
		w, unconst(parent.opt.worker_user),
		x, unconst(parent.opt.worker), NULL
	};
	size_t		 n;

	for (n = 0; all[n] != NULL; n++)
		argv[n] = all[n];
	if (parent.opt.foreground)
		argv[n++] = d;
	if (parent.opt.debug)
		argv[n++] = v;
	argv[n] = NULL;
}

void
upgrade_execute(void)
{
	char	 number[16], *argv[16];
	int	 state;

	if ((state = save(config)) == -1) {
		give_up("no memory");
		return;
	}
	(void)snprintf(number, sizeof(number), "%d", state);
	command_line(number, argv);
	keep_each_fd(set_cloexec, 0);
	set_cloexec(config, 0);
	set_cloexec(state, 0);
	(void)execve(parent.opt.self, argv, environ);
	log_warn_errno("upgrade: %s", parent.opt.self);
	keep_each_fd(set_cloexec, 1);
	(void)close(state);
	give_up("not executed");
}
