/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_RELAY_H
#define CLIENT_RELAY_H

#include <stddef.h>
#include <stdint.h>

/*
 * Bytes between a peer's socket and a local end: another socket, or standard
 * input and output.  A FIN is passed on after the last byte, and the other
 * direction goes on; a reset is passed on as a reset.
 */
struct relay {
	int		 peer;		/* a non-blocking socket */
	int		 in;		/* local: read from here */
	int		 out;		/* local: write to here; may be in */
	int64_t		 idle_ms;	/* without a byte either way; 0: any */
	int		 watch;		/* ends with it: hung up; -1: none */
	uint64_t	 from_peer;	/* bytes written to out */
	uint64_t	 to_peer;	/* bytes written to peer */
	/* Called about each half second, or NULL. */
	void		 (*progress)(const struct relay *, void *);
	void		*arg;
};

/*
 * relay_run(r, why, size):
 * Relay until both directions have ended.  Blocks; closes ${out} and shuts
 * down ${peer} as they end, and closes all three in the end.  Return EXIT_DONE,
 * or EXIT_PEER (reset, gone), EXIT_TIMEOUT (idle) or EXIT_USAGE (the local end
 * failed) with a reason in ${why}.
 */
int	relay_run(struct relay *, char *, size_t);

/*
 * relay_stdio(restore):
 * Before standard input and output are relayed: make those that are pipes or
 * sockets non-blocking, so that no direction waits for the other; with
 * ${restore} put back what others who share them had.
 */
void	relay_stdio(int);

#endif
