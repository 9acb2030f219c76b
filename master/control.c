/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/time.h>

#include <errno.h>
#include <event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"
#include "control.h"
#include "ctl.h"
#include "escrow.h"
#include "health.h"
#include "iq.h"
#include "log.h"
#include "mono.h"
#include "port.h"
#include "privdrop.h"
#include "role.h"
#include "sandbox.h"
#include "summary.h"
#include "xmpp.h"

#define FILES_RESERVE	64	/* for the link, listeners being made, ... */
#define FILES_PER_PORT	3	/* channel, and two listeners at the start */
#define STOP_EXTRA_MS	1000	/* for workers to report their end */
#define PARENT_QUEUE	65536	/* messages: a few for each port */
#define HANDOVER_MS	1000	/* for the server to close the stream */
#define DATA_MAX	(UINT64_C(1) << 30)	/* bytes of private memory */

struct ctl		 ctl;

static enum log_level	 level_asked;	/* by passd -v, else from the file */
static char		 secret[XMPP_SECRET_MAX + 1];
static int		 have_secret;
static struct addr	 servers[XMPP_SERVERS_MAX];
static size_t		 nservers;
static int		 running;	/* configured and locked in */
static int		 linked;	/* the link was started */
static struct event	 stop_timer;

/* ---- the component link -------------------------------------------------*/

static void
on_link_up(void *arg)
{
	(void)arg;
	ask_link_up();
	port_link_up();
	summary_changed();
}

static void
on_link_down(void *arg)
{
	(void)arg;		/* questions time out, notices wait */
	summary_changed();
}

/* RFC 6121 4; what passd does not take part in is ignored. */
static void
on_presence(const struct stanza *s, const struct jid *from)
{
	const char	*type = stanza_attr(s, "type");

	if (type == NULL)
		port_owner_seen(from);
	else if (strcmp(type, "unavailable") == 0)
		port_owner_left(from);
}

/* RFC 6121 5.2 and 8.3: nobody reads messages here. */
static void
on_message(const struct stanza *s, const struct jid *from)
{
	const char	*type = stanza_attr(s, "type");
	struct xml_out	 x;

	if (type != NULL && (strcmp(type, "error") == 0 ||
	    strcmp(type, "groupchat") == 0 || strcmp(type, "headline") == 0))
		return;
	xml_init(&x);
	xml_open(&x, "message", NULL);
	xml_attr(&x, "type", "error");
	xml_attr(&x, "id", stanza_attr(s, "id"));
	xml_attr(&x, "from", stanza_attr(s, "to"));
	xml_attr(&x, "to", from->full);
	xml_open(&x, "error", NULL);
	xml_attr(&x, "code", "503");
	xml_attr(&x, "type", "cancel");
	xml_elem(&x, "service-unavailable", NS_STANZAS, NULL);
	xml_close(&x);
	iq_send_error(&x);
}

static void
on_stanza(struct stanza *s, void *arg)
{
	const char	*from = stanza_attr(s, "from");
	struct jid	*jid;

	(void)arg;
	if (stanza_is(s, NS_COMPONENT, "iq"))
		iq_stanza(s);
	else if (from != NULL && (jid = jid_parse(from)) != NULL) {
		if (stanza_is(s, NS_COMPONENT, "presence"))
			on_presence(s, jid);
		else if (stanza_is(s, NS_COMPONENT, "message"))
			on_message(s, jid);
		jid_free(jid);
	}
	stanza_free(s);
}

