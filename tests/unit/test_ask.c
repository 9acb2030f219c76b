/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>

#include <event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "escrow.h"
#include "fake.h"
#include "jid.h"

#define ALICE	"alice@example.org/x"

static int		 answers;
static enum ask_answer	 last;
static char		 last_type[16];
static struct ask	*to_cancel;
static struct jid	*alice;

static void
start(void)
{
	fake_start(NULL);
	cr_assert_not_null(alice = jid_parse(ALICE));
}

static void
stop(void)
{
	jid_free(alice);
	fake_stop();
}

TestSuite(ask, .init = start, .fini = stop, .timeout = 60);

static void
on_answer(enum ask_answer answer, const struct stanza *s, void *arg)
{
	cr_assert_eq(arg, &answers);
	cr_assert_eq(s == NULL, answer == ASK_TIMEOUT);
	answers++;
	last = answer;
	if (s != NULL)
		(void)strlcpy(last_type, stanza_attr(s, "type"),
		    sizeof(last_type));
	ask_cancel(to_cancel);
	to_cancel = NULL;
}

static void
begin(struct xml_out *x, const char *id)
{
	xml_init(x);
	xml_open(x, "iq", NULL);
	xml_attr(x, "type", "set");
	xml_attr(x, "id", id);
	xml_attr(x, "to", ALICE);
	xml_elem(x, "query", "jabber:iq:pass", NULL);
	xml_close(x);
}

static struct ask *
question(const char *id, uint32_t ms)
{
	struct xml_out	 x;
	struct ask	*a;

	begin(&x, id);
	a = ask_question(id, alice, &x, ms, on_answer, &answers);
	xml_free(&x);
	return (a);
}

static unsigned int	 news_tries, news_settled;

static void
on_news(enum ask_news news, unsigned int tries, void *arg)
{
	cr_assert_eq(arg, &news_tries);
	if (news == ASK_SETTLED)
		news_settled++;
	else
		news_tries = tries;
}

static int
notice(const char *id)
{
	struct xml_out	 x;
	int		 r;

	begin(&x, id);
	r = ask_notice(id, alice, &x, 0, on_news, &news_tries);
	xml_free(&x);
	return (r == -1 ? -1 : 0);
}

/* An answer arrives; what ask_answered() says to it. */
static int
answer(const char *type, const char *id, const char *from)
{
	struct stanza	*s;
	struct jid	*jid;
	char		 xml[512];
	int		 r;

	(void)snprintf(xml, sizeof(xml), "<iq type='%s' %s%s%s from='%s'/>",
	    type, id == NULL ? "" : "id='", id == NULL ? "" : id,
	    id == NULL ? "" : "'", from);
	s = fake_parse(xml);
	cr_assert_not_null(jid = jid_parse(from));
	r = ask_answered(s, jid);
	jid_free(jid);
	stanza_free(s);
	return (r);
}

/* How many stanzas were sent, each with this id. */
static int
sent(const char *id)
{
	const struct stanza	*s;
	int			 n;

	for (n = 0; (s = fake_sent()) != NULL; n++)
		cr_expect_str_eq(stanza_attr(s, "id"), id);
	return (n);
}

static int
compare(const void *a, const void *b)
{
	return (strcmp(a, b));
}

Test(ask, ids_are_random)
{
	enum { N = 20000 };
	static char	 ids[N][ASK_ID_LEN + 1];
	struct msg_epoch m;
	int		 digits[16] = { 0 };
	size_t		 i, j;

	memset(&m, 0, sizeof(m));
	arc4random_buf(m.key, sizeof(m.key));
	escrow_epoch(&m);
	for (i = 0; i < N; i++) {
		escrow_id(ids[i], (uint32_t)i / 100, (uint32_t)i % 100);
		cr_assert_eq(strlen(ids[i]), ASK_ID_LEN);
		cr_assert_eq(strspn(ids[i], "0123456789abcdef"), ASK_ID_LEN);
		for (j = 0; j < ASK_ID_LEN; j++)
			digits[strcspn("0123456789abcdef",
			    (char [2]){ ids[i][j], '\0' })]++;
	}
	/* 40,000 of each, give or take; 2 % is ten times the deviation. */
	for (i = 0; i < 16; i++) {
		cr_expect_gt(digits[i], 39200);
		cr_expect_lt(digits[i], 40800);
	}
	qsort(ids, N, sizeof(ids[0]), compare);
	for (i = 1; i < N; i++)
		cr_assert_str_neq(ids[i - 1], ids[i]);
}

#define ID	"0123456789abcdef0123456789abcdef"
#define ID2	"fedcba9876543210fedcba9876543210"

