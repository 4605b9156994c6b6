/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Whether a path is good enough: messages with counts and times (measurement.h),
 * windows of a second made of them, and the judgement that leaves a path which
 * breaks its limits for as long as its session says. Both ends judge by both
 * directions, each for what it sends.
 */
#ifndef CABERNET_MEASURE_H
#define CABERNET_MEASURE_H

#include "liveness.h"
#include "marking.h"

/* No machine has more CPUs: bpf_loop() has to end. */
#define MAX_CPUS 4096

#define MEASURE_WINDOW (1000 * NS_PER_MS)
/* To tell a small loss takes more packets than a window may have: several, until so many are or would be lost. */
#define MEASURE_LOSSES 4
#define MEASURE_WINDOW_MOST (10 * MEASURE_WINDOW)
/* Fewer messages in a window say nothing of delay. */
#define MEASURE_SAMPLES 3
/* Nothing has come for so long: nothing is known. */
#define MEASURE_STALE (3 * MEASURE_WINDOW_MOST)
/* Numbers that jump by more are another sender's. */
#define MEASURE_JUMP 65536u
/* A longer delay is none: somebody's clock was set. µs */
#define MEASURE_DELAY_MOST 60000000u
/* What was bad is good again below so many eighths of each limit. */
#define MEASURE_KEPT_EIGHTHS 6

struct marked_sum {
	__u64 packets;
	__u32 key;
	__u32 colour;
};

static long marked_add(__u32 cpu, void *context)
{
	struct marked_sum *sum = context;
	const struct marked *counts = bpf_map_lookup_percpu_elem(&marked, &sum->key, cpu);

	if (!counts)
		return 1;
	sum->packets += counts->packets[sum->colour & 1];
	return 0;
}

static __always_inline __u64 marked_total(__u32 session, enum mark_direction direction, __u32 colour)
{
	struct marked_sum sum = { .key = session * MARK_DIRECTIONS + direction, .colour = colour };

	bpf_loop(MAX_CPUS, marked_add, &sum, 0);
	return sum.packets;
}

/* ---- sending ---- */

/*
 * Every other message begins a block; the one between tells the count of the
 * block before, when all of it has left every CPU.
 */
static __always_inline void tell_count(__u32 id, const struct session *session, struct measure_sent *sent,
				       struct measure_message *message)
{
	struct path *path = bpf_map_lookup_elem(&paths, &session->path);
	__u32 marking, closed;

	if (!path)
		return;
	marking = *(volatile __u32 *)&path->marking;
	/* not of a circuit, whose frames have no entry to mark */
	if ((marking & ~PATH_COLOUR) != id)
		return;
	if (!(sent->sequence & 1)) {
		if (__sync_val_compare_and_swap(&path->marking, marking, marking ^ PATH_COLOUR) == marking)
			sent->block += 1 + ((sent->block & 1) == (marking >> 31 ^ 1));
		return;
	}
	closed = sent->block - 1;
	/* the colour is the word's; the block was another sender's */
	if ((sent->block & 1) != marking >> 31)
		return;
	message->flags = MEASURE_COUNTED;
	message->block = bpf_htonl(closed);
	message->packets = bpf_cpu_to_be64(marked_total(id, MARK_SENT, closed));
}

/* What the other end is told of what came from it, unless somebody is just writing that. */
static __always_inline void tell_received(const struct measure_state *state, struct measure_message *message,
					  __u64 now)
{
	__u32 version = *(volatile __u32 *)&state->version;
	__s64 lost = state->lost;
	__u64 peer_sent, at;

	message->received = bpf_cpu_to_be64(state->sent);
	message->lost = bpf_cpu_to_be64(lost < 0 ? 0 : lost);
	message->loss = bpf_htonl(state->loss);
	message->variation = bpf_htonl(state->variation);
	message->broken = bpf_htonl(state->broken);
	peer_sent = *(volatile __u64 *)&state->peer_sent;
	at = *(volatile __u64 *)&state->at;
	if (!at || version & 1 || *(volatile __u32 *)&state->version != version)
		return;
	message->echoed = bpf_cpu_to_be64(peer_sent);
	message->held = bpf_cpu_to_be64(now - at);
}

