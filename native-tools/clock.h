/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* CLOCK_MONOTONIC in ns, for tools that measure: no signal cuts a sleep short. */
#ifndef NATIVE_TOOLS_CLOCK_H
#define NATIVE_TOOLS_CLOCK_H

#include <errno.h>
#include <stdint.h>
#include <time.h>

#define NS_PER_US 1000ULL
#define NS_PER_S 1000000000ULL

static inline uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static inline void sleep_until(uint64_t at)
{
	struct timespec when = { .tv_sec = (time_t)(at / NS_PER_S), .tv_nsec = (long)(at % NS_PER_S) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
		;
}

#endif
