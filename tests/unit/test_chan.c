/* SPDX-License-Identifier: ISC */
/*
 * A channel in the event loop.  The test holds its other end and plays a
 * worker that behaves in every way but the right one.
 */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <criterion/criterion.h>

#include <dirent.h>
#include <errno.h>
#include <event.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "chan.h"

TestSuite(chan, .timeout = 30);

static struct chan	*chan;
static int		 far;		/* the other end */
static int		 messages, ends;
static uint32_t		 last_id;
static const char	*why;
static int		 free_in_message, free_in_end, send_in_message;
static int		 keep_fd, kept_fd = -1;

static int
open_fds(void)
{
	DIR	*dir;
	int	 n = 0;

	cr_assert((dir = opendir("/proc/self/fd")) != NULL);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return (n);
}

static int
send_drop(uint32_t id)
{
	struct msg_drop	 m;

	msg_init(&m, sizeof(m), MSG_DROP, id);
	return (chan_send(chan, &m, sizeof(m), NULL, 0));
}

static void
on_message(struct msg_in *in, void *arg)
{
	cr_assert_eq(arg, &far);
	cr_assert_eq(ends, 0);
	messages++;
	last_id = in->hdr.id;
	if (keep_fd && in->nfds == 1) {
		kept_fd = in->fds[0];
		in->fds[0] = -1;
	}
	if (send_in_message) {
		while (send_drop(1) == 0)
			continue;
	}
	if (free_in_message) {
		chan_free(chan);
		chan = NULL;
	}
}

static void
on_end(const char *reason, void *arg)
{
	cr_assert_eq(arg, &far);
	ends++;
	why = reason;
	if (free_in_end) {
		chan_free(chan);
		chan = NULL;
	}
}

static const struct chan_handler	 handler = { on_message, on_end };

/* Two channels: as from a worker, or from the parent (descriptors). */
static void
start(enum msg_edge edge, uint16_t states)
{
	int	 fds[2];

	cr_assert_not_null(event_init());
	cr_assert_eq(msg_pair(fds), 0);
	far = fds[1];
	chan = chan_new(fds[0], edge, states, &handler, &far);
	cr_assert_not_null(chan);
}

static void
run(void)
{
	int	 i;

	for (i = 0; i < 5; i++)
		cr_assert_neq(event_loop(EVLOOP_NONBLOCK), -1);
}

static void
say(enum msg_type type, uint32_t id)
{
	struct msg_hdr	 m;

	msg_init(&m, sizeof(m), type, id);
	cr_assert_eq(msg_send(far, &m, sizeof(m), NULL, 0), 0);
}

/* Read what has come to the other end; the number of messages. */
static int
drain(uint32_t *id)
{
	static struct msg_in	 in;
	int			 n;

	for (n = 0; msg_recv(far, EDGE_CONTROL_WORKER, MSG_ST_RUN, &in) ==
	    MSG_OK; n++) {
		if (id != NULL)
			cr_assert_eq(in.hdr.id, (*id)++);
		msg_close_fds(&in);
	}
	return (n);
}

Test(chan, messages_and_states)
{
	start(EDGE_WORKER_CONTROL, MSG_ST_START);
	say(MSG_READY, 5);
	run();
	cr_expect_eq(messages, 1);
	cr_expect_eq(last_id, 5);
	chan_states(chan, MSG_ST_RUN);
	say(MSG_GONE, 6);
	run();
	cr_expect_eq(messages, 2);
	cr_expect_eq(ends, 0);
	/* A second READY is out of place now. */
	say(MSG_READY, 7);
	say(MSG_GONE, 8);
	run();
	cr_expect_eq(messages, 2);
	cr_expect_eq(ends, 1);
	cr_expect_str_eq(why, "not allowed in this state");
	run();
	cr_expect_eq(ends, 1);
	chan_free(chan);
	close(far);
	chan_free(NULL);
}

Test(chan, the_other_end_goes)
{
	start(EDGE_WORKER_CONTROL, MSG_ST_RUN);
	say(MSG_GONE, 1);
	say(MSG_GONE, 2);
	close(far);
	/* What it said before comes first, though nobody hears us. */
	cr_expect_eq(send_drop(1), -1);
	run();
	cr_expect_eq(messages, 2);
	cr_expect_eq(ends, 1);
	cr_expect_null(why);
	cr_expect_eq(send_drop(1), -1);
	chan_free(chan);
}

