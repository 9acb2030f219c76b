/* SPDX-License-Identifier: ISC */
#include <stddef.h>

#include "ctl.h"
#include "iq.h"

static const char *const features[] = {
	NS_DISCO_INFO,
	NS_DISCO_ITEMS,
	NS_PASS,
	NS_LAST,
	NS_VERSION,
	NS_PING,
};

/* XEP-0157 field of each kind of contact. */
static const char *const contact_fields[] = {
	[CONTACT_ABUSE] = "abuse-addresses",
	[CONTACT_ADMIN] = "admin-addresses",
	[CONTACT_SECURITY] = "security-addresses",
	[CONTACT_STATUS] = "status-addresses",
};

static void
write_contacts(struct xml_out *x, enum conf_contact_kind kind)
{
	const struct conf_contact	*c;
	int				 any = 0;

	TAILQ_FOREACH(c, &ctl.conf->contacts, entry) {
		if (c->kind != kind)
			continue;
		if (!any) {
			xml_open(x, "field", NULL);
			xml_attr(x, "var", contact_fields[kind]);
			xml_attr(x, "type", "list-multi");
			any = 1;
		}
		xml_elem(x, "value", NULL, c->uri);
	}
	if (any)
		xml_close(x);
}

/* XEP-0157: where to complain; a form of XEP-0128. */
static void
write_server_info(struct xml_out *x)
{
	int	 kind;

	if (TAILQ_EMPTY(&ctl.conf->contacts))
		return;
	xml_open(x, "x", NS_DATA);
	xml_attr(x, "type", "result");
	xml_open(x, "field", NULL);
	xml_attr(x, "var", "FORM_TYPE");
	xml_attr(x, "type", "hidden");
	xml_elem(x, "value", NULL, "http://jabber.org/network/serverinfo");
	xml_close(x);
	for (kind = CONTACT_ABUSE; kind <= CONTACT_STATUS; kind++)
		write_contacts(x, (enum conf_contact_kind)kind);
	xml_close(x);
}

/* XEP-0030 3.1 */
void
disco_info_iq(const struct iq *iq, const struct stanza *q)
{
	struct xml_out	 x;
	size_t		 i;

	if (stanza_attr(q, "node") != NULL) {
		iq_fail(iq, IQ_NO_SUCH_NODE, NULL, 0);
		return;
	}
	iq_result(&x, iq);
	xml_open(&x, "query", NS_DISCO_INFO);
	xml_open(&x, "identity", NULL);
	xml_attr(&x, "category", "proxy");
	xml_attr(&x, "type", "pass");
	xml_attr(&x, "name", "Proxy Accept Socket Service");
	/*
	 * Of its own: Prosody puts one on the stanza, which the identity
	 * would inherit, and capability hashes would differ.
	 */
	xml_attr(&x, "xml:lang", "en");
	xml_close(&x);
	for (i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		xml_open(&x, "feature", NULL);
		xml_attr(&x, "var", features[i]);
		xml_close(&x);
	}
	write_server_info(&x);
	xml_close(&x);
	iq_send(&x);
}

/* XEP-0030 4.1: there is nothing below us. */
void
disco_items_iq(const struct iq *iq, const struct stanza *q)
{
	struct xml_out	 x;

	if (stanza_attr(q, "node") != NULL) {
		iq_fail(iq, IQ_NO_SUCH_NODE, NULL, 0);
		return;
	}
	iq_result(&x, iq);
	xml_elem(&x, "query", NS_DISCO_ITEMS, NULL);
	iq_send(&x);
}
