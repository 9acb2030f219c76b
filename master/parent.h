/* SPDX-License-Identifier: ISC */
#ifndef MASTER_PARENT_H
#define MASTER_PARENT_H

#include <sys/types.h>

#include <stdint.h>

#include "msg.h"

/*
 * The parent: starts, restarts and stops the other processes, opens the few
 * files that they need, and writes the log.  It keeps its privileges, so it
 * parses nothing: all that it reads from the others are fixed structs.
 */

struct parent_options {
	const char	*self;		/* this program, to be executed again */
	char		*name;		/* argv[0] */
	const char	*config;	/* passd.conf */
	const char	*user;		/* of control, when root */
	const char	*worker_user;	/* of spawner and workers, when root */
	const char	*chroot;	/* empty directory, when root */
	const char	*worker;	/* the passd-worker program */
	int		 foreground;	/* -d */
	int		 debug;		/* -v */
	int		 upgrade_fd;	/* -U, by upgrade_execute(); or -1 */
};

enum proc_role { PROC_CONTROL, PROC_SPAWNER, PROC_RESOLVER, PROC_ROLES };

enum proc_state {
	PROC_NONE,		/* not running */
	PROC_STARTING,		/* BOOT sent, no READY yet */
	PROC_RUNNING
};

struct proc {
	enum proc_state	 state;
	pid_t		 pid;
	int		 fd;		/* its channel; -1 when not running */
	int64_t		 started;	/* mono_ms() */
	int64_t		 restart_at;	/* INT64_MAX: not planned */
	unsigned int	 failures;	/* in a row */
	unsigned int	 unheard;	/* PINGs since it said a word */
};

/* Why control ends without a failure, for the next one to go on. */
enum handover { HANDOVER_NO, HANDOVER_RELOAD, HANDOVER_UPGRADE };

struct parent {
	struct parent_options opt;
	int		 root;		/* started as root */
	uid_t		 uid[PROC_ROLES];
	gid_t		 gid[PROC_ROLES];
	struct proc	 proc[PROC_ROLES];
	struct msg_needs needs;		/* of the configuration */
	int		 config_fd;	/* a copy of the one in force */
	int		 config_new;	/* control reads it; -1: none */
	enum handover	 handover;
	int64_t		 handover_at;	/* then it is killed */
	int		 adopting;	/* control still gets what is kept */
	int64_t		 tick_at;	/* next look at the health of all */
	uint32_t	 epoch;		/* controls so far */
	uint32_t	 last_id;	/* greatest that was ever kept */
	uint32_t	 nkept;
	uint8_t		 key[MSG_KEY_LEN];	/* for all controls alike */
	int		 was_ready;	/* all ran once */
	int		 filter;	/* of the workers; -1: there are none */
	int		 report_fd;	/* tells the starter; -1: done */
	int64_t		 stop_at;	/* kill by then; INT64_MAX: not yet */
	int		 killed;	/* the spawner was told to kill */
	int		 resolved;	/* the resolver has answered */
	int		 reloading;	/* SIGHUP is not dealt with yet */
	pid_t		 group;		/* process group of the workers; 0 */
};

extern struct parent	 parent;

/*
 * parent_main(opt):
 * Run the parent until it is told to stop.  Return the exit status: 0 after
 * SIGTERM or SIGINT, 1 if passd could not be started.
 */
int	parent_main(const struct parent_options *);

/*
 * parent_hand_over(why):
 * Have control end, its work to be gone on with.
 */
void	parent_hand_over(enum handover);

/* parent_stop.c: the end. */

/* stop_begin(): told to end; the second time it is hurried. */
void	stop_begin(void);

/* stop_turn(now): go on with it.  Return 1 when nothing is left to wait for. */
int	stop_turn(int64_t);

/* parent_serve.c: what control asks for. */

/*
 * serve_config_load():
 * Read the configuration file into a copy, config_new.  Return 0, or -1
 * after a log line.
 */
int	serve_config_load(void);

/* serve_config_send(fd): send control the copy ${fd}. */
void	serve_config_send(int);

/* serve_config_done(ok): control has read config_new and takes it, or not. */
void	serve_config_done(int);

/* serve_needs(m), serve_connect(), serve_resolved(in): those messages. */
void	serve_needs(const struct msg_needs *);
void	serve_connect(void);
void	serve_resolved(const struct msg_in *);

/* serve_secret(): send control the secret file. */
void	serve_secret(void);

/* serve_resolver_ended(): control must not wait for what never comes. */
void	serve_resolver_ended(void);

/* serve_log(in): write that line. */
void	serve_log(const struct msg_in *);

/* serve_escrow(in): keep that record; takes its descriptor. */
void	serve_escrow(struct msg_in *);

/* parent_keep.c: what is kept for the next control. */

#define KEEP_MAX	131072	/* records */

/*
 * keep_put(id, record, len, fd):
 * Keep a copy of the ${len} bytes at ${record} under ${id}, in place of what
 * was there; and ${fd}, unless -1.  Return 0, ${fd} then is ours, or -1.
 */
int	keep_put(uint32_t, const void *, size_t, int);

/* keep_release(id), keep_release_all(): forget it; its descriptor closes. */
void	keep_release(uint32_t);
void	keep_release_all(void);

