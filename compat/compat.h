/* SPDX-License-Identifier: ISC */
#ifndef COMPAT_H
#define COMPAT_H

/*
 * What neither libc nor libbsd has here.  config.h includes this file, so
 * that callers write what they would write on OpenBSD.
 */

#ifndef HAVE_TIMINGSAFE_BCMP
#include <stddef.h>

/*
 * timingsafe_bcmp(a, b, len):
 * Return 0 if the ${len} bytes at ${a} and ${b} are equal, else non-zero, in
 * a time that depends on ${len} alone (timingsafe_bcmp(3) of OpenBSD).
 */
int	timingsafe_bcmp(const void *, const void *, size_t);
#endif

#ifndef HAVE_SETPROCTITLE_INIT
/* Where setproctitle(3) is part of libc it needs no preparation. */
#define setproctitle_init(argc, argv, envp)	((void)(envp))
#endif

#endif