static void
on_skipped(struct stanza *s, enum stanza_bad why, void *arg)
{
	static const char *const	 names[] = {
		[STANZA_TOO_BIG] = "too big",
		[STANZA_TOO_DEEP] = "too deep",
		[STANZA_TOO_MANY] = "too many elements or attributes",
		[STANZA_BAD_NAME] = "bad namespace or name",
	};
	const char			*from = stanza_attr(s, "from");
	char				 who[1024], name[64];
	struct jid			*jid;

	(void)arg;
	/* Both are whatever somebody liked to write. */
	jid = from == NULL ? NULL : jid_parse(from);
	if (jid != NULL)
		(void)jid_log(jid, who, sizeof(who));
	else
		(void)log_safe(from, who, sizeof(who));
	jid_free(jid);
	log_info("skipped stanza=%s from=%s reason=\"%s\"",
	    log_safe(s->name, name, sizeof(name)), who, names[why]);
	if (stanza_is(s, NS_COMPONENT, "iq"))
		iq_skipped(s);
	stanza_free(s);
}

static void
send_parent(const void *m, size_t len)
{
	if (chan_send(ctl.parent, m, len, NULL, 0) == -1)
		log_debug("parent does not read");
}

static void
on_connect_wanted(void *arg)
{
	struct msg_hdr	 m;

	(void)arg;
	msg_init(&m, sizeof(m), MSG_CONNECT, 0);
	send_parent(&m, sizeof(m));
}

static const struct xmpp_handler	 link_handler = {
	on_link_up, on_link_down, on_stanza, on_skipped, on_connect_wanted
};

/* ---- configuration ------------------------------------------------------*/

static void
log_conf_error(const char *text, void *arg)
{
	(void)arg;
	log_error("%s", text);
}

/* Parse the file ${in} came with; NULL after its errors were logged. */
static struct conf *
read_conf(struct msg_in *in)
{
	struct conf	*c;
	FILE		*f;

	if (!msg_text_ok(in->config.name, sizeof(in->config.name)))
		return (NULL);
	if ((f = fdopen(in->fds[0], "r")) == NULL) {
		log_warn_errno("configuration");
		return (NULL);
	}
	in->fds[0] = -1;
	c = conf_parse(f, in->config.name, log_conf_error, NULL);
	(void)fclose(f);
	return (c);
}

static void
set_log_level(const struct conf *c)
{
	log_set_level(level_asked == LOG_LEVEL_DEBUG ? LOG_LEVEL_DEBUG :
	    c->log_level);
}

static void
send_needs(const struct conf *c)
{
	struct msg_needs	 m;

	msg_init(&m, sizeof(m), MSG_NEEDS, 0);
	m.log_level = (uint32_t)c->log_level;
	m.stop_ms = c->timeout.stop;
	if (strlcpy(m.secret, c->secret_path, sizeof(m.secret)) >=
	    sizeof(m.secret))
		fatalx("secret file: name too long");
	if (c->server == SERVER_UNIX)
		(void)strlcpy(m.unix_path, c->server_path,
		    sizeof(m.unix_path));
	if (c->server == SERVER_HOST)
		(void)strlcpy(m.host, c->server_host, sizeof(m.host));
	send_parent(&m, sizeof(m));
}

static void
first_config(struct msg_in *in)
{
	if ((ctl.conf = read_conf(in)) == NULL)
		fatalx("configuration has errors, not started");
	set_log_level(ctl.conf);
	chan_states(ctl.parent, MSG_ST_START);
	send_needs(ctl.conf);
}

static void
reloaded(enum reload_result result)
{
	struct msg_reloaded	 m;

	msg_init(&m, sizeof(m), MSG_RELOADED, 0);
	m.result = (uint32_t)result;
	send_parent(&m, sizeof(m));
}

static void
reload(struct msg_in *in)
{
	struct conf	*c;
	const char	*fixed;

	if ((c = read_conf(in)) == NULL) {
		log_error("reload: configuration has errors, the old one "
		    "stays in force");
		reloaded(RELOAD_FAILED);
		return;
	}
	/* This process is locked in: the next one takes the workers over. */
	if ((fixed = conf_fixed_change(ctl.conf, c)) != NULL) {
		log_info("reload: control starts anew for \"%s\"", fixed);
		conf_free(c);
		reloaded(RELOAD_RESTART);
		return;
	}
	conf_free(ctl.conf);
	ctl.conf = c;
	set_log_level(c);
	port_limits_all();
	log_info("reloaded");
	reloaded(RELOAD_DONE);
}

