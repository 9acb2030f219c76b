/* SPDX-License-Identifier: ISC */
/*
 * load: the two ends of relayed connections, for run.sh.  The connections
 * exist already: each is given as TX:RX, the inherited descriptors of its
 * two ends, so that this program does not know what lies between them.
 *
 *	load bulk WARM RUN PIDS TX:RX ...
 *		One process sends on every TX, one receives on every RX.
 *		After WARM ms the RUN ms begin in which bytes are counted, and
 *		the CPU time of both ends and of the relay's PIDS (separated
 *		by commas; "-": none).  Then every stream ends with FIN and
 *		what was sent is compared with what came.
 *	load ping WARM RUN - TX:RX
 *		64 bytes to and fro; the round trips of the RUN ms are sorted.
 *	load ends SEED - - TX:RX ...
 *		Short streams of random length and known content: every other
 *		one is closed right after its last byte, the rest carry data
 *		both ways and end with FIN.  Counts what is lost or wrong.
 *
 * Prints one line of key=value.
 */
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PAIRS_MAX	512
#define PIDS_MAX	1024
#define CHUNK		(256u * 1024u)	/* the ends' buffers */
#define PING_SIZE	64
#define PING_MAX	(1u << 20)	/* round trips kept */
#define LIMIT_S		60		/* no run may last longer */
#define PATTERN		65521u		/* period of known content, a prime */
#define ENDS_MAX	(2u * 1024u * 1024u)	/* longest short stream */

struct shared {				/* between the processes of one run */
	_Atomic int		stop;
	_Atomic uint64_t	got;	/* all streams, while they run */
	uint64_t		sent_of[PAIRS_MAX];
	uint64_t		got_of[PAIRS_MAX];
	_Atomic uint64_t	broken;	/* streams that ended with an error */
	_Atomic uint64_t	wrong;	/* bytes that are not what was sent */
	_Atomic uint32_t	pings;
	uint32_t		rtt[PING_MAX];	/* ns */
};

static struct shared	*sh;
static int		 tx[PAIRS_MAX], rx[PAIRS_MAX];
static size_t		 npairs;
static char		 buf[CHUNK];
static unsigned char	 pattern[2 * PATTERN];

static uint64_t
clock_ns(clockid_t c)
{
	struct timespec ts;

	if (clock_gettime(c, &ts) == -1)
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t
now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* CPU time of a process, all its threads; 0 when it is gone. */
static uint64_t
cpu_ns(pid_t pid)
{
	clockid_t c;

	return clock_getcpuclockid(pid, &c) == 0 ? clock_ns(c) : 0;
}

static void
sleep_ms(long ms)
{
	struct timespec ts = { ms / 1000, (ms % 1000) * 1000000 };

	while (nanosleep(&ts, &ts) == -1 && errno == EINTR)
		;
}

static long
number(const char *s)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(s, &end, 10);
	if (errno != 0 || end == s || *end != '\0' || n < 0)
		errx(1, "not a number: %s", s);
	return n;
}

static void
parse_pairs(char *argv[])
{
	char *colon;

	for (; *argv != NULL; argv++) {
		if (npairs == PAIRS_MAX)
			errx(1, "too many pairs");
		if ((colon = strchr(*argv, ':')) == NULL)
			errx(1, "not a pair: %s", *argv);
		*colon = '\0';
		tx[npairs] = (int)number(*argv);
		rx[npairs++] = (int)number(colon + 1);
	}
	if (npairs == 0)
		errx(1, "no pairs");
}

static void
close_all(const int *fd)
{
	size_t i;

	for (i = 0; i < npairs; i++)
		close(fd[i]);
}

static void
set_blocking(int fd, int on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags == -1 || fcntl(fd, F_SETFL,
	    on ? flags & ~O_NONBLOCK : flags | O_NONBLOCK) == -1)
		err(1, "fcntl");
}

/* fork(); the child gets the time limit again, alarms are not inherited. */
static pid_t
spawn(void)
{
	pid_t pid;

	if ((pid = fork()) == -1)
		err(1, "fork");
	if (pid == 0)
		alarm(LIMIT_S);
	return pid;
}

static void
reap(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) == -1)
		err(1, "waitpid");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		errx(1, "an end died, status 0x%x", (unsigned int)status);
}

/* An epoll of all descriptors in ${fd}, each with its index. */
static int
watch(const int *fd, uint32_t events)
{
	struct epoll_event ev = { .events = events };
	size_t i;
	int ep;

	if ((ep = epoll_create1(EPOLL_CLOEXEC)) == -1)
		err(1, "epoll_create1");
	for (i = 0; i < npairs; i++) {
		ev.data.u64 = i;
		if (epoll_ctl(ep, EPOLL_CTL_ADD, fd[i], &ev) == -1)
			err(1, "epoll_ctl");
	}
	return ep;
}

