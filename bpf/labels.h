/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Exact matches on the way up: the tunnel of an outer header, and what a label
 * means in the context it arrives in (RFC 5331). An entry is in one of two
 * buckets of a cache line each; user space puts it in the emptier one and
 * never moves it, so that a reader needs no lock.
 */
#ifndef CABERNET_LABELS_H
#define CABERNET_LABELS_H

#include "tables.h"

/* Written before the load: buckets - 1. */
const volatile __u32 label_bucket_mask = MAX_LABEL_BUCKETS - 1;
const volatile __u32 tunnel_bucket_mask = MAX_TUNNEL_BUCKETS - 1;

static __always_inline __u32 bucket_hash(__u32 a, __u32 b)
{
	__u32 h = a * 0x9e3779b1u ^ b * 0x85ebca6bu;

	h ^= h >> 15;
	h *= 0xc2b2ae35u;
	h ^= h >> 13;
	return h;
}

static __always_inline __u32 second_bucket(__u32 hash)
{
	return hash >> 16 ^ hash * 31;
}

static __always_inline const struct label_slot *label_in(__u32 bucket, __u32 context, __u32 label)
{
	const struct label_bucket *b = bpf_map_lookup_elem(&labels, &bucket);

	if (!b)
		return NULL;
#pragma unroll
	for (int i = 0; i < LABEL_SLOTS; i++)
		if (b->slots[i].label == label && b->slots[i].context == context)
			return &b->slots[i];
	return NULL;
}

static __always_inline const struct label_slot *label_lookup(__u32 context, __u32 label)
{
	__u32 h = bucket_hash(context, label);
	const struct label_slot *slot;

	/* a free slot's label is 0: it must not be found */
	if (label < FIRST_LABEL)
		return NULL;
	slot = label_in(h & label_bucket_mask, context, label);
	if (!slot)
		slot = label_in(second_bucket(h) & label_bucket_mask, context, label);
	return slot;
}

static __always_inline const struct tunnel_slot4 *tunnel_end_in(__u32 bucket, __u32 remote, __u32 local)
{
	const struct tunnel_bucket4 *b = bpf_map_lookup_elem(&tunnel_ends4, &bucket);

	if (!b)
		return NULL;
#pragma unroll
	for (int i = 0; i < TUNNEL_SLOTS; i++)
		if (b->slots[i].local == local && b->slots[i].remote == remote && b->slots[i].used)
			return &b->slots[i];
	return NULL;
}

static __always_inline const struct tunnel_slot4 *tunnel_end4(__u32 remote, __u32 local)
{
	__u32 h = bucket_hash(remote, local);
	const struct tunnel_slot4 *slot = tunnel_end_in(h & tunnel_bucket_mask, remote, local);

	if (!slot)
		slot = tunnel_end_in(second_bucket(h) & tunnel_bucket_mask, remote, local);
	return slot;
}

#endif