/* The sender has only said that it is time. False: there is no such session. */
static __always_inline bool fill_measurement(__u32 id, const struct session *session,
					     struct measure_message *message)
{
	struct measure_sent *sent = bpf_map_lookup_elem(&measures_sent, &id);
	const struct measure_state *state = bpf_map_lookup_elem(&measure_states, &id);
	const struct session_heard *heard = bpf_map_lookup_elem(&sessions_heard, &id);
	__u64 now = liveness_clock();

	if (!sent || !state || !heard)
		return false;
	__builtin_memset(message, 0, sizeof(*message));
	message->version = MEASURE_VERSION;
	message->length = bpf_htons(sizeof(*message));
	message->my_discriminator = bpf_htonl(session->discriminator);
	message->your_discriminator = bpf_htonl(heard->discriminator);
	/* 0 is nobody's number */
	if (!++sent->sequence)
		sent->sequence = 1;
	message->sequence = bpf_htonl(sent->sequence);
	tell_count(id, session, sent, message);
	tell_received(state, message, now);
	message->sent = bpf_cpu_to_be64(now);
	return true;
}

/* ---- receiving ---- */

/* The message at hand: the stack has no room for it below those of the callers. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct measure_message);
} measure_scratch SEC(".maps");

static __always_inline void count_delay(__u32 id, __u32 delay)
{
	struct delay_histogram *histogram = bpf_map_lookup_elem(&delay_histograms, &id);
	__u32 octave = 0, rest = delay, bucket;

	if (!histogram)
		return;
	/* the position of the highest bit, by halves */
#pragma unroll
	for (__u32 step = 16; step; step /= 2) {
		if (rest >> step) {
			octave += step;
			rest >>= step;
		}
	}
	octave = octave > 2 ? octave - 2 : 0;
	bucket = delay < 4 ? 0 : 4 * octave + (delay >> octave & 3);
	if (bucket > DELAY_BUCKETS - 1)
		bucket = DELAY_BUCKETS - 1;
	histogram->buckets[bucket]++;
}

/* RFC 8762 §4.2.1: from our message there and the peer's back, less the time between them. */
static __always_inline void measure_delay(__u32 id, struct measure_state *state,
					  const struct measure_message *message, __u64 now)
{
	__u64 delay = now - bpf_be64_to_cpu(message->echoed) - bpf_be64_to_cpu(message->held);
	__u32 us;

	if (!message->echoed || delay >> 63)
		return;
	delay /= NS_PER_US;
	if (delay > MEASURE_DELAY_MOST)
		return;
	us = delay;
	if (!state->delays || us < state->delay_least)
		state->delay_least = us;
	if (!state->delays || us > state->delay_most)
		state->delay_most = us;
	state->delays++;
	state->delay_sum += us;
	count_delay(id, us);
}

/* RFC 3550 §6.4.1: how much the difference of the two clocks seems to have changed since the message before. */
static __always_inline void measure_variation(struct measure_state *state, __u64 peer_sent, __u64 now)
{
	__s64 change = (now - state->at) - (peer_sent - state->peer_sent);

	if (change < 0)
		change = -change;
	if (!state->at || (__u64)change / NS_PER_US > MEASURE_DELAY_MOST)
		return;
	state->variation_sum += (__u64)change / NS_PER_US;
	state->variations++;
}

static __always_inline void add_loss(struct measure_state *state, __u64 sent, __s64 lost)
{
	state->window_sent += sent;
	state->window_lost += lost;
	state->sent += sent;
	state->lost += lost;
}

/* What the path itself carried, in a block that has ended. */
static __always_inline void compare_block(__u32 id, struct measure_state *state,
					  const struct measure_message *message)
{
	__u32 colour = bpf_ntohl(message->block) & 1;
	__u64 sent = bpf_be64_to_cpu(message->packets), received = marked_total(id, MARK_RECEIVED, colour);
	__u64 more = sent - state->base_sent[colour];

	if (state->based >> colour & 1 && !(more >> 40))
		add_loss(state, more, (__s64)(more - (received - state->base_received[colour])));
	state->base_sent[colour] = sent;
	state->base_received[colour] = received;
	state->based |= 1u << colour;
}