static int
send_some(size_t i)
{
	ssize_t n = send(tx[i], buf, sizeof(buf), MSG_NOSIGNAL);

	if (n > 0)
		sh->sent_of[i] += (uint64_t)n;
	else if (n == -1 && errno != EAGAIN && errno != EINTR) {
		sh->broken++;
		return -1;
	}
	return 0;
}

/* Send until told to stop, then FIN, then wait until the other end is done. */
static void
sender(void)
{
	struct epoll_event ev[64];
	size_t i;
	int ep = -1, n, k;

	close_all(rx);
	if (npairs > 1)
		ep = watch(tx, EPOLLOUT);
	for (i = 0; i < npairs; i++)
		set_blocking(tx[i], npairs == 1);
	while (!sh->stop) {
		if (ep == -1) {
			if (send_some(0) == -1)
				break;
			continue;
		}
		if ((n = epoll_wait(ep, ev, 64, 100)) == -1)
			break;
		for (k = 0; k < n; k++)
			if (send_some(ev[k].data.u64) == -1)
				epoll_ctl(ep, EPOLL_CTL_DEL,
				    tx[ev[k].data.u64], NULL);
	}
	for (i = 0; i < npairs; i++) {
		set_blocking(tx[i], 1);
		shutdown(tx[i], SHUT_WR);
	}
	for (i = 0; i < npairs; i++)
		while (read(tx[i], buf, sizeof(buf)) > 0)
			;
	_exit(0);
}

/* Returns 0 at the end of the stream. */
static int
receive_some(size_t i)
{
	ssize_t n = recv(rx[i], buf, sizeof(buf), 0);

	if (n > 0) {
		sh->got_of[i] += (uint64_t)n;
		sh->got += (uint64_t)n;
		return 1;
	}
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 1;
	if (n == -1)
		sh->broken++;
	shutdown(rx[i], SHUT_WR);
	close(rx[i]);
	return 0;
}

static void
receiver(void)
{
	struct epoll_event ev[64];
	size_t i, open = npairs;
	int ep, n, k;

	close_all(tx);
	for (i = 0; i < npairs; i++)
		set_blocking(rx[i], npairs == 1);
	if (npairs == 1) {
		while (receive_some(0))
			;
		_exit(0);
	}
	ep = watch(rx, EPOLLIN);
	while (open > 0) {
		if ((n = epoll_wait(ep, ev, 64, -1)) == -1)
			_exit(1);
		for (k = 0; k < n; k++)
			open -= !receive_some(ev[k].data.u64);
	}
	_exit(0);
}

static uint64_t
relay_ns(const pid_t *pid, size_t n)
{
	uint64_t sum = 0;

	while (n > 0)
		sum += cpu_ns(pid[--n]);
	return sum;
}

static void
bulk(long warm, long run, char *list)
{
	static pid_t pid[PIDS_MAX];
	uint64_t t, bytes, relay, ends, sent = 0, got = 0;
	size_t i, npids = 0;
	pid_t out, in;
	char *p;

	while (list[0] != '-' && (p = strsep(&list, ",")) != NULL &&
	    npids < PIDS_MAX) {
		pid[npids++] = (pid_t)number(p);
		if (list == NULL)
			break;
	}
	if ((in = spawn()) == 0)
		receiver();
	if ((out = spawn()) == 0)
		sender();
	close_all(tx);
	close_all(rx);
	sleep_ms(warm);
	relay = relay_ns(pid, npids);
	ends = cpu_ns(in) + cpu_ns(out);
	bytes = sh->got;
	t = now_ns();
	sleep_ms(run);
	t = now_ns() - t;
	bytes = sh->got - bytes;
	ends = cpu_ns(in) + cpu_ns(out) - ends;
	relay = relay_ns(pid, npids) - relay;
	sh->stop = 1;
	reap(out);
	reap(in);
	for (i = 0; i < npairs; i++) {
		sent += sh->sent_of[i];
		got += sh->got_of[i];
	}
	printf("bytes=%" PRIu64 " ns=%" PRIu64 " relay_ns=%" PRIu64
	    " ends_ns=%" PRIu64 " sent=%" PRIu64 " lost=%" PRId64
	    " broken=%" PRIu64 "\n", bytes, t, relay, ends, sent,
	    (int64_t)(sent - got), sh->broken);
}

static int
read_full(int fd, size_t len)
{
	size_t have = 0;
	ssize_t n;

	for (; have < len; have += (size_t)n)
		if ((n = recv(fd, buf + have, len - have, 0)) <= 0)
			return 0;
	return 1;
}

static void
pinger(long warm, long run)
{
	uint64_t start, t0, t1;
	uint32_t n = 0;

	set_blocking(tx[0], 1);
	start = now_ns() + (uint64_t)warm * 1000000u;
	do {
		t0 = now_ns();
		if (send(tx[0], buf, PING_SIZE, MSG_NOSIGNAL) != PING_SIZE ||
		    !read_full(tx[0], PING_SIZE)) {
			sh->broken++;
			break;
		}
		t1 = now_ns();
		if (t0 >= start && n < PING_MAX)
			sh->rtt[n++] = (uint32_t)(t1 - t0);
	} while (t1 < start + (uint64_t)run * 1000000u);
	sh->pings = n;
	_exit(0);
}

