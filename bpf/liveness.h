/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Whether a path is alive: the receiving half of BFD (RFC 5880) and its state
 * machine. A path that its session calls dead is left in the same run of the
 * program that notices, by one bit (protection.h).
 *
 * Who hears (any CPU) and who sweeps (sweep.h, one at a time) both move a
 * session's state, by compare-and-swap: the loser leaves the rest to the winner.
 */
#ifndef CABERNET_LIVENESS_H
#define CABERNET_LIVENESS_H

#include "peer-mark.h"
#include "police.h"

#define STATE_WORD(state, diagnostic) ((state) | (diagnostic) << 8)
#define STATE_OF(word) ((word) & 0xff)

#define NS_PER_US 1000ULL
#define NS_PER_MS 1000000ULL

/* A path that fails again and again: each time twice the hold, up to 2^this. */
#define MAX_DAMPING 6
/* Fit for this many holds: what was before is forgotten. */
#define STABLE_HOLDS 8

/* ns that a path which has failed so often must be well before it is used. */
static __always_inline __u64 hold_after(const struct session *session, __u32 failures)
{
	if (!failures)
		return 0;
	if (failures > MAX_DAMPING + 1)
		failures = MAX_DAMPING + 1;
	return session->restore * NS_PER_MS << (failures - 1);
}

/* ns; the tests' clock where there is one. */
static __always_inline __u64 liveness_clock(void)
{
	return meter_clock() >> METER_TICKS_SHIFT;
}

static __always_inline void tell_event(__u32 id, const struct session *session, __u32 before, __u32 after,
				       __u32 link, __u64 now)
{
	struct session_event *event = bpf_ringbuf_reserve(&session_events, sizeof(*event), 0);

	if (!event)
		return;
	event->time = now;
	event->session = id;
	event->vif = session->vif;
	event->index = session->index;
	event->before = before;
	event->after = after;
	event->link = link;
	bpf_ringbuf_submit(event, 0);
}

/*
 * From `before` to `after`; false: somebody else was faster. `failed`: the
 * path is down. That it is fit again, only the sweep says, after the hold.
 */
static __always_inline bool session_move(__u32 id, const struct session *session, __u32 before, __u32 after,
					 bool failed, __u64 now)
{
	const struct session_heard *heard = bpf_map_lookup_elem(&sessions_heard, &id);
	struct session_state *state = bpf_map_lookup_elem(&session_states, &id);
	__u32 link = 0;

	if (!state || !heard)
		return false;
	/* before the word: nobody is to see a new state of an old age. Who loses is as late as who wins */
	*(volatile __u64 *)&state->since = now;
	if (__sync_val_compare_and_swap(&state->word, before, after) != before)
		return false;
	__sync_fetch_and_add(&state->changes, 1);
	if (failed && is_failure(session, STATE_OF(before))) {
		*(volatile __u32 *)&state->path_down = 1;
		link = session_mark(id, session, FAULT_DOWN, FAULT_DOWN, now);
		if (STATE_OF(before) == BFD_UP) {
			state->last_heard = heard->at;
			state->left_up = now;
			state->failures++;
			__sync_fetch_and_add(&state->recent, 1);
		}
	}
	tell_event(id, session, before, after, link, now);
	return true;
}

/* RFC 5880 §6.8.6, from where the session is known. Returns the word after; `word` again if nothing changes. */
static __always_inline __u32 next_state(__u32 word, __u32 remote)
{
	__u32 own = STATE_OF(word);

	if (remote == BFD_ADMIN_DOWN)
		return own == BFD_DOWN ? word : STATE_WORD(BFD_DOWN, BFD_NEIGHBOUR_SIGNALED_DOWN);
	if (own == BFD_DOWN && remote == BFD_DOWN)
		return STATE_WORD(BFD_INIT, word >> 8);
	if (own == BFD_DOWN && remote == BFD_INIT)
		return STATE_WORD(BFD_UP, BFD_DIAGNOSTIC_NONE);
	if (own == BFD_INIT && remote != BFD_DOWN)
		return STATE_WORD(BFD_UP, BFD_DIAGNOSTIC_NONE);
	if (own == BFD_UP && remote == BFD_DOWN)
		return STATE_WORD(BFD_DOWN, BFD_NEIGHBOUR_SIGNALED_DOWN);
	return word;
}

/* What can be told without knowing the session. `room`: bytes from the packet's first one on. */
static __always_inline bool control_valid(const struct bfd_control *packet, __u32 room)
{
	__u32 state = packet->state_flags >> 6;

	if (packet->version_diagnostic >> 5 != BFD_VERSION || packet->length < sizeof(*packet) ||
	    packet->length > room || !packet->multiplier || !packet->my_discriminator)
		return false;
	/* no session here uses authentication, and none is multipoint */
	if (packet->state_flags & (BFD_AUTHENTICATION | BFD_MULTIPOINT))
		return false;
	return packet->your_discriminator || state == BFD_DOWN || state == BFD_ADMIN_DOWN;
}

static __always_inline void session_hear(struct session_heard *heard, const struct bfd_control *packet,
					 __u64 now)
{
	heard->discriminator = bpf_ntohl(packet->my_discriminator);
	heard->min_tx = bpf_ntohl(packet->min_tx);
	heard->min_rx = bpf_ntohl(packet->min_rx);
	heard->multiplier = packet->multiplier;
	heard->state = STATE_WORD(packet->state_flags >> 6, (packet->version_diagnostic & 31u));
	*(volatile __u64 *)&heard->at = now;
	__sync_fetch_and_add(&heard->packets, 1);
	if (packet->state_flags & BFD_FINAL)
		__sync_fetch_and_add(&heard->finals, 1);
	if (packet->state_flags & BFD_POLL)
		__sync_fetch_and_add(&heard->polls, 1);
}

static __always_inline enum drop_reason receive_bfd(struct xdp_md *ctx, __u32 offset, __u32 id)
{
	const struct session *session = bpf_map_lookup_elem(&sessions, &id);
	struct session_state *state = bpf_map_lookup_elem(&session_states, &id);
	struct session_heard *heard = bpf_map_lookup_elem(&sessions_heard, &id);
	__u32 before, after, remote, room = frame_length(ctx);
	struct bfd_control packet;
	__u64 now;

	if (!session || !state || !heard)
		return DROP_CHANNEL_UNKNOWN;
	/* a difference of lengths, which compilers would make one of pointers */
	asm volatile("" : "+r"(room));
	room -= offset;
	before = *(volatile __u32 *)&state->word;
	if (bpf_xdp_load_bytes(ctx, offset, &packet, sizeof(packet)) < 0 || !control_valid(&packet, room) ||
	    (packet.your_discriminator && bpf_ntohl(packet.your_discriminator) != session->discriminator) ||
	    STATE_OF(before) == BFD_ADMIN_DOWN) {
		__sync_fetch_and_add(&heard->refused, 1);
		return DROP_SESSION_PACKET;
	}
	now = liveness_clock();
	session_hear(heard, &packet, now);
	remote = packet.state_flags >> 6;
	after = next_state(before, remote);
	/* AdminDown: the path is as if nobody watched it (RFC 5882 §4.2) */
	if (remote == BFD_ADMIN_DOWN)
		*(volatile __u32 *)&state->path_down = 0;
	if (after != before)
		session_move(id, session, before, after, remote == BFD_DOWN && STATE_OF(before) == BFD_UP,
			     now);
	return DROP_NONE;
}

#endif
