/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* CLOCK_MONOTONIC in ns: the data plane's clock too. */
#ifndef BFD_SENDER_CLOCK_H
#define BFD_SENDER_CLOCK_H

#include <linux/types.h>
#include <time.h>

#define NS_PER_US 1000ULL
#define NS_PER_MS 1000000ULL
#define NS_PER_S 1000000000ULL
#define NEVER (~0ULL)

static inline __u64 clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* A signal that does not end the process may end the sleep early: nothing is due then, and it sleeps again. */
static inline void sleep_until(__u64 time)
{
	struct timespec until = { .tv_sec = time / NS_PER_S, .tv_nsec = time % NS_PER_S };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

#endif