/*
 * The secret: the file's content without the line end.  Return 0, or -1 if
 * it cannot be one.
 */
static int
read_secret(int fd)
{
	char	 buf[sizeof(secret) + 1];
	ssize_t	 n;
	size_t	 len;

	n = read(fd, buf, sizeof(buf) - 1);
	if (n == -1)
		return (-1);
	buf[n] = '\0';
	len = strcspn(buf, "\r\n");
	if (len == 0 || len > XMPP_SECRET_MAX ||
	    strspn(buf + len, "\r\n") != (size_t)n - len) {
		explicit_bzero(buf, sizeof(buf));
		log_error("secret file: not one line of at most %d bytes",
		    XMPP_SECRET_MAX);
		errno = EINVAL;
		return (-1);
	}
	buf[len] = '\0';
	(void)strlcpy(secret, buf, sizeof(secret));
	explicit_bzero(buf, sizeof(buf));
	return (0);
}

/* ---- start --------------------------------------------------------------*/

static void
make_pools(void)
{
	const struct conf	*c = ctl.conf;
	size_t			 files = priv_files();

	ctl.ports = pool_new(c->ports.lo, c->ports.hi, POOL_REST_MS);
	/*
	 * No rest for rendezvous ports: a small range would run dry.  The
	 * one unused longest comes next, and tokens guard against the rest.
	 */
	if (c->owner_leg == LEG_RENDEZVOUS)
		ctl.rendezvous = pool_new(c->rendezvous.lo, c->rendezvous.hi,
		    0);
	if (ctl.ports == NULL ||
	    (c->owner_leg == LEG_RENDEZVOUS && ctl.rendezvous == NULL))
		fatal("port pools");
	ctl.ports_max = files <= FILES_RESERVE + FILES_PER_PORT ? 1 :
	    (uint32_t)((files - FILES_RESERVE) / FILES_PER_PORT);
	if (ctl.ports_max < (uint32_t)(c->ports.hi - c->ports.lo) + 1)
		log_warn("descriptors=%zu suffice for %u ports only: raise "
		    "the limit of open files", files, ctl.ports_max);
}

static void
start_link(void)
{
	const struct conf	*c = ctl.conf;
	struct xmpp_params	 params;

	memset(&params, 0, sizeof(params));
	params.component = c->component->full;
	params.secret = secret;
	if (c->server == SERVER_ADDR) {
		servers[0] = c->server_addr;
		nservers = 1;
	}
	params.servers = servers;
	params.nservers = nservers;
	xmpp_init(&params, &link_handler, NULL);
	linked = 1;
	explicit_bzero(secret, sizeof(secret));
}

/* All that needs a file or a limit is done: from here on there is none. */
static void
lock_in(void)
{
	const struct conf	*c = ctl.conf;
	struct sandbox_net	 net;
	const char		*failed;

	memset(&net, 0, sizeof(net));
	if (c->server != SERVER_UNIX)
		net.connect[0] = c->server_port;
	net.bind_lo[0] = c->ports.lo;
	net.bind_hi[0] = c->ports.hi;
	if (c->owner_leg == LEG_RENDEZVOUS) {
		net.bind_lo[1] = c->rendezvous.lo;
		net.bind_hi[1] = c->rendezvous.hi;
	}
	if ((failed = sandbox_control(&net)) != NULL)
		fatal("control: %s", failed);
}