Test(chan, freed_by_its_handlers)
{
	int	 before;

	start(EDGE_WORKER_CONTROL, MSG_ST_RUN);
	before = open_fds();
	free_in_message = 1;
	say(MSG_GONE, 1);
	say(MSG_GONE, 2);
	run();
	cr_expect_eq(messages, 1);
	cr_expect_eq(ends, 0);
	cr_expect_eq(open_fds(), before - 1);
	close(far);
}

Test(chan, freed_at_its_end)
{
	start(EDGE_WORKER_CONTROL, MSG_ST_RUN);
	free_in_end = 1;
	say(MSG_BOOT, 1);
	run();
	cr_expect_eq(ends, 1);
	cr_expect_str_eq(why, "wrong type");
	cr_expect_null(chan);
	close(far);
}

/* A burst does not keep the loop from others, and nothing of it is lost. */
Test(chan, many_messages)
{
	int	 i;

	start(EDGE_WORKER_CONTROL, MSG_ST_RUN);
	for (i = 0; i < 100; i++)
		say(MSG_GONE, (uint32_t)i);
	cr_assert_neq(event_loop(EVLOOP_ONCE | EVLOOP_NONBLOCK), -1);
	cr_expect_gt(messages, 0);
	cr_expect_lt(messages, 100);
	run();
	cr_expect_eq(messages, 100);
	cr_expect_eq(last_id, 99);
	chan_free(chan);
	close(far);
}

/* How many messages the kernel holds before ours has to queue. */
static uint32_t
fill_kernel(void)
{
	struct msg_drop	 m;
	uint32_t		 n;
	int			 fds[2];

	cr_assert_eq(msg_pair(fds), 0);
	msg_init(&m, sizeof(m), MSG_DROP, 0);
	for (n = 0; msg_send(fds[0], &m, sizeof(m), NULL, 0) == 0; n++)
		continue;
	close(fds[0]);
	close(fds[1]);
	return (n);
}

Test(chan, queue_keeps_order)
{
	uint32_t	 n = fill_kernel(), i, id = 0;

	start(EDGE_WORKER_CONTROL, MSG_ST_RUN);
	for (i = 0; i < n + CHAN_QUEUE_MAX; i++)
		cr_assert_eq(send_drop(i), 0, "%u", i);
	run();
	for (i = 0; i < 20 && id < n + CHAN_QUEUE_MAX; i++) {
		(void)drain(&id);
		cr_assert_neq(event_loop(EVLOOP_ONCE | EVLOOP_NONBLOCK), -1);
		/* Some of what waited has gone: one more, behind the rest. */
		if (i == 0)
			cr_expect_eq(send_drop(n + CHAN_QUEUE_MAX), 0);
	}
	(void)drain(&id);
	cr_expect_eq(id, n + CHAN_QUEUE_MAX + 1);
	cr_expect_eq(ends, 0);
	/* With the queue empty nothing spins. */
	cr_expect_eq(send_drop(id), 0);
	cr_expect_eq(drain(&id), 1);
	chan_free(chan);
	close(far);
}

/* There is room again, but some wait already: behind those. */
Test(chan, nothing_overtakes_the_queue)
{
	uint32_t	 n = fill_kernel(), i, id = 0;

	start(EDGE_WORKER_CONTROL, MSG_ST_RUN);
	for (i = 0; i < n + 10; i++)
		cr_assert_eq(send_drop(i), 0);
	cr_expect_eq(drain(&id), (int)n);
	cr_assert_eq(send_drop(n + 10), 0);
	run();
	cr_expect_eq(drain(&id), 11);
	chan_free(chan);
	close(far);
}

