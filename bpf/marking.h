/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Alternate marking (RFC 9341): what takes a path that is measured bears the
 * colour of the path's block, and both ends count by colour. The session's own
 * packets are not counted: they say how many the others were.
 */
#ifndef CABERNET_MARKING_H
#define CABERNET_MARKING_H

#include "record.h"
#include "wire.h"

static __always_inline void count_marked(__u32 session, enum mark_direction direction, __u32 colour)
{
	__u32 key = session * MARK_DIRECTIONS + direction;
	struct marked *counts = TRACING ? NULL : bpf_map_lookup_elem(&marked, &key);

	if (counts)
		counts->packets[colour & 1]++;
}

/* To be added to the entry of a path's label. `own`: it is the session's that watches the path. */
static __always_inline __be32 mark_sent(const struct path *path, bool own)
{
	__u32 marking = *(volatile __u32 *)&path->marking, colour = marking >> 31;

	if (!(marking & ~PATH_COLOUR) || own)
		return 0;
	count_marked(marking & ~PATH_COLOUR, MARK_SENT, colour);
	return bpf_htonl(colour << ENTRY_COLOUR_SHIFT);
}

/* A label's entry was taken, whose packets `session` counts. */
static __always_inline void mark_received(__u32 session, __u32 entry, struct cursor cursor)
{
	const struct control_word *word = peek(&cursor, struct control_word);

	if (entry_bottom(entry) && word && bpf_ntohl(word->word) >> 28 == 1)
		return;
	count_marked(session, MARK_RECEIVED, entry >> ENTRY_COLOUR_SHIFT);
}

#endif
