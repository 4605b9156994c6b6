// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "schedule.h"
#include "clock.h"

#include <stdlib.h>

int schedule_make(struct schedule *schedule, __u32 capacity)
{
	schedule->count = 0;
	schedule->heap = calloc(capacity, sizeof(*schedule->heap));
	schedule->place = calloc(capacity, sizeof(*schedule->place));
	schedule->due = calloc(capacity, sizeof(*schedule->due));
	return schedule->heap && schedule->place && schedule->due ? 0 : -1;
}

static __u64 due_at(const struct schedule *schedule, __u32 position)
{
	return schedule->due[schedule->heap[position]];
}

static void set(struct schedule *schedule, __u32 position, __u32 id)
{
	schedule->heap[position] = id;
	schedule->place[id] = position + 1;
}

/* Moves `id` from a position that is free to where it belongs. */
static void settle(struct schedule *schedule, __u32 position, __u32 id)
{
	__u64 due = schedule->due[id];

	while (position && due_at(schedule, (position - 1) / 2) > due) {
		set(schedule, position, schedule->heap[(position - 1) / 2]);
		position = (position - 1) / 2;
	}
	for (;;) {
		__u32 child = 2 * position + 1;

		if (child + 1 < schedule->count && due_at(schedule, child + 1) < due_at(schedule, child))
			child++;
		if (child >= schedule->count || due_at(schedule, child) >= due)
			break;
		set(schedule, position, schedule->heap[child]);
		position = child;
	}
	set(schedule, position, id);
}

static void take_out(struct schedule *schedule, __u32 id)
{
	__u32 position = schedule->place[id] - 1, last = schedule->heap[--schedule->count];

	schedule->place[id] = 0;
	if (last != id)
		settle(schedule, position, last);
}

void schedule_put(struct schedule *schedule, __u32 id, __u64 due)
{
	__u32 place = schedule->place[id];

	if (due == NEVER) {
		if (place)
			take_out(schedule, id);
		return;
	}
	schedule->due[id] = due;
	settle(schedule, place ? place - 1 : schedule->count++, id);
}

__u64 schedule_next(const struct schedule *schedule)
{
	return schedule->count ? due_at(schedule, 0) : NEVER;
}

__u32 schedule_take(struct schedule *schedule)
{
	__u32 id = schedule->heap[0];

	take_out(schedule, id);
	return id;
}
