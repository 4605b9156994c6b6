/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What is remembered of packets: counters, drops with their reasons, sampled
 * and captured frames, and, in the tracing build, every look-up. The tracing
 * build counts nothing and learns nothing.
 */
#ifndef CABERNET_RECORD_H
#define CABERNET_RECORD_H

#include "tables.h"
#include "wire.h"

/* The windows of limits: 2^27 ns = 134 ms. Coarse time is exact enough. */
#define WINDOW_SHIFT 27
#define PER_WINDOW(rate) (((rate) * 134 + 999) / 1000)

/* Written by user space: somebody captures something. While it is 0, no
 * program looks at a capture flag. */
volatile __u32 captures_on = 0;

/* What ingress knows of the packet at hand. */
struct packet {
	__u32 ifindex; /* where it arrived */
	__u32 vif;     /* the vif it is at; 0: not yet known */
	__u32 node;    /* that vif's virtual node; 0: the machine */
	__u32 depth;
	__u32 size;   /* of the frame as it arrived */
	__u32 length; /* of the frame at this depth */
	__u16 entropy;
	__u8 offset;  /* where that frame begins */
	bool channel; /* it is the sender's: not counted, not charged */
	__u64 now;    /* of its meters; 0: none yet */
};

/* What egress takes off the front. */
static __always_inline __u32 strip_bytes(const struct tag *tag)
{
	return tag->strip + (tag->flags & TAG_IP_LINK ? ETHERNET_BYTES : 0);
}

#if defined(CABERNET_TRACE) || defined(CABERNET_TEST)
/* Where the last frame was redirected to: a test run does not tell. */
volatile __u32 last_egress = 0;
#define note_egress(ifindex) (last_egress = (ifindex))
#else
#define note_egress(ifindex) \
	do {                 \
	} while (0)
#endif

#ifdef CABERNET_TRACE
#define TRACING true

volatile __u32 trace_ifindex = 0;
volatile __u32 trace_count = 0;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_TRACE_EVENTS);
	__type(key, __u32);
	__type(value, struct trace_event);
} trace_events SEC(".maps");

/* The one at hand: on the stack of every function, it would be half of what they may have. */
struct trace_event trace_now = {};

static __noinline void trace_write(void)
{
	__u32 key = trace_count;

	if (key >= MAX_TRACE_EVENTS)
		return;
	bpf_map_update_elem(&trace_events, &key, &trace_now, BPF_ANY);
	trace_count = key + 1;
}

#define trace_at(kind_, depth_, node_, vif_, bytes_, found_, a, b, c, d) \
	do {                                                             \
		trace_now.kind = TRACE_##kind_;                          \
		trace_now.depth = (depth_);                              \
		trace_now.node = (node_);                                \
		trace_now.vif = (vif_);                                  \
		trace_now.bytes = (bytes_);                              \
		trace_now.found = (found_);                              \
		trace_now.words[0] = (a);                                \
		trace_now.words[1] = (b);                                \
		trace_now.words[2] = (c);                                \
		trace_now.words[3] = (d);                                \
		__builtin_memset(trace_now.address, 0, 16);              \
		trace_write();                                           \
	} while (0)
#define trace_address(kind_, pk, found_, address_, size_, a, b)           \
	do {                                                              \
		trace_now.kind = TRACE_##kind_;                           \
		trace_now.depth = (pk)->depth;                            \
		trace_now.node = (pk)->node;                              \
		trace_now.vif = (pk)->vif;                                \
		trace_now.bytes = 0;                                      \
		trace_now.found = (found_);                               \
		trace_now.words[0] = (a);                                 \
		trace_now.words[1] = (b);                                 \
		trace_now.words[2] = (size_);                             \
		trace_now.words[3] = 0;                                   \
		__builtin_memset(trace_now.address, 0, 16);               \
		__builtin_memcpy(trace_now.address, (address_), (size_)); \
		trace_write();                                            \
	} while (0)
#define arrival_interface(ctx) trace_ifindex

#else
#define TRACING false

#define trace_at(...) \
	do {          \
	} while (0)
#define trace_address(...) \
	do {               \
	} while (0)
#define arrival_interface(ctx) ((ctx)->ingress_ifindex)

#endif

#define trace(kind, pk, bytes, found, a, b, c, d) \
	trace_at(kind, (pk)->depth, (pk)->node, (pk)->vif, bytes, found, a, b, c, d)

/* ---- counters ---- */

static __always_inline void count_received(__u32 vif, __u32 bytes)
{
	struct vif_counters *counters = TRACING ? NULL : bpf_map_lookup_elem(&vif_counters, &vif);

	if (counters) {
		counters->received_packets++;
		counters->received_bytes += bytes;
	}
}

static __always_inline void count_sent(__u32 vif, __u32 bytes)
{
	struct vif_counters *counters = TRACING ? NULL : bpf_map_lookup_elem(&vif_counters, &vif);

	if (counters) {
		counters->sent_packets++;
		counters->sent_bytes += bytes;
	}
}

static __always_inline void count_path(__u32 path, __u32 bytes)
{
	struct path_counters *counters = TRACING ? NULL : bpf_map_lookup_elem(&path_counters, &path);

	if (counters) {
		counters->sent_packets++;
		counters->sent_bytes += bytes;
	}
}