/* Begin to work once all that the configuration needs has come. */
static void
maybe_run(void)
{
	struct msg_ready	 m;

	if (running || !have_secret ||
	    (ctl.conf->server == SERVER_HOST && nservers == 0))
		return;
	running = 1;
	chan_states(ctl.parent, MSG_ST_RUN);
	make_pools();
	if (TAILQ_EMPTY(&ctl.conf->acls))
		log_warn("no allow in the configuration: nobody may "
		    "register a port");
	if (conf_link_exposed(ctl.conf))
		log_warn("the stream to the server is not encrypted, and "
		    "leaves this machine");
	lock_in();
	msg_init(&m, sizeof(m), MSG_READY, 0);
	m.own = layers_own();
	send_parent(&m, sizeof(m));
}

static void
on_secret(struct msg_in *in)
{
	int	 again = running, ok;

	ok = in->nfds == 1 && read_secret(in->fds[0]) == 0;
	if (!running && !ok)
		fatalx("no secret, not started");
	if (linked) {
		if (ok)
			xmpp_set_secret(secret);
		explicit_bzero(secret, sizeof(secret));
	} else {
		have_secret = 1;
		maybe_run();
	}
	/* The secret is the last that comes with a reload. */
	if (again)
		summary_reloaded();
}

static void
on_resolved(const struct msg_resolved *m)
{
	uint32_t	 i;

	if (m->count == 0 || m->count > MSG_ADDRS_MAX)
		fatalx("server \"%s\": no address, not started",
		    ctl.conf->server_host);
	for (i = 0; i < m->count && nservers < XMPP_SERVERS_MAX; i++) {
		servers[nservers] = m->addr[i];
		servers[nservers++].port = ctl.conf->server_port;
	}
	maybe_run();
}

/* ---- end ----------------------------------------------------------------*/

static void
link_closed(void *arg)
{
	(void)arg;
	exit(0);
}

static void
finish(void)
{
	static int	 done;

	if (done++)
		return;
	(void)evtimer_del(&stop_timer);
	if (linked)
		xmpp_close(link_closed, NULL);
	else
		exit(0);
}

void
ctl_ports_empty(void)
{
	if (ctl.stopping)
		finish();
}

static void
on_stop_timer(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	log_warn("stop: %u ports did not end in time", registry_count());
	finish();
}

static void
stop(void)
{
	struct timeval	 tv;
	uint32_t	 ms;

	if (ctl.stopping)
		return;
	ctl.stopping = 1;
	if (ctl.conf == NULL)
		exit(0);
	ms = ctl.conf->timeout.stop + STOP_EXTRA_MS;
	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000) * 1000;
	evtimer_set(&stop_timer, on_stop_timer, NULL);
	(void)evtimer_add(&stop_timer, &tv);
	port_stop_all(ctl.conf->timeout.stop);
	if (registry_count() == 0)
		finish();
}

/*
 * Another control takes over: the workers, and what is kept of them, are
 * left as they are.  The server is told, so that it routes nothing into the
 * void.
 */
static void
hand_over(void)
{
	struct timeval	 tv = { HANDOVER_MS / 1000, 0 };

	if (ctl.stopping)
		return;
	ctl.stopping = 1;
	ask_stop();
	if (!linked)
		exit(0);
	evtimer_set(&stop_timer, on_stop_timer, NULL);
	(void)evtimer_add(&stop_timer, &tv);
	finish();
}

/* ---- the other processes ------------------------------------------------*/

static void
spawner_message(struct msg_in *in, void *arg)
{
	(void)arg;
	if (in->hdr.type == MSG_SPAWNED)
		port_spawned(&in->spawned);
	else
		port_exited(&in->exited);
}

/*
 * It was replaced, or has died; or it does what it must not: then it lives,
 * and the parent does not know yet that it is of no use any more.
 */
static void
spawner_ended(const char *why, void *arg)
{
	struct chan	**own = arg;

	if (*own == ctl.spawner) {
		if (why == NULL)
			log_info("spawner gone, new ports wait for the next");
		else
			log_error("spawner lost: %s", why);
		ctl.spawner = NULL;
		if (why != NULL)
			port_spawner_bad();
	}
	chan_free(*own);
	free(own);
}

