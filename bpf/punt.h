/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Leaving the ingress program: a frame is tagged and redirected, by the device
 * table only; and the slow path, a virtual node's kernel, which gets a frame
 * as if it had arrived on the vif, within limits.
 */
#ifndef CABERNET_PUNT_H
#define CABERNET_PUNT_H

#include "record.h"

/*
 * `push` bytes of headers will be written by egress. The kernel compares the
 * frame's length with the device's MTU now, before egress: a frame that will
 * be shorter is made so here, or a full one off the labels would never reach
 * its station.
 */
static __always_inline int redirect_tagged(struct xdp_md *ctx, const struct packet *pk, struct tag *tag,
					   __u32 ifindex, __u32 push)
{
	__u32 strip = strip_bytes(tag);
	struct tag *meta;
	long action;

	if (strip > push) {
		if (bpf_xdp_adjust_head(ctx, (int)(strip - push)) < 0)
			return drop(ctx, pk, DROP_HEADROOM);
		tag->strip -= strip - push;
	}
	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*tag)) < 0)
		return drop(ctx, pk, DROP_HEADROOM);
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > (void *)(long)ctx->data)
		return drop(ctx, pk, DROP_HEADROOM);
	*meta = *tag;
	note_egress(ifindex);
	action = bpf_redirect_map(&devices, ifindex, 0);
	if (action != XDP_REDIRECT)
		return drop(ctx, pk, DROP_NO_DEVICE);
	return action;
}

#define X(name, rate, text) [PUNT_##name] = PER_WINDOW(rate),
/* Packets a window of 134 ms; may be set before the load. */
const volatile __u32 punt_limits[PUNT_COUNT] = { PUNT_KINDS(X) };
#undef X

static __always_inline bool punt_allowed(__u32 node, enum punt_kind kind)
{
	__u32 key = node * PUNT_ROW + kind, now;
	struct punt_window *window;

	if (TRACING)
		return true;
	now = bpf_ktime_get_coarse_ns() >> WINDOW_SHIFT;
	window = bpf_map_lookup_elem(&punts, &key);
	if (!window)
		return false;
	/* two CPUs may both begin the window: a few packets more, no harm */
	if (window->window != now) {
		window->window = now;
		window->count = 0;
	}
	if (__sync_fetch_and_add(&window->count, 1) >= punt_limits[kind])
		return false;
	__sync_fetch_and_add(&window->punted, 1);
	return true;
}

static __always_inline void count_punted(__u32 vif)
{
	struct vif_counters *counters = TRACING ? NULL : bpf_map_lookup_elem(&vif_counters, &vif);

	if (counters)
		counters->punted_packets++;
}

/* To the kernel of the virtual node the frame has arrived at. */
static __always_inline int punt(struct xdp_md *ctx, const struct packet *pk, const struct vif *vif,
				enum punt_kind kind)
{
	struct tag tag = {
		.magic = TAG_MAGIC,
		.strip = pk->offset,
	};

	trace(PUNT, pk, 0, kind, 0, 0, 0, 0);
	/* a foreign end of the link may send more than its MTU: the cable to the kernel takes no more, and would not say so */
	if (pk->length > vif->mtu + sizeof(struct ethernet) + sizeof(struct vlan))
		return drop(ctx, pk, DROP_TOO_BIG);
	if (!punt_allowed(pk->node, kind))
		return drop(ctx, pk, DROP_PUNT_LIMIT);
	count_punted(pk->vif);
	return redirect_tagged(ctx, pk, &tag, vif->veth, 0);
}

#endif
