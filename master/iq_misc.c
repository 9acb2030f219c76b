/* SPDX-License-Identifier: ISC */
#include "ctl.h"
#include "iq.h"
#include "mono.h"

/* XEP-0199 */
void
ping_iq(const struct iq *iq, const struct stanza *q)
{
	struct xml_out	 x;

	(void)q;
	iq_result(&x, iq);
	iq_send(&x);
}

/* XEP-0092; the operating system is nobody's business. */
void
version_iq(const struct iq *iq, const struct stanza *q)
{
	struct xml_out	 x;

	(void)q;
	iq_result(&x, iq);
	xml_open(&x, "query", NS_VERSION);
	xml_elem(&x, "name", NULL, PACKAGE_NAME);
	xml_elem(&x, "version", NULL, PACKAGE_VERSION);
	xml_close(&x);
	iq_send(&x);
}

/* XEP-0012 5: of a component, the time since its start. */
void
last_iq(const struct iq *iq, const struct stanza *q)
{
	struct xml_out	 x;

	(void)q;
	iq_result(&x, iq);
	xml_open(&x, "query", NS_LAST);
	xml_attr_uint(&x, "seconds",
	    (unsigned long long)((mono_ms() - ctl.started) / 1000));
	xml_close(&x);
	iq_send(&x);
}