/*
 * keep_adopt_start(), keep_adopt():
 * Give a new control what is kept, as far as it reads.  keep_adopt() returns
 * 1 when it has all, else it is to be called again.
 */
void	keep_adopt_start(void);
int	keep_adopt(void);

/*
 * keep_save(file), keep_load(file, n):
 * Write all to ${file}; read ${n} of them.  Return 0 or -1.
 */
int	keep_save(int);
int	keep_load(int, uint32_t);

/* keep_each_fd(fn, arg): call fn(fd, arg) for each descriptor kept. */
void	keep_each_fd(void (*)(int, int), int);

/* parent_upgrade.c: another program takes this one's place. */

/* upgrade_begin(): try the program that is to be. */
void	upgrade_begin(void);

/*
 * upgrade_reaped(pid, status):
 * Return 1 if ${pid} was the trial; if it went well control hands over.
 */
int	upgrade_reaped(pid_t, int);

/* upgrade_deadline(), upgrade_turn(now): for a trial that hangs. */
int64_t	upgrade_deadline(void);
void	upgrade_turn(int64_t);

/* upgrade_execute(): become the new program.  Returns if that failed. */
void	upgrade_execute(void);

/*
 * upgrade_load(fd):
 * Take over what the program before this one has left in ${fd}.  Return 0,
 * or -1 if that is not understood.
 */
int	upgrade_load(int);

/* upgrade_close_on_exec(): nothing of it goes to our children. */
void	upgrade_close_on_exec(void);

/* parent_proc.c: starting and ending processes. */

/*
 * proc_users():
 * Look up the users and groups when started as root, and check that the
 * chroot directory and the worker program can be used.  Fatal if not.
 */
void	proc_users(void);

/*
 * proc_start(role):
 * Fork and execute the process of ${role} and send it BOOT.  If that fails
 * the next attempt is planned, as after its death.
 */
void	proc_start(enum proc_role);

/* proc_name(role): its name for the log. */
const char *proc_name(enum proc_role);

/*
 * proc_gone(role): the process of ${role} has ended as it was to.
 *
 * proc_ended(role, status):
 * Account for the end of a process: log how it ended if it should not have,
 * and plan its restart: at once, then after 250 ms, doubled each time, and
 * once a minute after the fifth.
 */
void	proc_gone(enum proc_role);
void	proc_ended(enum proc_role, int);

/*
 * proc_send(role, m, len, fd):
 * Send a message with the descriptor ${fd}, or none if -1; ${fd} stays the
 * caller's.  Return 0 or -1.
 */
int	proc_send(enum proc_role, const void *, size_t, int);

/*
 * proc_backoff(p, at_once):
 * Return after how many milliseconds ${p}, which has failed, may be started
 * again: more for each failure in a row; with ${at_once} not even the
 * shortest time after the first.
 */
int64_t	proc_backoff(struct proc *, int);

/* parent_workers.c: workers whose spawner has gone. */

/*
 * workers_group():
 * Return the process group for a new spawner: that of the workers that the
 * one before has left, or 0, a new one.
 */
pid_t	workers_group(void);

/* workers_join(group): in the new spawner, before it is executed. */
void	workers_join(pid_t);

/*
 * workers_replace():
 * Have the spawner replaced, since one of its workers has crashed: whoever
 * did that may have learnt the address layout that they share.  Takes place
 * after the back-off of proc_ended(), so that nobody who crashes workers
 * over and over keeps it from working.
 */
void	workers_replace(void);

/*
 * workers_planned(): when the spawner is to be told to go, mono_ms();
 * INT64_MAX: that is not planned.
 */
int64_t	workers_planned(void);

/*
 * workers_retired():
 * The spawner has ended.  Return 1 if it was told to, so that the next one
 * is to be started at once.
 */
int	workers_retired(void);

/*
 * workers_due(), workers_turn(now):
 * The mono_ms() time at which workers_turn() has something to do; INT64_MAX:
 * none.
 */
int64_t	workers_due(void);
void	workers_turn(int64_t);

/*
 * workers_kill(pid):
 * Control wants a worker dead that has no spawner any more.  Whatever else
 * ${pid} may be is left alone.
 */
void	workers_kill(pid_t);

/* workers_ended(pid, status): tell control of the end of such a worker. */
void	workers_ended(pid_t, int);

/*
 * workers_end():
 * At the end, without a spawner: kill all that are left.  Return 1 while
 * there are any.
 */
int	workers_end(void);

/* parent_layers.c: what every process is held by, for the log. */

/*
 * parent_layers(role, m):
 * The process of ${role} has said what holds it; say so if all have started
 * before, and it is a new one.
 */
void	parent_layers(enum proc_role, const struct msg_ready *);

/*
 * parent_layers_start():
 * All have started: say of each what holds it, and warn of what is missing.
 */
void	parent_layers_start(void);

/* parent_open.c: what the parent opens for others. */

/*
 * open_config(path):
 * Return a descriptor of the regular file ${path}, or -1 after a log line.
 */
int	open_config(const char *);

/*
 * open_secret(path):
 * The same for the secret file, which nobody but root, or the user that
 * passd was started as, may own or read.
 */
int	open_secret(const char *);

/*
 * open_server(path):
 * Return a non-blocking stream socket connected to the UNIX socket ${path},
 * or -1 with errno.
 */
int	open_server(const char *);

#endif
