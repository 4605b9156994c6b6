/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * For tests: CPUs that take the same numbers of one link at the same time, as
 * they do when the copies of its frames arrive by different queues.
 */
#ifndef CABERNET_RACE_H
#define CABERNET_RACE_H

#include "merge.h"

#define RACE_LEAD 64

volatile __u32 race_vif = 0;
volatile __u32 race_first = 0;
volatile __u32 race_numbers = 0;
/* Those that take part, and those that are there. */
volatile __u32 race_runners = 0;
volatile __u32 race_ready = 0;
/* How far each is: nobody runs away from the others. */
volatile __u32 race_taken0 = 0;
volatile __u32 race_taken1 = 0;

/* In the packet, which a repeated run leaves as it was: where this one is. */
struct runner {
	__u32 place; /* from 1 on; 0: not begun */
	__u32 taken;
	__u32 delivered;
};

/* One number a run. Nobody waits inside of one: the kernel lets the next begin only when all have ended. */
static __always_inline void race(struct xdp_md *ctx)
{
	struct cursor cursor = cursor_at(ctx);
	struct runner *runner = take(&cursor, struct runner);
	__u32 number, other;
	bool first;

	if (!runner)
		return;
	if (!runner->place)
		runner->place = 1 + __sync_fetch_and_add(&race_ready, 1);
	first = runner->place == 1;
	if (race_ready < race_runners || runner->taken >= race_numbers)
		return;
	other = first ? race_taken1 : race_taken0;
	if (race_runners > 1 && (__s32)(runner->taken - other) > RACE_LEAD)
		return;
	number = (race_first + runner->taken++) & SEQUENCE_MASK;
	if (first)
		race_taken0 = runner->taken;
	else
		race_taken1 = runner->taken;
	if (number && merge_number(race_vif, number) == MERGE_DELIVER)
		runner->delivered++;
}

#endif
