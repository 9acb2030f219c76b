/* SPDX-License-Identifier: ISC */
#include "options.h"
#include "ui.h"

int
main(int argc, char **argv)
{
	const struct command	*c;
	struct options		 o;
	char			**args;
	int			 nargs, status;

	status = options_parse(&o, argc, argv, &c, &args, &nargs);
	if (status != 0)
		return (status == -1 ? EXIT_DONE : status);
	ui_init(o.verbose, o.quiet, o.json, c->data);
	return (c->run(&o, args, nargs));
}
