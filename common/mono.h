/* SPDX-License-Identifier: ISC */
#ifndef COMMON_MONO_H
#define COMMON_MONO_H

#include <stdint.h>

/*
 * mono_ms():
 * Return the monotonic clock in milliseconds.  Every deadline in passd is
 * kept in this unit, so that a step of the wall clock changes nothing.
 * Never fails: CLOCK_MONOTONIC exists on every platform we build on.
 */
int64_t	mono_ms(void);

#endif
