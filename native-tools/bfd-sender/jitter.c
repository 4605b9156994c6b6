// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "jitter.h"
#include "clock.h"

#include <sys/random.h>

/* Common to sessions: 2^0 ns to about a millisecond, and at most 1/GRID_SHARE of the interval. */
#define MAX_GRID_SHIFT 20
#define GRID_SHARE 7

/* xorshift64: to keep sessions apart, no secret. */
static __u64 draw(void)
{
	static __u64 state;

	while (!state)
		if (getrandom(&state, sizeof(state), GRND_NONBLOCK) < 0)
			state = clock_now();
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

__u64 next_due(__u64 last, __u64 interval, bool single)
{
	__u64 earliest = last + interval - interval / 4;
	__u64 span = single ? interval / 4 - interval / 10 : interval / 4;
	__u64 due = earliest + draw() % (span + 1), grid = 1;

	while (grid < 1ULL << MAX_GRID_SHIFT && grid * 2 <= interval / GRID_SHARE)
		grid *= 2;
	due -= due % grid;
	/* the grid is narrower than the span */
	return due < earliest ? due + grid : due;
}
