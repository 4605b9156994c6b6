/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The way down: vif -> path -> label, vif below -> ... -> tunnel or wire ->
 * underlay hop. One look-up per layer, at most MAX_DEPTH. What is found is put into the
 * tag; the egress program writes it. Lengths are checked here: after egress
 * one frame that does not fit would take the rest of its batch with it.
 */
#ifndef CABERNET_DESCEND_H
#define CABERNET_DESCEND_H

#include "marking.h"
#include "police.h"
#include "protection.h"
#include "punt.h"
#include "repair.h"

#define CONTROL_WORD_BYTES ((__u32)sizeof(struct control_word))
#define LABEL_BYTES ((__u32)sizeof(struct label_entry))

/* Where a frame leaves, and how much longer than it is at its depth. */
struct way {
	__u32 ifindex; /* 0: it does not, and has been dropped */
	__u32 push;
};

/* The ready headers of what a path of the lowest layer runs over; 0: none. */
static __always_inline __u32 hop_below(const struct path *path, __u16 entropy)
{
	__u32 id = path->tunnel;

	if (id) {
		const struct tunnel *tunnel = bpf_map_lookup_elem(&tunnels, &id);

		/* the way is chosen by other bits than the far end's queue will be */
		return tunnel ? tunnel->hops[entropy >> 8 & (MAX_WAYS - 1)] : 0;
	}
	id = path->wire;
	const struct wire *wire = bpf_map_lookup_elem(&wires, &id);

	return wire ? wire->hop : 0;
}

/* A label of a bypass above those so far, and its hop. False: there are as many as there may be. */
static __always_inline bool push_bypass(struct tag *tag, __u64 bypass)
{
	if (tag->labels >= MAX_DEPTH)
		return false;
	/* the mask is for the verifier */
	tag->stack[(MAX_DEPTH - 1 - tag->labels) & (MAX_DEPTH - 1)] = entry_word(bypass, false, LABEL_TTL);
	tag->labels++;
	tag->underlay_hop = bypass >> BYPASS_HOP_SHIFT;
	return true;
}

static __always_inline int leave_by_hop(struct xdp_md *ctx, const struct packet *pk, struct tag *tag,
					const struct path *path, struct way *way)
{
	const struct underlay_hop *hop;
	__u64 bypass = 0;
	__u32 length;

	tag->underlay_hop = hop_below(path, tag->entropy);
	hop = bpf_map_lookup_elem(&underlay_hops, &tag->underlay_hop);
	if (!hop || !hop->ifindex || hop_down(hop)) {
		if (path->tunnel)
			tag->underlay_hop = fit_hop(path->tunnel, tag->underlay_hop, tag->entropy);
		else if (!(path->flags & PATH_UNREPAIRED))
			bypass = fit_bypass(path->wire, pk->channel ? 0 : pk->length);
		if (bypass && !push_bypass(tag, bypass))
			return drop(ctx, pk, DROP_DEPTH);
		hop = bpf_map_lookup_elem(&underlay_hops, &tag->underlay_hop);
		if (!hop || !hop->ifindex)
			return drop(ctx, pk, path->tunnel ? DROP_TUNNEL_UNRESOLVED : DROP_WIRE_UNRESOLVED);
	}

	length = pk->length + tag->labels * LABEL_BYTES;
	if (tag->flags & TAG_CONTROL_WORD)
		length += CONTROL_WORD_BYTES;
	length += hop->bytes;
	trace(UNDERLAY_HOP, pk, length - pk->length - tag->labels * LABEL_BYTES, tag->underlay_hop,
	      path->wire ? CONTEXT_WIRE | path->wire : CONTEXT_TUNNEL | path->tunnel, hop->ifindex, length,
	      hop->room);
	if (length > hop->room)
		return drop(ctx, pk, DROP_TOO_BIG);
	way->ifindex = hop->ifindex;
	way->push = length - pk->length;
	return 0;
}

/* A frame of a layer above, as the link that carries it is charged for it. */
static __always_inline __u32 carried_bytes(const struct packet *pk, const struct tag *tag)
{
	return pk->length + tag->labels * LABEL_BYTES +
	       (tag->flags & TAG_CONTROL_WORD ? CONTROL_WORD_BYTES : 0);
}

