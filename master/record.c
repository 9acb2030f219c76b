/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "record.h"

struct wire {
	uint16_t	 format;
	uint8_t		 kind;
	uint8_t		 cause;
	uint16_t	 number;
	uint16_t	 flags;
	uint32_t	 tries;
	int32_t		 pid;
	int64_t		 registered;
	int64_t		 expires;
	uint64_t	 asked;
	char		 id[40];
	uint16_t	 jid_size;	/* NUL included, as for the next */
	uint16_t	 request_size;	/* 0: none */
	uint32_t	 pad;
	/* the strings follow */
};
_Static_assert(sizeof(struct wire) == 88, "record");

size_t
record_write(const struct record *r, struct msg_record *m)
{
	struct wire	 w;
	size_t		 jid = strlen(r->jid) + 1, request = 0;

	if (r->request != NULL)
		request = strlen(r->request) + 1;
	if (sizeof(w) + jid + request > sizeof(m->record))
		return (0);
	memset(&w, 0, sizeof(w));
	w.format = RECORD_FORMAT;
	w.kind = (uint8_t)r->kind;
	w.cause = (uint8_t)r->cause;
	w.number = r->number;
	w.flags = r->flags;
	w.tries = r->tries;
	w.pid = r->pid;
	w.registered = r->registered;
	w.expires = r->expires;
	w.asked = r->asked;
	(void)strlcpy(w.id, r->id, sizeof(w.id));
	w.jid_size = (uint16_t)jid;
	w.request_size = (uint16_t)request;
	memcpy(m->record, &w, sizeof(w));
	memcpy(m->record + sizeof(w), r->jid, jid);
	if (request != 0)
		memcpy(m->record + sizeof(w) + jid, r->request, request);
	return (offsetof(struct msg_record, record) + sizeof(w) + jid +
	    request);
}

/* A string of ${size} bytes, its NUL the last and only one. */
static const char *
text(const unsigned char *at, size_t size)
{
	const char	*s = (const char *)at;

	return (size > 0 && strnlen(s, size) == size - 1 ? s : NULL);
}

int
record_read(struct record *r, const struct msg_record *m, size_t len)
{
	struct wire	 w;

	if (len < offsetof(struct msg_record, record) + sizeof(w))
		return (-1);
	len -= offsetof(struct msg_record, record) + sizeof(w);
	memcpy(&w, m->record, sizeof(w));
	if (w.format != RECORD_FORMAT || w.kind < RECORD_PORT ||
	    w.kind > RECORD_NOTICE || w.number == 0 ||
	    (size_t)w.jid_size + w.request_size != len)
		return (-1);
	memset(r, 0, sizeof(*r));
	r->kind = (enum record_kind)w.kind;
	r->number = w.number;
	r->flags = w.flags;
	r->cause = (enum cause)w.cause;
	r->tries = w.tries;
	r->pid = w.pid;
	r->registered = w.registered;
	r->expires = w.expires;
	r->asked = w.asked;
	w.id[sizeof(w.id) - 1] = '\0';
	if (strlcpy(r->id, w.id, sizeof(r->id)) >= sizeof(r->id))
		return (-1);
	if ((r->jid = text(m->record + sizeof(w), w.jid_size)) == NULL)
		return (-1);
	if (w.request_size != 0)
		r->request = text(m->record + sizeof(w) + w.jid_size,
		    w.request_size);
	return (w.request_size != 0 && r->request == NULL ? -1 : 0);
}