Test(ask, only_the_right_answer_counts)
{
	cr_assert_not_null(question(ID, 1000));
	cr_expect_eq(sent(ID), 1);
	/* Trap 3: another resource, another JID, the bare JID, our own. */
	cr_expect_eq(answer("result", ID, "alice@example.org/y"), 0);
	cr_expect_eq(answer("result", ID, "alice@example.org"), 0);
	cr_expect_eq(answer("result", ID, "mallory@example.org/x"), 0);
	cr_expect_eq(answer("error", ID, "example.org"), 0);
	cr_expect_eq(answer("result", ID, FAKE_US), 0);
	/* Almost the right id. */
	cr_expect_eq(answer("result", NULL, ALICE), 0);
	cr_expect_eq(answer("result", "", ALICE), 0);
	cr_expect_eq(answer("result", ID2, ALICE), 0);
	cr_expect_eq(answer("result", ID "0", ALICE), 0);
	cr_expect_eq(answer("result", "0123456789ABCDEF0123456789abcdef",
	    ALICE), 0);
	cr_expect_eq(answer("result", "0123456789abcdef0123456789abcde",
	    ALICE), 0);
	cr_expect_eq(answers, 0);
	/* The same JID, prepared. */
	cr_expect_eq(answer("result", ID, "ALICE@Example.ORG/x"), 1);
	cr_expect_eq(answers, 1);
	cr_expect_eq(last, ASK_RESULT);
	cr_expect_eq(answer("result", ID, ALICE), 0);
	fake_sleep(5000);
	cr_expect_eq(answers, 1);
}

Test(ask, error_is_an_answer)
{
	cr_assert_not_null(question(ID, 1000));
	cr_expect_eq(answer("error", ID, ALICE), 1);
	cr_expect_eq(answers, 1);
	cr_expect_eq(last, ASK_ERROR);
	cr_expect_str_eq(last_type, "error");
}

Test(ask, timeout)
{
	cr_assert_not_null(question(ID, 30000));
	cr_assert_not_null(question(ID2, 60500));
	fake_sleep(29900);
	cr_expect_eq(answers, 0);
	fake_sleep(200);
	cr_expect_eq(answers, 1);
	cr_expect_eq(last, ASK_TIMEOUT);
	cr_expect_eq(answer("result", ID, ALICE), 0, "too late");
	cr_expect_eq(answer("result", ID2, ALICE), 1);
	fake_sleep(60000);
	cr_expect_eq(answers, 2);
}

Test(ask, question_needs_the_link)
{
	fake_up = 0;
	cr_expect_null(question(ID, 1000));
	fake_up = 1;
	cr_expect_eq(answer("result", ID, ALICE), 0);
	fake_full = 1;
	cr_expect_null(question(ID, 1000));
	fake_full = 0;
	/* Nothing of them is left: the id is free. */
	cr_expect_not_null(question(ID, 1000));
	cr_expect_null(question(ID, 1000), "an id twice");
	fake_sleep(2000);
	cr_expect_eq(answers, 1);
}

Test(ask, cancel)
{
	struct ask	*a = question(ID, 1000);

	ask_cancel(a);
	cr_expect_eq(answer("result", ID, ALICE), 0);
	fake_sleep(2000);
	cr_expect_eq(answers, 0);
	ask_cancel(NULL);
}

/* The end of one port may cancel the questions of another. */
Test(ask, cancel_from_an_answer)
{
	cr_assert_not_null(question(ID, 1000));
	to_cancel = question(ID2, 1000);
	cr_assert_not_null(to_cancel);
	cr_expect_eq(answer("result", ID, ALICE), 1);
	cr_expect_eq(answer("result", ID2, ALICE), 0);
	fake_sleep(2000);
	cr_expect_eq(answers, 1);
	cr_assert_not_null(question(ID, 1000));
	to_cancel = question(ID2, 1000);
	fake_sleep(1001);
	cr_expect_eq(answers, 2, "both timers were due, one was cancelled");
}

/* PROTOCOL.md section 1, row 6: exactly one. */
Test(ask, notice_is_sent_once_and_given_up)
{
	cr_assert_eq(notice(ID), 0);
	cr_expect_eq(ask_notices(), 1);
	cr_expect_eq(sent(ID), 1);
	fake_sleep(ASK_NOTICE_MS - 100);
	cr_expect_eq(sent(ID), 0);
	cr_expect_eq(ask_notices(), 1);
	fake_sleep(200);
	cr_expect_eq(sent(ID), 0);
	cr_expect_eq(ask_notices(), 0);
	cr_expect_eq(fake_logged("notice jid=" ALICE " unanswered"), 1);
	cr_expect_eq(answer("result", ID, ALICE), 0);
	fake_sleep(10 * ASK_NOTICE_MS);
	cr_expect_eq(sent(ID), 0);
}

