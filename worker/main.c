/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <unistd.h>

#include "spawner.h"

int
main(int argc, char **argv, char **envp)
{
	/* One family of titles, as in passd(8): "passd: spawner". */
	setprogname("passd");
	setproctitle_init(argc, argv, envp);
	setproctitle("spawner");
	spawner_main();
}
