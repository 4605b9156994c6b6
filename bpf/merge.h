/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The receiving end of 1+1: of the copies of a frame the first one is
 * delivered. Numbers are the 28 bits of the control word (RFC 8964); 0 is no
 * number, as in RFC 4448: such a frame is delivered without a look, so that
 * the ends need not change to 1+1 and back at the same time.
 *
 * The window is a ring of words, each for one block of 32 numbers: which
 * block, of which epoch, and a bit for each number that was delivered. Only
 * compare-and-swap changes a word: two CPUs with the copies of one frame
 * deliver one. A word of a block a turn of the ring before is taken over; a
 * number of a block before the word's is late, and is dropped: a newer one has
 * been delivered by then, MERGE_NUMBERS or more ahead of it.
 *
 * A sender that begins anew, with a random number, is heard: what is more than
 * MERGE_FAR behind is not late but another count; and when nothing was
 * delivered for MERGE_SILENCE, whatever did arrive, the window begins anew, by
 * another epoch. That is all: to begin anew after so many late ones would
 * deliver twice what a path brings that is further behind than the window.
 */
#ifndef CABERNET_MERGE_H
#define CABERNET_MERGE_H

#include "police.h"

#define MERGE_BLOCK_SHIFT 5 /* 32 numbers */
#define MERGE_BLOCK_BITS (SEQUENCE_BITS - MERGE_BLOCK_SHIFT)
#define MERGE_EPOCH_BITS 9
#define MERGE_EPOCHS ((1u << MERGE_EPOCH_BITS) - 1)
_Static_assert(MERGE_BLOCK_BITS + MERGE_EPOCH_BITS == 32, "block and epoch share half a word");

/* In blocks: 2^22 numbers. A random begin is this near behind the old count once in 64 times. */
#define MERGE_FAR (1 << (22 - MERGE_BLOCK_SHIFT))
/* Time in `state`, of 2^24 ns: 1.07 s, more than any two paths of one link differ. */
#define MERGE_TIME_SHIFT 24
#define MERGE_SILENCE 64
/* How old it may become while frames arrive. */
#define MERGE_REFRESH 4

/* Each lost race is another of the 32 numbers of a block, delivered. */
#define MERGE_TRIES 64

enum merge_verdict {
	MERGE_DELIVER,
	MERGE_DUPLICATE,
	MERGE_LATE,
};

static __always_inline __u64 merge_clock(void)
{
#ifdef CABERNET_TEST
	return meter_clock() >> (METER_TICKS_SHIFT + MERGE_TIME_SHIFT);
#else
	return bpf_ktime_get_coarse_ns() >> MERGE_TIME_SHIFT;
#endif
}

static __always_inline __u64 merge_state(const struct merge *merge)
{
	return *(const volatile __u64 *)&merge->state;
}

static __always_inline __u64 merge_epoch(__u64 state)
{
	return state & MERGE_EPOCHS;
}

/* Forgets everything, unless another CPU has by now. Epoch 0 is that of words never written. */
static __always_inline void merge_reset(struct merge *merge, struct merge_counters *counters, __u64 state,
					__u64 now)
{
	__u64 epoch = merge_epoch(state) % MERGE_EPOCHS + 1;

	if (__sync_val_compare_and_swap(&merge->state, state, now << MERGE_EPOCH_BITS | epoch) != state)
		return;
	if (state)
		counters->resets++;
}

/* How far a block is ahead of another, modulo 2^MERGE_BLOCK_BITS. */
static __always_inline __s32 blocks_ahead(__u32 block, __u32 other)
{
	return (__s32)((block - other) << (32 - MERGE_BLOCK_BITS)) >> (32 - MERGE_BLOCK_BITS);
}

static __always_inline enum merge_verdict merge_take(struct merge *merge, __u32 number)
{
	__u32 block = number >> MERGE_BLOCK_SHIFT, bit = 1u << (number & 31);
	__u64 *word = &merge->words[block & (MERGE_WORDS - 1)];

	for (int i = 0; i < MERGE_TRIES; i++) {
		__u64 epoch = merge_epoch(merge_state(merge));
		__u64 seen = *(volatile __u64 *)word;
		__u64 fresh = (__u64)block << 41 | epoch << 32 | bit;

		if ((seen >> 32 & MERGE_EPOCHS) == epoch) {
			__s32 ahead = blocks_ahead(block, seen >> 41);

			if (!ahead) {
				if (seen & bit)
					return MERGE_DUPLICATE;
				fresh = seen | bit;
			} else if (ahead < 0 && ahead > -MERGE_FAR) {
				return MERGE_LATE;
			}
		} else if (merge_epoch(merge_state(merge)) != epoch) {
			/* begun anew between the two looks */
			continue;
		}
		if (__sync_val_compare_and_swap(word, seen, fresh) == seen)
			return MERGE_DELIVER;
	}
	return MERGE_DUPLICATE;
}

/* A numbered frame has arrived at a vif. A global function, verified by itself. Returns enum merge_verdict. */
__noinline int merge_number(__u32 vif, __u32 number)
{
	struct merge_counters *counters = bpf_map_lookup_elem(&merge_counters, &vif);
	struct merge *merge = bpf_map_lookup_elem(&merges, &vif);
	enum merge_verdict verdict;
	__u64 state, now;
	__s64 age;

	/* nobody here expects copies: the numbers mean nothing */
	if (!merge || !counters)
		return MERGE_DELIVER;
	now = merge_clock();
	state = merge_state(merge);
	age = now - (state >> MERGE_EPOCH_BITS);
	if (!merge_epoch(state) || age > MERGE_SILENCE)
		merge_reset(merge, counters, state, now);
	verdict = merge_take(merge, number);
	if (verdict == MERGE_DUPLICATE) {
		counters->duplicates++;
		return verdict;
	}
	if (verdict == MERGE_LATE) {
		counters->late++;
		return verdict;
	}
	counters->merged++;
	if (age >= MERGE_REFRESH) {
		state = merge_state(merge);
		__sync_val_compare_and_swap(&merge->state, state,
					    now << MERGE_EPOCH_BITS | merge_epoch(state));
	}
	return MERGE_DELIVER;
}

#endif