Test(ask, notice_answered)
{
	cr_assert_eq(notice(ID), 0);
	cr_expect_eq(answer("result", ID, "alice@example.org/y"), 0);
	cr_expect_eq(ask_notices(), 1);
	cr_expect_eq(answer("result", ID, ALICE), 1);
	cr_expect_eq(ask_notices(), 0);
	cr_assert_eq(notice(ID2), 0);
	fake_sleep(ASK_NOTICE_MS - 100);
	cr_expect_eq(answer("error", ID2, ALICE), 1);
	cr_expect_eq(ask_notices(), 0);
	fake_sleep(10 * ASK_NOTICE_MS);
	cr_expect_str_eq(stanza_attr(fake_sent(), "id"), ID);
	cr_expect_eq(sent(ID2), 1);
}

Test(ask, notice_waits_for_the_link)
{
	fake_up = 0;
	cr_assert_eq(notice(ID), 0);
	fake_sleep(10 * ASK_NOTICE_MS);
	cr_expect_eq(sent(ID), 0);
	cr_expect_eq(ask_notices(), 1);
	fake_up = 1;
	ask_link_up();
	cr_expect_eq(sent(ID), 1);
	/* The link goes and comes: the same id, so that once is enough. */
	fake_up = 0;
	fake_sleep(1000);
	fake_up = 1;
	ask_link_up();
	cr_expect_eq(sent(ID), 1);
	cr_expect_eq(answer("result", ID, ALICE), 1);
	ask_link_up();
	cr_expect_eq(sent(ID), 0);
	cr_expect_eq(ask_notices(), 0);
}

Test(ask, no_more_than_three_tries_however_the_link_does)
{
	int	 i, n = 0;

	cr_assert_eq(notice(ID), 0);
	for (i = 0; i < 10; i++) {
		ask_link_up();
		fake_sleep(100);
	}
	n = sent(ID);
	cr_expect_eq(n, ASK_TRIES);
	cr_expect_eq(ask_notices(), 0);
}

/* Down when its time is over: no try is counted, none is lost. */
Test(ask, notice_due_while_the_link_is_down)
{
	cr_assert_eq(notice(ID), 0);
	cr_expect_eq(sent(ID), 1);
	fake_up = 0;
	fake_sleep(5 * ASK_NOTICE_MS);
	cr_expect_eq(sent(ID), 0);
	fake_up = 1;
	ask_link_up();
	cr_expect_eq(sent(ID), 1);
	fake_sleep(ASK_NOTICE_MS + 100);
	cr_expect_eq(sent(ID), 0);
	cr_expect_eq(ask_notices(), 0);
}

/* The link is up, but its queue is full for a while. */
Test(ask, notice_and_a_full_queue)
{
	fake_full = 1;
	cr_assert_eq(notice(ID), 0);
	cr_expect_eq(sent(ID), 0);
	fake_full = 0;
	fake_sleep(ASK_NOTICE_MS + 100);
	cr_expect_eq(sent(ID), 1);
	cr_expect_eq(answer("result", ID, ALICE), 1);
}

Test(ask, notices_are_bounded)
{
	char	 id[ASK_ID_LEN + 1];
	int	 i;

	fake_up = 0;
	for (i = 0; i < ASK_NOTICES_MAX; i++) {
		(void)snprintf(id, sizeof(id), "%032x", i);
		cr_assert_eq(notice(id), 0);
	}
	cr_expect_eq(notice(ID), -1);
	cr_expect_eq(ask_notices(), ASK_NOTICES_MAX);
	/* Questions are another matter: their senders are bounded. */
	fake_up = 1;
	cr_expect_not_null(question(ID2, 1000));
	ask_link_up();
	for (i = 0; i < ASK_NOTICES_MAX; i++) {
		(void)snprintf(id, sizeof(id), "%032x", i);
		cr_assert_eq(answer("result", id, ALICE), 1);
	}
	cr_expect_eq(ask_notices(), 0);
	cr_expect_eq(notice(ID), 0);
}

Test(ask, notice_unfinished_or_twice)
{
	struct xml_out	 x;

	xml_init(&x);
	xml_open(&x, "iq", NULL);
	cr_expect_eq(ask_notice(ID, alice, &x, 0, on_news, &news_tries), -1);
	cr_expect_eq(ask_question(ID, alice, &x, 10, on_answer, &answers),
	    NULL);
	xml_free(&x);
	cr_expect_eq(ask_notices(), 0);
	cr_assert_eq(notice(ID), 0);
	cr_expect_eq(notice(ID), -1);
	cr_expect_eq(ask_notices(), 1);
	cr_expect_null(question(ID, 10));
}
