/* SPDX-License-Identifier: ISC */
/*
 * Put in front of sandbox_openbsd.c where there is no OpenBSD: its
 * declarations, as unistd.h has them there.
 */
int	pledge(const char *, const char *);
int	unveil(const char *, const char *);