Test(chan, does_not_read)
{
	uint32_t	 n = fill_kernel(), i;
	int		 before;

	start(EDGE_WORKER_CONTROL, MSG_ST_RUN);
	before = open_fds();
	for (i = 0; i < n + CHAN_QUEUE_MAX; i++)
		cr_assert_eq(send_drop(i), 0);
	cr_expect_eq(ends, 0);
	cr_expect_eq(send_drop(i), -1);
	cr_expect_eq(ends, 0, "ended() from within chan_send()");
	cr_expect_eq(send_drop(i), -1);
	run();
	cr_expect_eq(ends, 1);
	cr_expect_str_eq(why, "does not read its messages");
	chan_free(chan);
	cr_expect_eq(open_fds(), before - 1);
	close(far);
}

Test(chan, ends_while_a_message_is_dealt_with)
{
	start(EDGE_WORKER_CONTROL, MSG_ST_RUN);
	send_in_message = 1;
	free_in_end = 1;
	say(MSG_GONE, 1);
	say(MSG_GONE, 2);
	run();
	cr_expect_eq(messages, 1);
	cr_expect_eq(ends, 1);
	close(far);
}

/* The other end goes while messages wait for it. */
Test(chan, queue_of_the_dead)
{
	uint32_t	 n = fill_kernel(), i;
	int		 before;

	start(EDGE_WORKER_CONTROL, MSG_ST_RUN);
	before = open_fds();
	for (i = 0; i < n + 10; i++)
		cr_assert_eq(send_drop(i), 0);
	close(far);
	run();
	cr_expect_eq(ends, 1);
	cr_expect_null(why);
	chan_free(chan);
	cr_expect_eq(open_fds(), before - 2);
}

/* Queued descriptors outlive the caller's and are closed in every case. */
Test(chan, descriptors_wait_too)
{
	struct msg_drop	 m;
	uint32_t		 n = fill_kernel(), i;
	int			 l, before, got = 0;
	static struct msg_in	 in;

	start(EDGE_WORKER_CONTROL, MSG_ST_RUN);
	before = open_fds();
	for (i = 0; i < n; i++)
		cr_assert_eq(send_drop(i), 0);
	for (i = 0; i < 3; i++) {
		cr_assert_geq(l = socket(AF_INET, SOCK_STREAM, 0), 0);
		cr_assert_eq(listen(l, 1), 0);
		msg_init(&m, sizeof(m), MSG_RENDEZVOUS, 0);
		cr_assert_eq(chan_send(chan, &m, sizeof(m), &l, 1), 0);
		close(l);
	}
	cr_expect_eq(open_fds(), before + 3);
	for (i = 0; i < 20; i++) {
		while (msg_recv(far, EDGE_CONTROL_WORKER, MSG_ST_RUN, &in) ==
		    MSG_OK) {
			got += in.nfds == 1;
			msg_close_fds(&in);
		}
		run();
	}
	cr_expect_eq(got, 3);
	cr_expect_eq(open_fds(), before);
	chan_free(chan);
	close(far);
}

Test(chan, descriptors_nobody_takes_are_closed)
{
	struct msg_hdr	 m;
	int		 fds[2], before;

	start(EDGE_PARENT_CONTROL, MSG_ST_RUN);
	before = open_fds();
	cr_assert_eq(msg_pair(fds), 0);
	msg_init(&m, sizeof(m), MSG_SPAWNER, 0);
	cr_assert_eq(msg_send(far, &m, sizeof(m), fds, 1), 0);
	run();
	cr_expect_eq(messages, 1);
	keep_fd = 1;
	cr_assert_eq(msg_send(far, &m, sizeof(m), &fds[1], 1), 0);
	close(fds[0]);
	close(fds[1]);
	run();
	cr_expect_eq(messages, 2);
	cr_expect_geq(fcntl(kept_fd, F_GETFD), 0);
	cr_expect_eq(open_fds(), before + 1);
	close(kept_fd);
	/* Two are a violation, and closed as well. */
	cr_assert_eq(msg_pair(fds), 0);
	cr_assert_eq(msg_send(far, &m, sizeof(m), fds, 2), 0);
	close(fds[0]);
	close(fds[1]);
	run();
	cr_expect_eq(messages, 2);
	cr_expect_str_eq(why, "wrong number of descriptors");
	cr_expect_eq(open_fds(), before);
	chan_free(chan);
	close(far);
}
