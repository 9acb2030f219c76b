/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_SHUTTLE_RIG_H
#define TESTS_UNIT_SHUTTLE_RIG_H

#include <stddef.h>
#include <stdint.h>

#include "shuttle.h"

/*
 * A relay with the sockets at its far ends and the loop that a worker runs
 * around it, all in one thread, so that a test decides who does what next.
 * Every function fails the running test when something is not as it should
 * be, a stall of 10 to 20 seconds included.
 */
#define KIB		1024
#define MIB		(1024 * 1024)
#define IDLE_MS		600000
#define HALF_MS		60000

/* A relay, its two far ends, and what each has sent and received. */
struct rig {
	struct shuttle	 s;
	int		 end[2];	/* far end of side 0 and 1 */
	uint64_t	 sent[2];	/* by the far end of that side */
	uint64_t	 got[2];
	int		 eof[2];	/* the far end has read the FIN */
	int		 error[2];	/* or this error */
	int		 alive;
	int		 ends;		/* how often an end was reported */
	long		 wakeups;
	int		 fds;		/* open before the rig */
};

/* What rig_send() and rig_read() use, and tests between them. */
extern unsigned char	 rig_scratch[256 * KIB];

/*
 * rig_stream(side, at): byte ${at} of the stream that the far end of ${side}
 * sends.  Its period is no multiple of a power of two, so that a lost page
 * shows.
 */
unsigned char rig_stream(int, uint64_t);

/* rig_open_fds(): how many descriptors this process has open. */
int	rig_open_fds(void);

/* rig_nonblock(fd): make ${fd} non-blocking. */
void	rig_nonblock(int);

/*
 * rig_tcp_pair(far, near, size): a connection over loopback, both ends
 * non-blocking, with socket buffers of ${size} bytes unless that is 0.
 */
void	rig_tcp_pair(int *, int *, int);

/*
 * rig_open(r), rig_open_sized(r, size): two connections, see above, and a
 * relay between them.  rig_start(r, peer, owner) is the last step of it,
 * for a test that has prepared the rig and its far ends itself.
 */
void	rig_open(struct rig *);
void	rig_open_sized(struct rig *, int);
void	rig_start(struct rig *, int, int);

/* rig_step(r, ms): one round of a worker's loop; waits ${ms} at most. */
void	rig_step(struct rig *, int);

/* rig_rest(r, ms): run the loop for ${ms}; the far ends do nothing. */
void	rig_rest(struct rig *, int);

/*
 * rig_send(r, side, n), rig_read(r, side, n): send or read up to ${n} bytes
 * at the far end of ${side}, without waiting; what is read is compared with
 * the other stream.  Return how many went; see r->eof and r->error for 0.
 */
size_t	rig_send(struct rig *, int, size_t);
size_t	rig_read(struct rig *, int, size_t);

/* rig_carry(r, side, n): send ${n} bytes and have the other end read them. */
void	rig_carry(struct rig *, int, uint64_t);

/*
 * rig_stuff(r, side): send until nothing more fits anywhere, while the other
 * end does not read; return how much went.
 */
uint64_t rig_stuff(struct rig *, int);

/* rig_finish_reading(r, side): read there until FIN or error. */
void	rig_finish_reading(struct rig *, int);

/* rig_wait_end(r): run the loop until the relay has ended. */
void	rig_wait_end(struct rig *);

/* rig_fin(r, side), rig_rst(r, side): end the sending there, or all. */
void	rig_fin(struct rig *, int);
void	rig_rst(struct rig *, int);

/*
 * rig_fin_arrives(r, side): send a FIN and see it reach the relay's socket;
 * the other end reads no more than that takes.
 */
void	rig_fin_arrives(struct rig *, int);

/*
 * rig_close(r, cause): the relay ends, if it has not yet, with ${cause},
 * once, and leaves nothing open.
 */
void	rig_close(struct rig *, enum cause);

/* rig_reset_cause(side): what a reset of ${side} is called. */
enum cause rig_reset_cause(int);

/* rig_expect_rst(r, side): the far end of ${side} gets a RST. */
void	rig_expect_rst(struct rig *, int);

/* rig_expect_quiet(r): the loop sleeps when there is nothing to do. */
void	rig_expect_quiet(struct rig *);

#endif