/*
 * A circuit has no label of its own: what is above it goes as it is. Its own
 * frames, above which there is nothing, bear an explicit null, so that labels
 * are what begins a frame either way. A label is never swapped onto a circuit:
 * that would be a second link on it.
 */
static __always_inline int leave_by_circuit(struct xdp_md *ctx, const struct packet *pk, struct tag *tag,
					    const struct path *path, __u32 above, __u32 innermost,
					    struct way *way)
{
	if (!above) {
		if (innermost)
			return drop(ctx, pk, DROP_NO_PATH);
		tag->stack[MAX_DEPTH - 1] = entry_word(LABEL_EXPLICIT_NULL, true, LABEL_TTL);
	}
	tag->labels = above ? above : 1;
	return leave_by_hop(ctx, pk, tag, path, way);
}

/* The path in use: of most vifs there is one. */
static __always_inline __u32 vif_path(const struct packet *pk, struct tag *tag, const struct vif *vif,
				      __u32 vif_id)
{
	return vif->flags & VIF_LINK ? link_path(pk, tag, vif_id) : vif->path;
}

/*
 * From a path of the layer at hand to the wire. `innermost` is the label
 * stack's first entry as far as it is not the path's: 0 where the frame begins
 * here (bottom of stack, a control word, TTL by the pipe model), else the entry
 * that a swap replaces, with its S bit and its TTL counted down.
 */
static __always_inline int find_way(struct xdp_md *ctx, struct packet *pk, struct tag *tag, __u32 path_id,
				    __u32 innermost, struct way *way)
{
	const struct path *path;
	const struct vif *vif;

#pragma unroll
	for (int i = 0; i < MAX_DEPTH; i++) {
		path = bpf_map_lookup_elem(&paths, &path_id);
		if (!path || !path->label)
			return drop(ctx, pk, DROP_NO_PATH);
		if (!pk->channel)
			count_path(path_id, pk->length);
		trace(PATH, pk, path->label == LABEL_IMPLICIT_NULL && i ? 0 : LABEL_BYTES, path_id,
		      path->label, path->vif, path->tunnel, path->wire);
		if (path->label == LABEL_IMPLICIT_NULL)
			return leave_by_circuit(ctx, pk, tag, path, i, innermost, way);
		if (i)
			tag->stack[MAX_DEPTH - 1 - i] = entry_word(path->label, false, LABEL_TTL);
		else if (innermost)
			tag->stack[MAX_DEPTH - 1] =
				entry_word(path->label, entry_bottom(innermost), entry_ttl(innermost) - 1) |
				bpf_htonl(innermost & ENTRY_CLASS);
		else
			tag->stack[MAX_DEPTH - 1] = entry_word(path->label, true, LABEL_TTL);
		tag->stack[MAX_DEPTH - 1 - i] |= mark_sent(path, pk->channel && !i);
		tag->labels = i + 1;
		if (!path->vif)
			return leave_by_hop(ctx, pk, tag, path, way);

		vif = bpf_map_lookup_elem(&vifs, &path->vif);
		if (!vif || !(vif->flags & VIF_UP))
			return drop(ctx, pk, DROP_VIF_DOWN);
		/* what watches a link is nobody's to hold back */
		if (!pk->channel && exceeds(pk, vif, path->vif, METER_SENT, carried_bytes(pk, tag)))
			return refuse(ctx, path->vif, vif->node, pk->ifindex, METER_SENT);
		path_id = vif_path(pk, tag, vif, path->vif);
	}
	return drop(ctx, pk, DROP_DEPTH);
}

static __always_inline int descend(struct xdp_md *ctx, struct packet *pk, struct tag *tag, __u32 path,
				   __u32 innermost)
{
	struct way way = {};

	find_way(ctx, pk, tag, path, innermost, &way);
	if (!way.ifindex)
		return XDP_DROP;
	return redirect_tagged(ctx, pk, tag, way.ifindex, way.push);
}

#endif
