/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The service look-up: from an address in a virtual node's tables to a next
 * hop. A per-CPU flow cache stands before the trie; its entries live while
 * their generation is the node's, which user space raises after each write and
 * which is read before the look-up: an answer from older tables is never kept.
 */
#ifndef CABERNET_ROUTES_H
#define CABERNET_ROUTES_H

#include "record.h"

/* Written before the load: flows - 1. */
const volatile __u32 flow4_mask = MAX_FLOWS4 - 1;
const volatile __u32 flow6_mask = MAX_FLOWS6 - 1;

/*
 * The longest prefix of `address` (`size` bytes): a next hop id, or 0. Leaves
 * are pushed down by user space: the first one met is the answer, and the
 * chunks of one table never point back, so `size` steps are enough.
 */
static __always_inline __u32 trie_lookup(__u32 chunk_id, const __u8 *address, __u32 size)
{
	const struct chunk *chunk;
	__u32 entry;

	for (__u32 i = 0; i < size; i++) {
		chunk = bpf_map_lookup_elem(&chunks, &chunk_id);
		if (!chunk)
			return 0;
		entry = chunk->entries[address[i]];
		if (entry & ROUTE_LEAF)
			return entry & ~ROUTE_LEAF;
		if (!entry)
			return 0;
		chunk_id = entry;
	}
	return 0;
}

static __always_inline const struct tables *node_tables(const struct node *node)
{
	__u32 id = node->tables;

	return bpf_map_lookup_elem(&tables, &id);
}

static __always_inline __u32 route4(const struct packet *pk, const struct node *node, __be32 source,
				    __be32 destination, __u32 hash)
{
	__u32 generation = *(volatile const __u32 *)&node->generation;
	__u32 key = hash & flow4_mask;
	struct flow4 *flow = bpf_map_lookup_elem(&flows4, &key);
	const struct tables *t;
	__u32 id;

	if (!flow)
		return 0;
	if (flow->destination == destination && flow->source == source && flow->vif == pk->vif &&
	    flow->node == pk->node && flow->generation == generation) {
		trace_address(FLOW_CACHE, pk, flow->next_hop, &destination, 4, 0, 0);
		return flow->next_hop;
	}
	t = node_tables(node);
	if (!t)
		return 0;
	id = trie_lookup(t->ipv4, (const __u8 *)&destination, 4);
	trace_address(ROUTE, pk, id, &destination, 4, t->ipv4, 4);
	if (id && !TRACING) {
		flow->node = pk->node;
		flow->vif = pk->vif;
		flow->source = source;
		flow->destination = destination;
		flow->generation = generation;
		flow->next_hop = id;
	}
	return id;
}

static __always_inline __u32 route6(const struct packet *pk, const struct node *node, const __u64 *source,
				    const __u64 *destination, __u32 hash)
{
	__u32 generation = *(volatile const __u32 *)&node->generation;
	__u32 key = hash & flow6_mask;
	struct flow6 *flow = bpf_map_lookup_elem(&flows6, &key);
	const struct tables *t;
	__u32 id;

	if (!flow)
		return 0;
	if (flow->destination[0] == destination[0] && flow->destination[1] == destination[1] &&
	    flow->source[0] == source[0] && flow->source[1] == source[1] && flow->vif == pk->vif &&
	    flow->node == pk->node && flow->generation == generation) {
		trace_address(FLOW_CACHE, pk, flow->next_hop, destination, 16, 0, 0);
		return flow->next_hop;
	}
	t = node_tables(node);
	if (!t)
		return 0;
	id = trie_lookup(t->ipv6, (const __u8 *)destination, 16);
	trace_address(ROUTE, pk, id, destination, 16, t->ipv6, 6);
	if (id && !TRACING) {
		flow->destination[0] = destination[0];
		flow->destination[1] = destination[1];
		flow->source[0] = source[0];
		flow->source[1] = source[1];
		flow->node = pk->node;
		flow->vif = pk->vif;
		flow->generation = generation;
		flow->next_hop = id;
	}
	return id;
}

#endif