static const struct chan_handler	 spawner_handler = {
	spawner_message, spawner_ended
};

static void
on_spawner(struct msg_in *in)
{
	struct chan	**own;

	if ((own = malloc(sizeof(*own))) == NULL) {
		log_warn_errno("channel to the spawner");
		return;
	}
	/* The channel of the one before may have news in it: to its end. */
	*own = chan_new(in->fds[0], EDGE_SPAWNER_CONTROL, MSG_ST_RUN,
	    &spawner_handler, own);
	in->fds[0] = -1;
	if ((ctl.spawner = *own) == NULL) {
		free(own);
		return;
	}
	ctl.spawner_no++;
	ctl.spawner_bad = 0;
	port_spawner_new();
	if (linked)
		return;
	/* Only now: nobody is to be told that he can have no port yet. */
	start_link();
	log_info("ready component=%s ports=%u-%u",
	    ctl.conf->component->full, (unsigned int)ctl.conf->ports.lo,
	    (unsigned int)ctl.conf->ports.hi);
}

static void
on_xmpp(struct msg_in *in)
{
	int	 fd = in->nfds == 1 ? in->fds[0] : -1;

	if (fd != -1)
		in->fds[0] = -1;
	xmpp_connected(fd, in->status.error);
}

static void
pong(void)
{
	struct msg_hdr	 m;

	msg_init(&m, sizeof(m), MSG_PONG, 0);
	send_parent(&m, sizeof(m));
}

static void
parent_message(struct msg_in *in, void *arg)
{
	(void)arg;
	switch (in->hdr.type) {
	case MSG_CONFIG:
		if (ctl.conf == NULL)
			first_config(in);
		else
			reload(in);
		break;
	case MSG_SECRET:
		on_secret(in);
		break;
	case MSG_RESOLVED:
		on_resolved(&in->resolved);
		break;
	case MSG_SPAWNER:
		on_spawner(in);
		break;
	case MSG_XMPP:
		on_xmpp(in);
		break;
	case MSG_EPOCH:
		escrow_epoch(&in->epoch);
		break;
	case MSG_ADOPT:
		adopt_record(in);
		break;
	case MSG_ADOPTED:
		health_start();
		break;
	case MSG_PING:
		pong();
		break;
	case MSG_HANDOVER:
		hand_over();
		break;
	case MSG_ORPHAN:
		port_orphan(&in->orphan);
		break;
	case MSG_STOP:
		stop();
		break;
	default:
		break;
	}
}

static void
parent_ended(const char *why, void *arg)
{
	(void)why;
	(void)arg;
	exit(1);		/* without a parent nothing is logged, either */
}

static const struct chan_handler	 parent_handler = {
	parent_message, parent_ended
};

void
control_main(void)
{
	static struct msg_in	 in;
	const char		*failed = NULL;

	role_boot(EDGE_PARENT_CONTROL, "control", &in);
	level_asked = (enum log_level)in.boot.log_level;
	(void)priv_files();
	if (in.boot.flags & BOOT_DROP)
		failed = priv_drop(in.boot.chroot, in.boot.uid, in.boot.gid);
	if (failed == NULL)
		failed = priv_lock(0, DATA_MAX);
	if (failed != NULL)
		fatal("control: %s", failed);
	ctl.started = mono_ms();
	if (event_init() == NULL)
		fatalx("control: event_init");
	ask_init();
	registry_init();
	summary_init(MSG_CHANNEL_FD);
	ctl.parent = chan_new(MSG_CHANNEL_FD, EDGE_PARENT_CONTROL,
	    MSG_ST_CONFIG, &parent_handler, NULL);
	if (ctl.parent == NULL)
		fatal("control: channel");
	/* It reads always; what it is to keep must not be lost. */
	chan_queue_max(ctl.parent, PARENT_QUEUE);
	(void)event_dispatch();
	fatalx("control: event loop ended");
}
