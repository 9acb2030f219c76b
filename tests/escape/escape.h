/* SPDX-License-Identifier: ISC */
#ifndef TESTS_ESCAPE_ESCAPE_H
#define TESTS_ESCAPE_ESCAPE_H

#include <stddef.h>
#include <stdint.h>

/*
 * What somebody does who has taken over a process of passd.  The programs
 * escape_worker and escape_control are passd-worker and passd with one
 * function of theirs wrapped (hook_worker.c, hook_control.c): it is told by
 * name which attempt to make, makes it, and says how it went.
 */

#define ESCAPE_MAGIC	"escape 1"
/* Names of what is no attempt. */
#define ABORT		"abort"
#define SAY		"say something"	/* to what is in place of stderr */
#define ESCAPE_DONE	77	/* exit status of a program that was executed */

/* Layers of the cage, to be left out one by one; ESCAPE_LAYERS has them. */
#define ESCAPE_LIMITS	0x1	/* priv_lock(), and priv_drop() by BOOT */
#define ESCAPE_LANDLOCK	0x2
#define ESCAPE_FILTER	0x4
#define ESCAPE_ALL	0x7

/* What comes to a taken worker from its peer, to a taken control with XMPP. */
struct escape_request {
	char		 magic[8];
	char		 name[40];	/* of the attempt, NUL-terminated */
	int32_t		 sibling;	/* process ids */
	int32_t		 spawner;
	int32_t		 parent;
	int32_t		 control;
	uint16_t	 tcp;		/* of listeners on 127.0.0.1 */
	uint16_t	 mptcp;
	uint16_t	 udp;
	uint16_t	 server;	/* control may connect to it */
	uint16_t	 bind;		/* control may listen there */
	uint16_t	 pad[3];
	char		 dir[64];	/* has "file" and "socket" in it */
};
_Static_assert(sizeof(struct escape_request) == 144, "escape_request");

/* 0: the attempt had its way; else the errno; negative: a signal. */
struct escape_reply {
	int32_t		 error;
};

/* What the process knows and holds. */
struct prey {
	struct escape_request r;
	int		 peer;		/* a connected TCP socket */
	int		 listener;	/* a listening one */
	int		 channel;	/* to control, or to the parent */
};

#define A_WORKER	0x01	/* for a taken worker */
#define A_CONTROL	0x02	/* for a taken control */
#define A_ROOT		0x04	/* without a cage it wants root */
#define A_KERNEL	0x08	/* the kernel, or a container, may refuse it */
#define A_OPEN_WORKER	0x10	/* it can, and it leads nowhere: why */
#define A_OPEN_CONTROL	0x40
#define A_LANDLOCK	0x80	/* of control: open without its rules for TCP */
#define A_MESSAGE	0x20	/* sent; it is for the receiver to refuse */

struct attempt {
	const char	*name;
	int		(*make)(const struct prey *);	/* 0 or errno */
	unsigned int	 flags;		/* A_* */
	/*
	 * If not 0: what the call fails with even if nothing is in its way.
	 * This errno in the cage would mean that it got through.
	 */
	int		 reached;
	const char	*why;		/* A_OPEN_* */
};

extern const struct attempt	 net_attempts[], file_attempts[];
extern const struct attempt	 proc_attempts[], memory_attempts[];

/* attempt(i): the ${i}th of all attempts, or NULL behind the last. */
const struct attempt *attempt(size_t);

/*
 * attempt_make(p):
 * Make the attempt that p->r.name names.  Return 0 if it had its way, else
 * its errno.
 */
int	attempt_make(const struct prey *);

/* attempt_path(p, name): the path of ${name} in p->r.dir, static. */
const char *attempt_path(const struct prey *, const char *);

/*
 * attempt_result(r):
 * The result of a call that returned ${r}: 0, or its errno.  A call that has
 * to wait has been let through: EAGAIN and EINPROGRESS count as 0.
 */
int	attempt_result(long);

/* escape_layers(): ESCAPE_* that this process is to have. */
unsigned int escape_layers(void);

/* One attempt that is one system call. */
#define TRY(fn, ...)							\
	static int							\
	fn(const struct prey *p)					\
	{								\
		(void)p;						\
		return (attempt_result(syscall(__VA_ARGS__)));		\
	}

#endif
