/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_GATE_H
#define CLIENT_GATE_H

#include "addr.h"
#include "options.h"

/* Who may connect: --allow, --ask, --yes. */

/*
 * gate_init(o, always):
 * Set the rules.  With ${always} everybody may, as somebody else decides
 * later.  Without any rule: ask if there is a terminal, else refuse, which is
 * said now.
 */
void	gate_init(const struct options *, int);

/* fn(yes, why, arg): the decision; why is a word for the log. */
typedef void (*gate_fn)(int, const char *, void *);

/*
 * gate_decide(peer, what, fn, arg):
 * Decide about ${peer}, who wants ${what} ("to connect to port 28017"); ${fn}
 * is called once, maybe from in here, at the latest after half a minute.
 */
void	gate_decide(const struct addr *, const char *, gate_fn, void *);

/*
 * gate_terminal():
 * Open the terminal, before a sandbox forbids it.  Return 1 if there is one
 * that we may ask on.
 */
int	gate_terminal(void);

/*
 * gate_question(text, fn, arg):
 * Put a question on the terminal, "...? [y/N] ", or answer no if
 * gate_terminal() has found none, if the same one or too many others wait.
 */
void	gate_question(const char *, gate_fn, void *);

#endif
