/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Which of a link's paths is used. Everything that decides is one word per
 * link, which only compare-and-swap changes: a forwarding program reads it, a
 * session's failure is one bit of it. No user space in the loop.
 *
 * The word: bit i, path i is down; from LINK_DEGRADED_SHIFT on, path i breaks
 * its limits; from LINK_USED_SHIFT on, the path in use. What user space adds is
 * `avoid`: paths to leave alone while there is any other. With none left, the
 * last one stays in use: it may be the watching that has failed. Where all
 * that are up are bad, nothing moves: the fault may be common to them.
 */
#ifndef CABERNET_PROTECTION_H
#define CABERNET_PROTECTION_H

#include "record.h"

#define LINK_FAULTS_MASK ((1u << LINK_USED_SHIFT) - 1)

/* What may be wrong with a path. */
#define FAULT_DOWN 1u
#define FAULT_DEGRADED (1u << LINK_DEGRADED_SHIFT)

/* Each lost race is another path of the same link that changed at once. */
#define LINK_TRIES 4

static __always_inline __u32 link_used(__u32 state)
{
	return state >> LINK_USED_SHIFT & (MAX_LINK_PATHS - 1);
}

/* Of the paths whose bits are set, the one preferred; LINK_NOBODY: none is in the order. */
static __always_inline __u32 link_first(const struct link *link, __u32 bits)
{
	__u32 order = *(volatile __u32 *)&link->order;

#pragma unroll
	for (int i = 0; i < MAX_LINK_PATHS; i++, order >>= 8) {
		__u32 path = order & 0xff;

		if (path < MAX_LINK_PATHS && bits >> path & 1)
			return path;
	}
	return LINK_NOBODY;
}
_Static_assert(MAX_LINK_PATHS == 4, "a word has four bytes");

/* Bits of the paths that there are. */
static __always_inline __u32 link_present(const struct link *link)
{
	__u32 bits = 0;

#pragma unroll
	for (int i = 0; i < MAX_LINK_PATHS; i++)
		bits |= link->paths[i] ? 1u << i : 0;
	return bits;
}

/* The best path for these faults; the one in use where there is none, or none better. */
static __always_inline __u32 link_choose(const struct link *link, __u32 faults, __u32 used)
{
	__u32 fit = link_present(link) & ~faults, path = link_first(link, fit & ~link->avoid);

	if (path != LINK_NOBODY)
		fit &= ~link->avoid;
	else
		path = link_first(link, fit);
	if (path == LINK_NOBODY)
		return used;
	/* so far the first that is up; now the first of these that is good */
	if (link_first(link, fit & ~(faults >> LINK_DEGRADED_SHIFT)) != LINK_NOBODY)
		return link_first(link, fit & ~(faults >> LINK_DEGRADED_SHIFT));
	return fit >> used & 1 ? used : path;
}

/* `faults`, down and degraded, with the path that goes with them. */
static __always_inline __u32 link_decide(const struct link *link, __u32 faults, __u32 used)
{
	faults &= LINK_FAULTS_MASK;
	return faults | link_choose(link, faults, used) << LINK_USED_SHIFT;
}

static __always_inline void link_note(__u32 vif, const struct link *link, __u32 before, __u32 after,
				      __u64 now)
{
	struct link_history *history = bpf_map_lookup_elem(&link_histories, &vif);
	__u32 present = link_present(link);

	if (!history)
		return;
	if (link_used(after) != link_used(before)) {
		history->switched = now;
		__sync_fetch_and_add(&history->switches, 1);
	}
	if ((after & present) == present && (before & present) != present)
		__sync_fetch_and_add(&history->lost, 1);
}

/*
 * Says of the faults in `mask` whether a path of a link has them, and decides
 * again. Without a path (MAX_LINK_PATHS) it only decides: user space may have
 * changed its mind. Returns the state after.
 */
static __always_inline __u32 link_mark(__u32 vif, __u32 index, __u32 mask, __u32 faults, __u64 now)
{
	struct link *link = bpf_map_lookup_elem(&links, &vif);
	__u32 before, after, seen;

	if (!link)
		return 0;
	mask = index < MAX_LINK_PATHS ? mask << index : 0;
	faults = index < MAX_LINK_PATHS ? faults << index : 0;
#pragma unroll
	for (int i = 0; i < LINK_TRIES; i++) {
		before = *(volatile __u32 *)&link->state;
		after = link_decide(link, (before & ~mask) | (faults & mask), link_used(before));
		if (after == before)
			return after;
		seen = __sync_val_compare_and_swap(&link->state, before, after);
		if (seen != before)
			continue;
		link_note(vif, link, before, after, now);
		return after;
	}
	/* the next tick of the sweep does it */
	return before;
}

/*
 * One source port for everything on a path of a link that has several, so that
 * what lies below treats the watching as it treats the watched. Where there is
 * only one path, it may be spread below as it was.
 */
static __always_inline __u16 path_entropy(__u32 path)
{
	return ENTROPY_PORT_FIRST | ((path * 0x9e3779b1u >> 16) & ENTROPY_PORT_MASK);
}

/* The path of a frame that leaves by a vif with VIF_LINK; 0: there is none. */
static __always_inline __u32 link_path(const struct packet *pk, struct tag *tag, __u32 vif)
{
	const struct link *link = bpf_map_lookup_elem(&links, &vif);
	__u32 state, index, path;

	if (!link)
		return 0;
	state = *(volatile __u32 *)&link->state;
	index = link_used(state);
	if (link->kind == LINK_WEIGHTED) {
		/* of all, also of those chosen by the same hash on another machine */
		__u32 way = link->ways[(tag->entropy ^ tag->entropy >> 7) & (LINK_WAYS - 1)] &
			    (MAX_LINK_PATHS - 1);
		__u32 unfit = state | link->avoid, bad = unfit | state >> LINK_DEGRADED_SHIFT;

		/* where the path in use is bad, there is none that is not */
		if (!((bad >> index & 1 ? unfit : bad) >> way & 1))
			index = way;
	}
	path = link->paths[index];
	if ((link->order >> 8 & 0xff) != LINK_NOBODY)
		tag->entropy = path_entropy(path);
	(void)pk;
	trace(LINK, pk, 0, path, state, link->kind, index, link->avoid);
	return path;
}

#endif
