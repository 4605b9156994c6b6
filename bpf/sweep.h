/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The clock of the sessions: a timer in a pinned map, which runs on whoever
 * armed it. Each tick ends the sessions that have been silent for their
 * detection time, and gives back to traffic the paths that have been up for
 * long enough, or at once where a link has no other.
 */
#ifndef CABERNET_SWEEP_H
#define CABERNET_SWEEP_H

#include "measure.h"

#ifndef CLOCK_MONOTONIC
#define CLOCK_MONOTONIC 1
#endif

/* No table of sessions is larger. */
#define MAX_SWEPT (1u << 20)

struct sweep_timer {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sweep_timer);
} sweep_timers SEC(".maps");

/* RFC 5880 §6.8.4, asynchronous mode; ns. */
static __always_inline __u64 detection_time(const struct session *session, const struct session_heard *heard,
					    const struct session_sent *sent)
{
	__u64 interval = session->min_rx;

	/* what the peer has not been told yet, it may not keep to */
	if (sent->min_rx > interval)
		interval = sent->min_rx;
	if (heard->min_tx > interval)
		interval = heard->min_tx;
	return interval * heard->multiplier * NS_PER_US;
}

/* Signed: another CPU may have heard something since `now` was read. */
static __always_inline bool is_silent(const struct session *session, const struct session_heard *heard,
				      const struct session_sent *sent, __u64 now)
{
	return (__s64)(now - *(volatile __u64 *)&heard->at - detection_time(session, heard, sent)) > 0;
}

/* No path of it is fit: one that is up is better than any hold. */
static __always_inline bool link_is_lost(__u32 vif)
{
	const struct link *link = bpf_map_lookup_elem(&links, &vif);
	__u32 present = link ? link_present(link) : 0;

	return present && (*(volatile __u32 *)&link->state & present) == present;
}

/* Up for long enough, or the last resort: its path is to be used again. */
static __always_inline void sweep_up(const struct session *session, struct session_state *state, __u32 word,
				     __u64 now)
{
	__u64 hold = hold_after(session, state->recent), up = now - *(volatile __u64 *)&state->since;
	__u32 recent;

	if (up >> 63 || (up < hold && (!*(volatile __u32 *)&state->path_down || !link_is_lost(session->vif))))
		return;
	*(volatile __u32 *)&state->path_down = 0;
	/* it may have failed just before that */
	if (*(volatile __u32 *)&state->word != word) {
		*(volatile __u32 *)&state->path_down = 1;
		return;
	}
	/* unless it fails just now */
	recent = *(volatile __u32 *)&state->recent;
	if (up > STABLE_HOLDS * hold && recent)
		__sync_val_compare_and_swap(&state->recent, recent, 0);
}

/* Whether its path is too bad, as far as anything is known of that. */
static __always_inline bool is_degraded(__u32 id, const struct session *session, __u64 now)
{
	struct measure_state *measured = bpf_map_lookup_elem(&measure_states, &id);
	__u64 at;

	if (!measured || !*(volatile __u32 *)&measured->degraded)
		return false;
	at = *(volatile __u64 *)&measured->at;
	if (session->measure_interval && (__s64)(now - at - MEASURE_STALE) <= 0)
		return true;
	*(volatile __u32 *)&measured->degraded = 0;
	return false;
}

/* One tick. */
struct tick {
	__u64 now;
	/* How much later than it should: what came meanwhile may not have been looked at either, and
	 * is about to be. That is no silence of the peer's: a tick that is on time will find that. */
	__u64 late;
};

static long sweep_session(__u32 id, void *context)
{
	const struct tick *tick = context;
	__u64 now = tick->now;
	const struct session *session = bpf_map_lookup_elem(&sessions, &id);
	struct session_state *state = bpf_map_lookup_elem(&session_states, &id);
	const struct session_heard *heard = bpf_map_lookup_elem(&sessions_heard, &id);
	const struct session_sent *sent = bpf_map_lookup_elem(&sessions_sent, &id);
	__u32 word, faults;

	if (!session || !state || !heard || !sent || !session->discriminator)
		return 0;
	word = *(volatile __u32 *)&state->word;
	if (session->flags & SESSION_ADMIN_DOWN) {
		if (STATE_OF(word) != BFD_ADMIN_DOWN)
			session_move(id, session, word, STATE_WORD(BFD_ADMIN_DOWN, BFD_ADMINISTRATIVELY_DOWN),
				     false, now);
		state->path_down = 0;
	} else if (STATE_OF(word) == BFD_ADMIN_DOWN) {
		/* new, or enabled again: nothing is known of the path yet */
		session_move(id, session, word, STATE_WORD(BFD_DOWN, BFD_DIAGNOSTIC_NONE), true, now);
	} else if (STATE_OF(word) >= BFD_INIT && is_silent(session, heard, sent, now - tick->late)) {
		session_move(id, session, word, STATE_WORD(BFD_DOWN, BFD_DETECTION_TIME_EXPIRED), true, now);
	} else if (STATE_OF(word) == BFD_UP) {
		sweep_up(session, state, word, now);
	}
	/* every time: user space may want another order, and two CPUs may have marked at once */
	faults = is_degraded(id, session, now) ? FAULT_DEGRADED : 0;
	faults |= *(volatile __u32 *)&state->path_down ? FAULT_DOWN : 0;
	session_mark(id, session, FAULT_DOWN | FAULT_DEGRADED, faults, now);
	return 0;
}

static __always_inline void sweep(struct sweep_control *control)
{
	struct tick tick = { .now = liveness_clock() };
	__u64 gap = tick.now - control->last, period = control->period;

	if (control->ticks && gap > control->worst)
		control->worst = gap;
	/* by one period it may always be late */
	if (control->ticks && period && gap > 2 * period)
		tick.late = gap - 2 * period;
	control->last = tick.now;
	control->ticks++;
	bpf_loop(control->end < MAX_SWEPT ? control->end : MAX_SWEPT, sweep_session, &tick, 0);
}

static int sweep_tick(void *map, const __u32 *key, struct sweep_timer *value)
{
	__u32 zero = 0, period;
	struct sweep_control *control = bpf_map_lookup_elem(&sweep_control, &zero);

	(void)map;
	(void)key;
	if (!control)
		return 0;
	sweep(control);
	period = control->period;
	if (period)
		bpf_timer_start(&value->timer, period, 0);
	return 0;
}

/* Called once by who has loaded the programs; the timer then goes on for as long as the map is pinned. */
static __always_inline int arm_sweep(void)
{
	__u32 zero = 0;
	struct sweep_timer *value = bpf_map_lookup_elem(&sweep_timers, &zero);
	struct sweep_control *control = bpf_map_lookup_elem(&sweep_control, &zero);

	if (!value || !control)
		return XDP_ABORTED;
	/* it is there already where an earlier program has armed it */
	bpf_timer_init(&value->timer, &sweep_timers, CLOCK_MONOTONIC);
	if (bpf_timer_set_callback(&value->timer, sweep_tick) < 0)
		return XDP_ABORTED;
	return bpf_timer_start(&value->timer, control->period, 0) < 0 ? XDP_ABORTED : XDP_PASS;
}

#endif