static __always_inline void begin_window(struct measure_state *state, __u64 now)
{
	state->window = now;
	state->delay_sum = 0;
	state->variation_sum = 0;
	state->delays = 0;
	state->variations = 0;
	state->delay_least = 0;
	state->delay_most = 0;
}

static __always_inline void begin_loss_window(struct measure_state *state, __u64 now)
{
	state->loss_window = now;
	state->window_sent = 0;
	state->window_lost = 0;
}

/* So many packets that a loss as large as may be would have been seen. */
static __always_inline bool tells_loss(const struct measure_state *state, const struct session *session)
{
	return state->window_sent * session->max_loss >= MEASURE_LOSSES * 1000000ULL;
}

/* More than may be, or, of what is bad already, not yet well below that. */
static __always_inline bool exceeds_limit(const struct measure_state *state, __u32 value, __u32 limit)
{
	return limit && value * 8ULL > (__u64)limit * (state->degraded ? MEASURE_KEPT_EIGHTHS : 8);
}

/* Loss as far as it can be told by now; what was told before holds until then. */
static __always_inline void end_loss_window(struct measure_state *state, const struct session *session,
					    __u64 now)
{
	__u64 lost = state->window_lost < 0 ? 0 : state->window_lost, sent = state->window_sent;

	if (session->max_loss && lost < MEASURE_LOSSES && !tells_loss(state, session) &&
	    now - state->loss_window < MEASURE_WINDOW_MOST)
		return;
	if (lost > sent)
		lost = sent;
	state->loss = sent ? lost * 1000000 / sent : 0;
	state->broken &= ~BREAKS_LOSS;
	/* a few of a few are an accident */
	if (exceeds_limit(state, state->loss, session->max_loss) &&
	    (lost >= MEASURE_LOSSES || tells_loss(state, session)))
		state->broken |= BREAKS_LOSS;
	begin_loss_window(state, now);
}

/* The figures of the window, and which limits they break. Too few messages leave it at what was told before. */
static __always_inline void end_window(struct measure_state *state, const struct session *session, __u64 now)
{
	__u32 delay = state->breaks & BREAKS_DELAY;

	if (state->variations >= MEASURE_SAMPLES) {
		state->variation = state->variation_sum / state->variations;
		state->broken &= ~BREAKS_VARIATION;
		if (exceeds_limit(state, state->variation, session->max_variation))
			state->broken |= BREAKS_VARIATION;
	}
	if (state->delays >= MEASURE_SAMPLES) {
		state->mean = state->delay_sum / state->delays;
		state->least = state->delay_least;
		state->most = state->delay_most;
		delay = exceeds_limit(state, state->mean, session->max_delay) ? BREAKS_DELAY : 0;
	}
	end_loss_window(state, session, now);
	state->breaks = state->broken | (state->far_broken & (BREAKS_LOSS | BREAKS_VARIATION)) | delay;
	begin_window(state, now);
}

static __always_inline void degrade(__u32 id, const struct session *session, struct measure_state *state,
				    bool degraded, __u64 now)
{
	const struct session_state *live = bpf_map_lookup_elem(&session_states, &id);
	__u32 word, link;

	*(volatile __u32 *)&state->degraded = degraded;
	state->since = now;
	if (degraded) {
		state->times++;
		state->recent++;
	}
	link = link_mark(session->vif, session->index, FAULT_DEGRADED, degraded ? FAULT_DEGRADED : 0, now);
	word = live ? live->word : 0;
	tell_event(id, session, word, word, link, now);
}

/* Broken for long enough, or kept for long enough. `from`: when the window began. */
static __always_inline void judge(__u32 id, const struct session *session, struct measure_state *state,
				  __u64 from, __u64 now)
{
	__u64 kept = hold_after(session, state->recent);

	if (state->breaks) {
		state->kept_since = 0;
		if (!state->broken_since)
			state->broken_since = from;
		if (!state->degraded && now - state->broken_since >= session->hold * NS_PER_MS)
			degrade(id, session, state, true, now);
		return;
	}
	state->broken_since = 0;
	if (!state->kept_since)
		state->kept_since = from;
	if (state->degraded && now - state->kept_since >= kept)
		degrade(id, session, state, false, now);
	if (!state->degraded && now - state->kept_since > STABLE_HOLDS * kept)
		state->recent = 0;
}

