/* SPDX-License-Identifier: ISC */
/*
 * Messages from a spawner that was taken over: any bytes, any length, any
 * descriptors, about any worker.  It may lie about the life of its workers,
 * but control stays up, loses no number and answers everybody; after what
 * the table forbids control is rid of it, and works with the next one.
 */
#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "iq.h"
#include "port.h"
#include "registry.h"
#include "slow.h"
#include "world.h"

#define STEPS_MAX	200
#define LEN_MAX		2400
#define USERS		5

/* Bits of the byte that says how a message is made. */
#define EXITED		0x01	/* else SPAWNED */
#define RAW_HEADER	0x02
#define RAW_LENGTH	0x04
#define WITH_FDS	0x08
#define OTHER_ID	0x10	/* of no worker, maybe */

static struct world_worker *
pick_worker(struct fuzz_in *in)
{
	return (world_nworkers == 0 ? NULL :
	    &world_workers[fuzz_u8(in) % world_nworkers]);
}

static void
send_message(struct fuzz_in *in)
{
	static unsigned char	 bytes[LEN_MAX];
	struct world_worker	*k = pick_worker(in);
	struct msg_hdr		 hdr;
	int			 fds[MSG_FDS_MAX];
	size_t			 i, n, len, nfds = 0;
	uint8_t			 how = fuzz_u8(in);

	memset(bytes, 0, sizeof(bytes));
	len = how & EXITED ? sizeof(struct msg_exited) :
	    sizeof(struct msg_spawned);
	if (how & RAW_LENGTH)
		len = fuzz_u16(in) % (LEN_MAX + 1);
	msg_init(&hdr, sizeof(hdr), how & EXITED ? MSG_EXITED : MSG_SPAWNED,
	    k == NULL || how & OTHER_ID ? fuzz_u16(in) : k->w.id);
	n = how & RAW_HEADER ? 0 : sizeof(hdr);
	memcpy(bytes, &hdr, n);
	for (i = n; i < len && i < n + 24; i++)
		bytes[i] = fuzz_u8(in);
	if (how & WITH_FDS) {
		for (n = fuzz_u8(in) % (MSG_FDS_MAX + 1); nfds < n; nfds++) {
			if ((fds[nfds] = open("/dev/null", O_RDONLY)) == -1)
				break;
		}
	}
	(void)msg_send(fake_spawner_fd(), bytes, len, fds, nfds);
	for (i = 0; i < nfds; i++)
		close(fds[i]);
}

static void
do_worker(struct fuzz_in *in)
{
	struct world_worker	*k = pick_worker(in);
	struct msg_client	 m;
	uint8_t			 b = fuzz_u8(in);

	if (k == NULL || !k->up)
		return;
	if (b & 1) {
		world_die(k, b, b & 2);
		return;
	}
	msg_init(&m, sizeof(m), k->ready ? MSG_CLIENT : MSG_READY, k->w.id);
	m.session = (uint32_t)k->w.seq;
	(void)addr_parse(&m.addr, "198.51.100.7");
	(void)world_event(k, &m, k->ready ? sizeof(m) : sizeof(m.hdr));
	k->ready = 1;
}

static void
step(struct fuzz_in *in)
{
	uint8_t	 op = fuzz_u8(in);

	switch (op % 8) {
	default:
		send_message(in);
		if (op < 224)
			world_turn();
		break;
	case 3: case 4:
		if (world_room())
			(void)world_iq(op / 8 % USERS, "set", -1, "<query "
			    "xmlns='" NS_PASS "'>%s</query>", op & 8 ?
			    "<expire>60</expire>" : "");
		world_spawner_read();
		break;
	case 5:
		do_worker(in);
		break;
	case 6:
		world_sleep((op >> 3) * 200);
		break;
	case 7:
		if (!world_room())
			break;
		if (op >= 128 || !world_spawner_alive())
			world_spawner_new();
		else if (world_nports > 0)
			(void)world_iq(op / 8 % USERS, "set", -1, "<query "
			    "xmlns='" NS_PASS "'><close/><proxy port='%u'>"
			    WORLD_US "</proxy></query>",
			    world_ports[world_nports - 1].number);
		break;
	}
}

/* With an honest spawner everything works again. */
static void
check_recovery(void)
{
	struct world_worker	*k;
	struct msg_hdr		 m;
	size_t			 n, ports = world_nports;

	world_spawner_new();
	world_spawner_read();
	for (n = 0; n < world_nworkers; n++)
		world_die(&world_workers[n], 0, 1);
	world_sleep(2600);
	world_sleep(POOL_REST_MS);
	FUZZ_CHECK(registry_count() == 0, "%u ports", registry_count());
	slow_clear();
	n = world_nworkers;
	(void)world_iq(0, "set", -1, "<query xmlns='" NS_PASS "'/>");
	world_spawner_read();
	FUZZ_CHECK(world_nworkers == n + 1, "no worker is asked for");
	k = &world_workers[n];
	msg_init(&m, sizeof(m), MSG_READY, k->w.id);
	FUZZ_CHECK(world_event(k, &m, sizeof(m)) == 0 &&
	    world_nports == ports + 1, "not registered");
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct fuzz_in	 in = { bytes, len };
	unsigned int	 n;

	world_on_closed = NULL;
	world_on_log = NULL;
	world_start("quota default { ports 9 }");
	for (n = 0; in.left > 0 && n < STEPS_MAX && world_nquestions <
	    WORLD_QUESTIONS - 4; n++)
		step(&in);
	world_turn();
	if (world_room())
		check_recovery();
	world_end();
	return (0);
}
