/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "seal.h"
#include "wire.h"

#define SENDER		1
#define RECEIVER	2
#define NSEC_MAX	UINT32_C(999999999)

/*
 * What each message consists of, in this order, numbers with their highest
 * byte first: c code, x exec, i id, s size, n dirs, t sec and nsec, h sum, d
 * data to the end of the frame.
 */
static const struct layout {
	enum wire_type	 type;
	int		 from;
	const char	*fields;
} layouts[] = {
	{ WIRE_TICK,	SENDER | RECEIVER,	"" },
	{ WIRE_OFFER,	SENDER,			"cisn" },
	{ WIRE_ENTRY,	SENDER,			"cxstd" },
	{ WIRE_SUMMED,	SENDER,			"ih" },
	{ WIRE_DATA,	SENDER,			"d" },
	{ WIRE_END,	SENDER,			"ih" },
	{ WIRE_SKIP,	SENDER,			"ic" },
	{ WIRE_FINISH,	SENDER,			"" },
	{ WIRE_SUM,	RECEIVER,		"is" },
	{ WIRE_GET,	RECEIVER,		"is" },
	{ WIRE_RESULT,	RECEIVER,		"ic" },
	{ WIRE_DONE,	RECEIVER,		"" },
	{ WIRE_FAIL,	SENDER | RECEIVER,	"c" },
};

static const struct layout *
layout_of(unsigned int type)
{
	size_t	 i;

	for (i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
		if (layouts[i].type == type)
			return (&layouts[i]);
	return (NULL);
}

int
wire_from_sender(enum wire_type type)
{
	const struct layout	*l = layout_of(type);

	return (l != NULL && (l->from & SENDER) != 0);
}

int
wire_from_receiver(enum wire_type type)
{
	const struct layout	*l = layout_of(type);

	return (l != NULL && (l->from & RECEIVER) != 0);
}

/* ---- packing ------------------------------------------------------------*/

static uint8_t *
put(uint8_t *at, uint64_t value, unsigned int len)
{
	while (len-- > 0)
		*at++ = (uint8_t)(value >> 8 * len);
	return (at);
}

static uint8_t *
put_field(uint8_t *at, const struct wire *w, char field)
{
	switch (field) {
	case 'c':
		return (put(at, w->code, 1));
	case 'x':
		return (put(at, w->exec, 1));
	case 'i':
		return (put(at, w->id, 8));
	case 's':
		return (put(at, w->size, 8));
	case 'n':
		return (put(at, w->dirs, 8));
	case 't':
		at = put(at, (uint64_t)w->sec, 8);
		return (put(at, w->nsec, 4));
	case 'h':
		memcpy(at, w->sum, sizeof(w->sum));
		return (at + sizeof(w->sum));
	default:
		return (at);
	}
}

size_t
wire_pack(const struct wire *w, uint8_t head[WIRE_HEAD_MAX])
{
	const struct layout	*l = layout_of(w->type);
	const char		*f;
	uint8_t			*at = head;

	for (f = l->fields; *f != '\0'; f++)
		at = put_field(at, w, *f);
	return ((size_t)(at - head));
}

/* ---- unpacking ----------------------------------------------------------*/

struct in {
	const uint8_t	*at;
	size_t		 left;
	int		 bad;
};

static uint64_t
get(struct in *in, unsigned int len)
{
	uint64_t	 value = 0;

	if (in->left < len) {
		in->bad = 1;
		return (0);
	}
	in->left -= len;
	while (len-- > 0)
		value = value << 8 | *in->at++;
	return (value);
}

static void
get_sum(struct in *in, struct wire *w)
{
	if (in->left < sizeof(w->sum)) {
		in->bad = 1;
		return;
	}
	memcpy(w->sum, in->at, sizeof(w->sum));
	in->at += sizeof(w->sum);
	in->left -= sizeof(w->sum);
}

static void
get_field(struct in *in, struct wire *w, char field)
{
	switch (field) {
	case 'c':
		w->code = (uint8_t)get(in, 1);
		break;
	case 'x':
		w->exec = (uint8_t)get(in, 1);
		break;
	case 'i':
		w->id = get(in, 8);
		break;
	case 's':
		w->size = get(in, 8);
		break;
	case 'n':
		w->dirs = get(in, 8);
		break;
	case 't':
		w->sec = (int64_t)get(in, 8);
		w->nsec = (uint32_t)get(in, 4);
		break;
	case 'h':
		get_sum(in, w);
		break;
	case 'd':
		w->data = in->at;
		w->len = in->left;
		in->left = 0;
		break;
	}
}

static int
sane(const struct wire *w)
{
	if (w->exec > 1 || w->nsec > NSEC_MAX || w->size > INT64_MAX)
		return (0);
	switch (w->type) {
	case WIRE_ENTRY:
		return (w->code <= WIRE_LEAVE && w->len >= 1 &&
		    w->len <= WIRE_PATH_MAX);
	case WIRE_DATA:
		return (w->len >= 1 && w->len <= SEAL_DATA_MAX);
	default:
		return (1);
	}
}

int
wire_unpack(struct wire *w, uint8_t type, const uint8_t *data, size_t len)
{
	const struct layout	*l = layout_of(type);
	const char		*f;
	struct in		 in = { data, len, 0 };

	memset(w, 0, sizeof(*w));
	if (l == NULL)
		return (-1);
	w->type = l->type;
	for (f = l->fields; *f != '\0'; f++)
		get_field(&in, w, *f);
	return (!in.bad && in.left == 0 && sane(w) ? 0 : -1);
}
