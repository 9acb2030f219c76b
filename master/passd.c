/* SPDX-License-Identifier: ISC */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "control.h"
#include "log.h"
#include "parent.h"
#include "resolver.h"

#ifndef PASSD_CONFIG
#define PASSD_CONFIG	SYSCONFDIR "/passd.conf"
#endif

static void
usage(void)
{
	(void)fprintf(stderr, "usage: passd [-dnVv] [-c directory] [-f file] "
	    "[-u user] [-w user] [-x program]\n");
	exit(1);
}

static void
print_error(const char *text, void *arg)
{
	(void)arg;
	(void)fprintf(stderr, "%s\n", text);
}

/*
 * passd -n: no privilege, no network, nothing but the file; with -U, from a
 * passd that is to be upgraded, what it keeps as well.
 */
static int
check(const char *path, int print, int state)
{
	struct conf	*c;
	FILE		*f;

	if ((f = fopen(path, "re")) == NULL) {
		(void)fprintf(stderr, "passd: ");
		perror(path);
		return (1);
	}
	c = conf_parse(f, path, print_error, NULL);
	(void)fclose(f);
	if (c == NULL)
		return (1);
	if (print)
		conf_print(c, stdout);
	if (conf_link_exposed(c))
		(void)fprintf(stderr, "%s: warning: the stream to the server "
		    "is not encrypted, and leaves this machine\n", path);
	conf_free(c);
	if (state != -1 && upgrade_load(state) == -1) {
		(void)fprintf(stderr, "passd: what the running version keeps "
		    "cannot be taken over\n");
		return (1);
	}
	(void)fprintf(stderr, "configuration OK\n");
	return (fflush(stdout) == 0 ? 0 : 1);
}

static void
run_role(const char *role)
{
	if (strcmp(role, "control") == 0)
		control_main();
	if (strcmp(role, "resolver") == 0)
		resolver_main();
	usage();
}

/*
 * The absolute name of this program: it is executed again for each role,
 * after the working directory has changed.
 */
static const char *
own_path(const char *argv0)
{
	static char	 path[PATH_MAX];

#ifdef __linux__
	ssize_t		 n;

	n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (n > 0) {
		path[n] = '\0';
		return (path);
	}
#endif
	if (strchr(argv0, '/') == NULL || realpath(argv0, path) == NULL) {
		(void)fprintf(stderr, "passd: start it by its path\n");
		exit(1);
	}
	return (path);
}

/* A path that still holds after the daemon has changed to "/". */
static const char *
absolute(const char *path)
{
	char	*real;

	if ((real = realpath(path, NULL)) == NULL)
		return (path);
	return (real);
}

int
main(int argc, char **argv, char **envp)
{
	struct parent_options	 opt = {
		.config = PASSD_CONFIG,
		.user = PASSD_USER,
		.worker_user = PASSD_WORKER_USER,
		.chroot = PASSD_CHROOT,
		.worker = LIBEXECDIR "/passd-worker",
		.upgrade_fd = -1,
	};
	const char		*bad;
	const char		*role = NULL;
	int			 ch, check_only = 0;

	setproctitle_init(argc, argv, envp);
	while ((ch = getopt(argc, argv, "c:df:nR:U:u:Vvw:x:")) != -1) {
		switch (ch) {
		case 'c':
			opt.chroot = optarg;
			break;
		case 'd':
			opt.foreground = 1;
			break;
		case 'f':
			opt.config = optarg;
			break;
		case 'n':
			check_only = 1;
			break;
		case 'R':
			role = optarg;
			break;
		case 'U':
			opt.upgrade_fd = (int)strtonum(optarg, 3, INT_MAX,
			    &bad);
			if (bad != NULL)
				usage();
			break;
		case 'u':
			opt.user = optarg;
			break;
		case 'V':
			(void)printf("%s\n", PASSD_FEATURES);
#ifdef WITH_SANITIZERS
			(void)printf("%s\n", SANITIZER_WARNING);
#endif
			return (0);
		case 'v':
			opt.debug = 1;
			break;
		case 'w':
			opt.worker_user = optarg;
			break;
		case 'x':
			opt.worker = optarg;
			break;
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();
	if (role != NULL)
		run_role(role);
	if (check_only)
		return (check(opt.config, opt.debug, opt.upgrade_fd));
	opt.self = own_path(argv[0]);
	opt.name = argv[0];
	opt.config = absolute(opt.config);
	opt.chroot = absolute(opt.chroot);
	opt.worker = absolute(opt.worker);
	return (parent_main(&opt));
}
