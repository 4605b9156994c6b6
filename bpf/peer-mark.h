/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What a session says of what it watches: of a path to the link, of a
 * neighbour on the underlay to all that goes by it (descend.h).
 */
#ifndef CABERNET_PEER_MARK_H
#define CABERNET_PEER_MARK_H

#include "protection.h"

/* Returns what it is after, and tells of each change. */
static __always_inline __u32 peer_mark(__u32 id, bool down, __u64 now)
{
	struct peer *peer = bpf_map_lookup_elem(&peers, &id);
	const struct session_state *state = bpf_map_lookup_elem(&session_states, &id);
	struct session_event *event;

	if (!peer || !state || *(volatile __u32 *)&peer->down == down)
		return down;
	/* who loses has been told already */
	if (__sync_val_compare_and_swap(&peer->down, !down, down) == down)
		return down;
	event = bpf_ringbuf_reserve(&session_events, sizeof(*event), 0);
	if (!event)
		return down;
	event->time = now;
	event->session = id;
	event->vif = 0;
	event->index = 0;
	event->before = state->word;
	event->after = state->word;
	event->link = down;
	bpf_ringbuf_submit(event, 0);
	return down;
}

/* Whether what a session watches has the faults in `mask` (protection.h). Of a neighbour only liveness is known. */
static __always_inline __u32 session_mark(__u32 id, const struct session *session, __u32 mask, __u32 faults,
					  __u64 now)
{
	return session->vif ? link_mark(session->vif, session->index, mask, faults, now)
			    : peer_mark(id, faults & FAULT_DOWN, now);
}

/*
 * Whether a session that leaves the state `before` for Down has failed. A path
 * nobody has heard of is none. A neighbour is there all the same: that its
 * operator has not switched BFD on yet must not cut it off.
 */
static __always_inline bool is_failure(const struct session *session, __u32 before)
{
	return session->vif || before == BFD_UP;
}

#endif
