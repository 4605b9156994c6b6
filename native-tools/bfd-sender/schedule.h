/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Which session is due next: a binary heap by time, in which each session knows its place. */
#ifndef BFD_SENDER_SCHEDULE_H
#define BFD_SENDER_SCHEDULE_H

#include <linux/types.h>

struct schedule {
	__u32 count;
	__u32 *heap;  /* ids, the earliest first */
	__u32 *place; /* by id: in the heap, from 1 on; 0: not there */
	__u64 *due;   /* by id; ns of CLOCK_MONOTONIC */
};

/* -1: no memory. */
int schedule_make(struct schedule *schedule, __u32 capacity);

/* Puts a session in, or moves it; at NEVER it is taken out. */
void schedule_put(struct schedule *schedule, __u32 id, __u64 due);

/* The time of the first; NEVER: there is none. */
__u64 schedule_next(const struct schedule *schedule);

/* Takes out the first, which there has to be. */
__u32 schedule_take(struct schedule *schedule);

#endif
