/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Another way below all labels, where a neighbour is gone: of a tunnel another
 * of its ways, of a wire its bypass (RFC 4090 §3.2): frames keep the label that
 * the wire's far end expects and bear one more above it, which brings them
 * there by other wires (LABEL_POP). No user space in the loop.
 */
#ifndef CABERNET_REPAIR_H
#define CABERNET_REPAIR_H

#include "record.h"

/* Whether the neighbour that these headers lead to is gone, as its session says. */
static __always_inline bool hop_down(const struct underlay_hop *hop)
{
	const struct peer *peer;

	if (!(hop->flags & HOP_WATCHED))
		return false;
	peer = bpf_map_lookup_elem(&peers, &hop->peer);
	return peer && *(volatile __u32 *)&peer->down;
}

static __always_inline bool hop_usable(__u32 id)
{
	const struct underlay_hop *hop = bpf_map_lookup_elem(&underlay_hops, &id);

	return hop && hop->ifindex && !hop_down(hop);
}

/*
 * The hop itself, or, where its neighbour is gone, another way of the tunnel,
 * by bits of the flow that have not chosen it; the hop itself again where all
 * are gone, for it may be the watching that has failed. A global function,
 * verified by itself: hops that are as they should be do not come here.
 */
__noinline __u32 fit_hop(__u32 tunnel_id, __u32 hop_id, __u32 entropy)
{
	const struct underlay_hop *hop = bpf_map_lookup_elem(&underlay_hops, &hop_id);
	const struct tunnel *tunnel = bpf_map_lookup_elem(&tunnels, &tunnel_id);

	if (!hop || !hop_down(hop) || !tunnel)
		return hop_id;
	for (__u32 i = 0; i < MAX_WAYS; i++) {
		__u32 way = tunnel->hops[((entropy >> 11) + i) & (MAX_WAYS - 1)];

		if (hop_usable(way))
			return way;
	}
	return hop_id;
}

#define BYPASS_HOP_SHIFT 32

/*
 * What the wire's bypass adds, if it is to be used and can be: a label, and
 * from BYPASS_HOP_SHIFT on the underlay hop of the other wire, which is never
 * itself repaired. 0: the wire is to be used, or there is no better. A frame of
 * `length` is counted, 0: none is. A global function: a wire that is as it
 * should be does not come here.
 */
__noinline __u64 fit_bypass(__u32 wire_id, __u32 length)
{
	const struct wire *wire = bpf_map_lookup_elem(&wires, &wire_id);
	const struct path *path;
	__u32 id;

	if (!wire || !wire->bypass || hop_usable(wire->hop))
		return 0;
	id = wire->bypass;
	path = bpf_map_lookup_elem(&paths, &id);
	if (!path || path->label < FIRST_LABEL)
		return 0;
	wire_id = path->wire;
	wire = bpf_map_lookup_elem(&wires, &wire_id);
	if (!wire || wire->kind != WIRE_LSP || !hop_usable(wire->hop))
		return 0;
	if (length) {
		count_path(id, length);
		trace_at(PATH, 0, 0, 0, sizeof(struct label_entry), id, path->label, 0, 0, wire_id);
	}
	return (__u64)wire->hop << BYPASS_HOP_SHIFT | path->label;
}

#endif
