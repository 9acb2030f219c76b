/* SPDX-License-Identifier: ISC */
#ifndef MASTER_CTL_H
#define MASTER_CTL_H

#include <stddef.h>
#include <stdint.h>

#include "chan.h"
#include "conf.h"
#include "pool.h"

/*
 * What all of the control process shares.  There is one; control.c fills it
 * in, the others read it.
 */
struct ctl {
	struct conf	*conf;		/* in force */
	struct pool	*ports;		/* to be registered */
	struct pool	*rendezvous;	/* for owners' legs; NULL: same-port */
	struct chan	*parent;
	struct chan	*spawner;	/* NULL: none at the moment */
	uint32_t	 spawner_no;	/* how many there have been */
	int		 spawner_bad;	/* a new one was asked for */
	int64_t		 started;	/* mono_ms() */
	uint32_t	 ports_max;	/* that our descriptors suffice for */
	int		 stopping;	/* told to stop */
};

extern struct ctl	 ctl;

/*
 * ctl_ports_empty():
 * Called when the last port has gone: the end of control, if it is stopping.
 */
void	ctl_ports_empty(void);

#endif
