/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include "layers.h"
#include "log.h"
#include "parent.h"

/* Who is held: the workers are no process of the parent's. */
#define WORKERS		PROC_ROLES
#define KINDS		(PROC_ROLES + 1)

static struct layers	 layers[KINDS];
static int		 known[KINDS];

static const char *
kind_name(int kind)
{
	return (kind == WORKERS ? "worker" : proc_name((enum proc_role)kind));
}

/* Add " NAME=LAYERS" to ${line}. */
static void
append(char *line, size_t size, int kind, uint32_t bits)
{
	char	 text[LAYERS_TEXT_MAX];

	(void)strlcat(line, " ", size);
	(void)strlcat(line, kind_name(kind), size);
	(void)strlcat(line, "=", size);
	(void)strlcat(line, known[kind] ?
	    layers_text(bits, text, sizeof(text)) : "unused", size);
}

/* Of the ${kinds} (bits by number): what holds, and what is missing. */
static void
say(unsigned int kinds, const char *parents)
{
	char	 held[LOG_LINE_MAX], missing[LOG_LINE_MAX];
	int	 kind;

	(void)snprintf(held, sizeof(held), "cage%s", parents);
	missing[0] = '\0';
	for (kind = 0; kind < KINDS; kind++) {
		if ((kinds & (1u << kind)) == 0)
			continue;
		append(held, sizeof(held), kind, layers[kind].held);
		if (layers[kind].missing != 0)
			append(missing, sizeof(missing), kind,
			    layers[kind].missing);
	}
	log_info("%s", held);
	if (missing[0] != '\0')
		log_warn("cage incomplete%s: this kernel, or a container, "
		    "does not have it", missing);
}

void
parent_layers(enum proc_role role, const struct msg_ready *m)
{
	unsigned int	 kinds = 1u << role;

	layers[role] = m->own;
	known[role] = 1;
	if (role == PROC_SPAWNER) {
		layers[WORKERS] = m->workers;
		known[WORKERS] = 1;
		kinds |= 1u << WORKERS;
	}
	if (parent.was_ready)
		say(kinds, "");
}

void
parent_layers_start(void)
{
	/* Its own would be those of all others, and of its successor. */
	say((1u << KINDS) - 1, " parent=none");
#ifdef WITH_SANITIZERS
	log_warn(SANITIZER_WARNING);
#endif
}
