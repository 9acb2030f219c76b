/* SPDX-License-Identifier: ISC */
#include <stddef.h>

#include "client.h"
#include "options.h"

const struct command	 commands[] = {
	{ "connect", "HOST PORT", 0, 2, 2, 1, cmd_connect },
	{ "listen", "", OPT_ACCESS | OPT_EXPIRE | OPT_TIMEOUT |
	    OPT_DECLOAK, 0, 0, 1, cmd_listen },
	{ "forward", "[ADDR:]PORT", OPT_ACCESS | OPT_PORT | OPT_PROXY |
	    OPT_DECLOAK, 1, 1, 0, cmd_forward },
	{ "send", "FILE... PEER", OPT_EXPIRE | OPT_TIMEOUT | OPT_DECLOAK, 2, -1,
	    0, cmd_send },
	{ "receive", "[DIR]", OPT_FROM | OPT_TIMEOUT | OPT_DECLOAK | OPT_YES,
	    0, 1, 0, cmd_receive },
	{ "list", "", 0, 0, 0, 0, cmd_list },
	{ "close", "PORT... | all", 0, 1, -1, 0, cmd_close },
	{ "find", "PEER", OPT_TIMEOUT | OPT_REASON, 1, 1, 0, cmd_find },
	{ "services", "", 0, 0, 0, 0, cmd_services },
	{ NULL, NULL, 0, 0, 0, 0, NULL }
};