static void
echoer(void)
{
	set_blocking(rx[0], 1);
	while (read_full(rx[0], PING_SIZE))
		if (send(rx[0], buf, PING_SIZE, MSG_NOSIGNAL) != PING_SIZE)
			break;
	_exit(0);
}

static int
compare(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void
ping(long warm, long run)
{
	pid_t out, in;
	uint32_t n;

	if ((in = spawn()) == 0) {
		close_all(tx);
		echoer();
	}
	if ((out = spawn()) == 0) {
		close_all(rx);
		pinger(warm, run);
	}
	close_all(tx);
	close_all(rx);
	reap(out);
	reap(in);
	if ((n = sh->pings) == 0)
		errx(1, "no round trip");
	qsort(sh->rtt, n, sizeof(sh->rtt[0]), compare);
	printf("pings=%u p50=%u p99=%u max=%u broken=%" PRIu64 "\n", n,
	    sh->rtt[n / 2], sh->rtt[(size_t)n * 99 / 100], sh->rtt[n - 1],
	    sh->broken);
}

/* Exactly ${len} bytes of known content; sent in pieces of odd sizes. */
static void
write_known(int fd, size_t len)
{
	size_t at = 0, piece;
	ssize_t n;

	set_blocking(fd, 1);
	for (; at < len; at += (size_t)n) {
		piece = 1 + at % 40009;
		if (piece > len - at)
			piece = len - at;
		n = send(fd, pattern + at % PATTERN, piece, MSG_NOSIGNAL);
		if (n <= 0) {
			sh->broken++;
			_exit(0);
		}
	}
	shutdown(fd, SHUT_WR);
	_exit(0);
}

static void
read_known(int fd, uint64_t *got)
{
	size_t at = 0, i;
	ssize_t n;

	set_blocking(fd, 1);
	while ((n = recv(fd, buf, 32768, 0)) > 0) {
		for (i = 0; i < (size_t)n; i++)
			if ((unsigned char)buf[i] !=
			    pattern[(at + i) % PATTERN])
				sh->wrong++;
		at += (size_t)n;
	}
	if (n == -1)
		sh->broken++;
	*got = at;
	_exit(0);
}

/* One short stream: each end writes and reads in a process of its own. */
static int64_t
end_one(size_t i, size_t out, size_t back)
{
	pid_t pid[4];
	size_t k, n = 0;
	uint64_t *got = sh->got_of;

	got[0] = got[1] = 0;
	if ((pid[n++] = spawn()) == 0) {
		close(rx[i]);
		write_known(tx[i], out);
	}
	if ((pid[n++] = spawn()) == 0) {
		close(tx[i]);
		read_known(rx[i], &got[0]);
	}
	if (back > 0 && (pid[n++] = spawn()) == 0) {
		close(tx[i]);
		write_known(rx[i], back);
	}
	if (back > 0 && (pid[n++] = spawn()) == 0) {
		close(rx[i]);
		read_known(tx[i], &got[1]);
	}
	close(tx[i]);
	close(rx[i]);
	for (k = 0; k < n; k++)
		reap(pid[k]);
	return (int64_t)(out + back) - (int64_t)(got[0] + got[1]);
}

static void
ends(unsigned int seed)
{
	uint64_t lost = 0, sent = 0;
	size_t i, out, back;
	int64_t diff;

	for (i = 0; i < 2 * PATTERN; i++)
		pattern[i] = (unsigned char)((i % PATTERN) * 2654435761u >> 13);
	srandom(seed);
	for (i = 0; i < npairs; i++) {
		out = (size_t)random() % ENDS_MAX;
		back = i % 2 ? 1 + (size_t)random() % ENDS_MAX : 0;
		sent += out + back;
		if ((diff = end_one(i, out, back)) != 0)
			lost += (uint64_t)(diff > 0 ? diff : -diff);
	}
	printf("streams=%zu sent=%" PRIu64 " lost=%" PRIu64 " wrong=%" PRIu64
	    " broken=%" PRIu64 "\n", npairs, sent, lost, sh->wrong,
	    sh->broken);
}

int
main(int argc, char *argv[])
{
	if (argc < 6)
		errx(1, "usage: load bulk|ping|ends WARM RUN PIDS TX:RX ...");
	alarm(LIMIT_S);
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sh == MAP_FAILED)
		err(1, "mmap");
	parse_pairs(argv + 5);
	if (strcmp(argv[1], "bulk") == 0)
		bulk(number(argv[2]), number(argv[3]), argv[4]);
	else if (strcmp(argv[1], "ping") == 0)
		ping(number(argv[2]), number(argv[3]));
	else if (strcmp(argv[1], "ends") == 0)
		ends((unsigned int)number(argv[2]));
	else
		errx(1, "unknown test: %s", argv[1]);
	return 0;
}