static __always_inline void hear_far(struct measure_state *state, const struct measure_message *message)
{
	state->far_sent = bpf_be64_to_cpu(message->received);
	state->far_lost = bpf_be64_to_cpu(message->lost);
	state->far_loss = bpf_ntohl(message->loss);
	state->far_variation = bpf_ntohl(message->variation);
	state->far_broken = bpf_ntohl(message->broken);
}

/* Its numbers do not go on from those before: it was sent by somebody who has begun anew. */
static __always_inline bool is_another(const struct measure_state *state, __u32 step, __u64 peer_sent)
{
	if (step >> 31)
		return -step > MEASURE_JUMP || (__s64)(peer_sent - state->peer_sent) > 0;
	return step > MEASURE_JUMP;
}

static __always_inline void measure(__u32 id, const struct session *session, struct measure_state *state,
				    const struct measure_message *message, __u64 up_since, __u64 now)
{
	__u32 sequence = bpf_ntohl(message->sequence), step = sequence - state->sequence;
	__u64 peer_sent = bpf_be64_to_cpu(message->sent), from;

	/* what was lost while the path was down is no loss of a path that is up */
	if (!state->sequence || state->window < up_since || is_another(state, step, peer_sent)) {
		begin_window(state, now);
		begin_loss_window(state, now);
		state->broken = 0;
		state->breaks = 0;
		state->based = 0;
		state->at = 0;
	} else if (!step) {
		return; /* doubled: nothing can be learnt from it */
	} else if (step >> 31) {
		/* late: it was counted as lost */
		add_loss(state, 0, -1);
		return;
	} else {
		add_loss(state, step, (__s64)step - 1);
	}
	measure_delay(id, state, message, now);
	measure_variation(state, peer_sent, now);
	if (message->flags & MEASURE_COUNTED)
		compare_block(id, state, message);
	hear_far(state, message);
	state->sequence = sequence;
	state->peer_sent = peer_sent;
	state->at = now;
	from = state->window;
	if (now - from < MEASURE_WINDOW)
		return;
	end_window(state, session, now);
	judge(id, session, state, from, now);
}

/*
 * A message of the session's path. A global function, verified by itself.
 * Returns a reason to drop; DROP_NONE: it has been heard.
 */
__noinline int receive_measurement(struct xdp_md *ctx, __u32 offset, __u32 id)
{
	const struct session *session = bpf_map_lookup_elem(&sessions, &id);
	const struct session_state *live = bpf_map_lookup_elem(&session_states, &id);
	struct session_heard *heard = bpf_map_lookup_elem(&sessions_heard, &id);
	struct measure_state *state = bpf_map_lookup_elem(&measure_states, &id);
	__u32 version, zero = 0;
	struct measure_message *message = bpf_map_lookup_elem(&measure_scratch, &zero);

	offset &= 0xff;
	if (!session || !live || !heard || !state || !message)
		return DROP_CHANNEL_UNKNOWN;
	if (bpf_xdp_load_bytes(ctx, offset, message, sizeof(*message)) < 0 ||
	    message->version != MEASURE_VERSION || message->length != bpf_htons(sizeof(*message)) ||
	    !message->sequence || message->your_discriminator != bpf_htonl(session->discriminator) ||
	    message->my_discriminator != bpf_htonl(heard->discriminator)) {
		__sync_fetch_and_add(&heard->refused, 1);
		return DROP_SESSION_PACKET;
	}
	/* it is early or late: not wrong */
	if (!session->measure_interval || STATE_OF(*(volatile __u32 *)&live->word) != BFD_UP)
		return DROP_NONE;
	/* one at a time: what comes at the same time on another CPU is as if it had been lost */
	version = *(volatile __u32 *)&state->version;
	if (version & 1 || __sync_val_compare_and_swap(&state->version, version, version + 1) != version)
		return DROP_NONE;
	measure(id, session, state, message, live->since, liveness_clock());
	__sync_fetch_and_add(&state->version, 1);
	return DROP_NONE;
}

#endif