/* ---- frames ---- */

static __always_inline void fill_head(struct record_head *head, __u32 kind, __u32 reason, __u32 ifindex)
{
	head->time = bpf_ktime_get_ns();
	head->kind = kind;
	head->reason = reason;
	head->ifindex = ifindex;
	head->reserved = 0;
}

/* Not inlined, as all that is rare: the fast path stays short. `place` is
 * reason << 8 | kind. */
static __noinline int record_capture(struct xdp_md *ctx, __u32 place, __u32 node, __u32 vif, __u32 where)
{
	__u32 offset = where >> 24, ifindex = where & 0xffffff;
	__u32 length = frame_length(ctx), kept;
	struct capture *capture;

	if (length <= offset)
		return 0;
	length -= offset;
	capture = bpf_ringbuf_reserve(&captures, sizeof(*capture), 0);
	if (!capture)
		return 0;
	fill_head(&capture->head, place & 0xff, place >> 8, ifindex);
	capture->head.node = node;
	capture->head.vif = vif;
	capture->head.length = length;
	kept = length < CAPTURE_BYTES ? length : CAPTURE_BYTES;
	capture->head.kept = kept;
	/* kept is 1 ... CAPTURE_BYTES: said once more for the verifier, which lost it */
	kept = (kept - 1) & 0x7ff;
	if (kept >= CAPTURE_BYTES || bpf_xdp_load_bytes(ctx, offset, capture->frame, kept + 1) < 0) {
		bpf_ringbuf_discard(capture, 0);
		return 0;
	}
	bpf_ringbuf_submit(capture, 0);
	return 0;
}

/* The ring and its reader are told of at most SAMPLE_RATE drops a second and CPU. */
static __always_inline bool sample_allowed(void)
{
	__u32 key = 0, now = bpf_ktime_get_coarse_ns() >> WINDOW_SHIFT;
	struct punt_window *window = bpf_map_lookup_elem(&sample_window, &key);

	if (!window)
		return false;
	if (window->window != now) {
		window->window = now;
		window->count = 0;
	}
	return window->count++ < PER_WINDOW(SAMPLE_RATE);
}

static __always_inline void sample_drop(struct xdp_md *ctx, __u32 reason, __u32 node, __u32 vif,
					__u32 ifindex)
{
	__u32 length = frame_length(ctx), kept;
	struct sample *sample;

	if (!length || !sample_allowed())
		return;
	sample = bpf_ringbuf_reserve(&samples, sizeof(*sample), 0);
	if (!sample)
		return;
	fill_head(&sample->head, RECORD_DROP, reason, ifindex);
	sample->head.node = node;
	sample->head.vif = vif;
	sample->head.length = length;
	kept = length < SAMPLE_BYTES ? length : SAMPLE_BYTES;
	sample->head.kept = kept;
	kept = (kept - 1) & (SAMPLE_BYTES - 1);
	if (bpf_xdp_load_bytes(ctx, 0, sample->frame, kept + 1) < 0) {
		bpf_ringbuf_discard(sample, 0);
		return;
	}
	bpf_ringbuf_submit(sample, 0);
}

static __always_inline bool vif_captured(__u32 id)
{
	const struct vif *vif = bpf_map_lookup_elem(&vifs, &id);

	return vif && vif->flags & VIF_CAPTURE;
}

static __always_inline bool port_captured(__u32 ifindex)
{
	const struct port *port = bpf_map_lookup_elem(&ports, &ifindex);

	return port && port->flags & PORT_CAPTURE;
}

static __noinline int drop_frame(struct xdp_md *ctx, __u32 reason, __u32 node, __u32 vif, __u32 ifindex)
{
	__u32 key = node * DROP_ROW + reason;
	__u64 *counter;

	trace_at(DROP, 0, node, vif, 0, reason, 0, 0, 0, 0);
	if (TRACING)
		return XDP_DROP;
	counter = bpf_map_lookup_elem(&drops, &key);
	if (counter)
		++*counter;
	sample_drop(ctx, reason, node, vif, ifindex);
	if (captures_on && (port_captured(ifindex) || vif_captured(vif)))
		record_capture(ctx, reason << 8 | RECORD_CAPTURED_DROP, node, vif, ifindex & 0xffffff);
	return XDP_DROP;
}

static __always_inline int drop(struct xdp_md *ctx, const struct packet *pk, enum drop_reason reason)
{
	return drop_frame(ctx, reason, pk->node, pk->vif, pk->ifindex);
}

/* A frame passes a vif, beginning at pk->offset. */
static __always_inline void capture_at_vif(struct xdp_md *ctx, const struct packet *pk, const struct vif *vif,
					   enum record_kind kind)
{
	if (!TRACING && captures_on && vif->flags & VIF_CAPTURE)
		record_capture(ctx, kind, pk->node, pk->vif,
			       (__u32)pk->offset << 24 | (pk->ifindex & 0xffffff));
}

/* A frame passes an interface, whole. */
static __always_inline void capture_at_port(struct xdp_md *ctx, __u32 ifindex, enum record_kind kind)
{
	if (!TRACING && captures_on && port_captured(ifindex))
		record_capture(ctx, kind, 0, 0, ifindex & 0xffffff);
}

#endif
