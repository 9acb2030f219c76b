/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <criterion/criterion.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "mono.h"
#include "notify.h"

/* The service manager: a datagram socket in a directory of the test's own. */

static char	 dir[] = "/tmp/passd-notify-XXXXXX";
static char	 path[64];
static int	 manager = -1;
static int	 warnings;

static void
on_log(enum log_level level, const char *line, void *arg)
{
	(void)line;
	(void)arg;
	warnings += level <= LOG_LEVEL_WARN;
}

static void
start(void)
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };

	log_to(on_log, NULL);
	cr_assert_not_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/notify", dir);
	(void)strlcpy(sun.sun_path, path, sizeof(sun.sun_path));
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	cr_assert_eq(bind(manager, (struct sockaddr *)&sun, sizeof(sun)), 0);
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
	cr_assert_eq(setenv("NOTIFY_SOCKET", path, 1), 0);
}

static void
stop(void)
{
	(void)close(manager);
	(void)unlink(path);
	(void)rmdir(dir);
}

TestSuite(notify, .init = start, .fini = stop, .timeout = 60);

/* The next datagram, "" if there is none. */
static const char *
heard(void)
{
	static char	 buf[512];
	ssize_t		 n;

	n = recv(manager, buf, sizeof(buf) - 1, 0);
	buf[n > 0 ? n : 0] = '\0';
	return (buf);
}

static const char *
ready(void)
{
	static char	 text[64];

	(void)snprintf(text, sizeof(text), "READY=1\nMAINPID=%ld",
	    (long)getpid());
	return (text);
}

Test(notify, states)
{
	long long	 usec;
	int64_t		 before;

	notify_init();
	cr_expect_str_eq(heard(), "");
	notify_ready();
	cr_expect_str_eq(heard(), ready());
	before = mono_ms();
	notify_reloading();
	cr_assert_eq(sscanf(heard(), "RELOADING=1\nMONOTONIC_USEC=%lld",
	    &usec), 1);
	cr_expect_geq(usec, before * 1000);
	cr_expect_leq(usec, (mono_ms() + 1) * 1000);
	notify_ready();
	cr_expect_str_eq(heard(), ready());
	notify_stopping();
	cr_expect_str_eq(heard(), "STOPPING=1");
	cr_expect_str_eq(heard(), "");
	cr_expect_eq(notify_deadline(), INT64_MAX);
}

Test(notify, status_only_when_it_changes)
{
	char	 text[300], wanted[300];

	notify_init();
	notify_status("Link up");
	notify_status("Link up");
	cr_expect_str_eq(heard(), "STATUS=Link up");
	cr_expect_str_eq(heard(), "");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	notify_status(text);
	(void)snprintf(wanted, sizeof(wanted), "STATUS=%.127s", text);
	cr_expect_str_eq(heard(), wanted);
	notify_status(text);
	cr_expect_str_eq(heard(), "", "the same as far as it goes");
}

/* A manager that does not read: nobody waits, and nothing gets lost. */
Test(notify, manager_that_does_not_read)
{
	char	 text[32];
	int	 i, n, last = 0;

	notify_init();
	for (i = 0; i < 5000 && notify_deadline() == INT64_MAX; i++) {
		(void)snprintf(text, sizeof(text), "%d", i);
		notify_status(text);
	}
	cr_assert_lt(i, 5000, "its queue is bounded");
	cr_expect_leq(notify_deadline(), mono_ms() + 200);
	notify_reloading();
	notify_status("old");
	notify_ready();
	notify_status("new");
	notify_turn(mono_ms() + 1000);
	cr_expect_neq(notify_deadline(), INT64_MAX);
	for (n = 0; n < i - 1; n++) {
		cr_assert_eq(sscanf(heard(), "STATUS=%d", &last), 1);
		cr_expect_eq(last, n);
	}
	cr_expect_str_eq(heard(), "");
	notify_turn(notify_deadline());
	cr_expect_eq(strncmp(heard(), "RELOADING=1\n", 12), 0);
	cr_expect_str_eq(heard(), ready());
	cr_expect_str_eq(heard(), "STATUS=new");
	cr_expect_str_eq(heard(), "");
	cr_expect_eq(notify_deadline(), INT64_MAX);
}

Test(notify, watchdog_at_half_its_time)
{
	char	 pid[16];
	int64_t	 now;

	(void)snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	cr_assert_eq(setenv("WATCHDOG_PID", pid, 1), 0);
	cr_assert_eq(setenv("WATCHDOG_USEC", "30000000", 1), 0);
	notify_init();
	now = notify_deadline();
	cr_expect_leq(now, mono_ms());
	notify_turn(now);
	cr_expect_str_eq(heard(), "WATCHDOG=1");
	cr_expect_eq(notify_deadline(), now + 15000);
	notify_turn(now + 14999);
	cr_expect_str_eq(heard(), "");
	notify_turn(now + 15000);
	cr_expect_str_eq(heard(), "WATCHDOG=1");
	cr_expect_eq(notify_deadline(), now + 30000);
}

Test(notify, watchdog_of_another_process)
{
	cr_assert_eq(setenv("WATCHDOG_USEC", "30000000", 1), 0);
	cr_assert_eq(setenv("WATCHDOG_PID", "1", 1), 0);
	notify_init();
	cr_expect_eq(notify_deadline(), INT64_MAX);
	cr_assert_eq(unsetenv("WATCHDOG_PID"), 0);
	notify_init();
	cr_expect_neq(notify_deadline(), INT64_MAX, "for whoever it is");
	cr_expect_eq(warnings, 0);
	cr_assert_eq(setenv("WATCHDOG_USEC", "much", 1), 0);
	notify_init();
	cr_expect_eq(notify_deadline(), INT64_MAX);
	cr_expect_eq(warnings, 1);
}

/* A name in the kernel's own space: no NUL at its end. */
Test(notify, abstract_socket)
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };
	char			 name[64];
	size_t			 len;

	len = (size_t)snprintf(name, sizeof(name), "@passd-test-%ld",
	    (long)getpid());
	memcpy(sun.sun_path + 1, name + 1, len - 1);
	(void)close(manager);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	cr_assert_eq(bind(manager, (struct sockaddr *)&sun, (socklen_t)(
	    offsetof(struct sockaddr_un, sun_path) + len)), 0);
	cr_assert_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
	notify_init();
	notify_stopping();
	cr_expect_str_eq(heard(), "STOPPING=1");
}

static void
all(void)
{
	notify_init();
	notify_ready();
	notify_status("nobody hears this");
	notify_turn(mono_ms());
	cr_expect_eq(notify_deadline(), INT64_MAX);
	notify_stopping();
	cr_expect_str_eq(heard(), "");
}

Test(notify, nobody_to_be_told)
{
	static const char *const	 bad[] = {
		"", "relative", "@", "/", "vsock:2:1234"
	};
	char				 name[200];
	size_t				 i;

	cr_assert_eq(unsetenv("NOTIFY_SOCKET"), 0);
	all();
	cr_expect_eq(warnings, 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_assert_eq(setenv("NOTIFY_SOCKET", bad[i], 1), 0);
		all();
		cr_expect_eq(warnings, (int)i + 1, "%s", bad[i]);
	}
	memset(name, 'n', sizeof(name) - 1);
	name[0] = '/';
	name[sizeof(name) - 1] = '\0';
	cr_assert_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
	all();
	cr_expect_eq(warnings, (int)i + 1);
	/* A manager that has gone is no reason to try for ever. */
	(void)snprintf(name, sizeof(name), "%s/gone", dir);
	cr_assert_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
	all();
	cr_expect_eq(warnings, (int)i + 1);
}
