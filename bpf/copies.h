/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The sending end of 1+1: a frame that begins at such a link goes by both of
 * its paths, under one number. All is decided here, at ingress: each copy's
 * labels and underlay hop, whether it fits, what its meters below say; what
 * cannot go is dropped for its reason, and the other goes. The kernel makes
 * the copy (BPF_F_BROADCAST); egress.h asks copy_taken() which one it has.
 *
 * Whatever a layer above sends by the link has no control word of the link's:
 * it goes once, by the path in use. So do frames in several buffers: of a copy
 * the kernel would send the first buffer only.
 */
#ifndef CABERNET_COPIES_H
#define CABERNET_COPIES_H

#include "descend.h"

#ifdef CABERNET_TRACE
/* Of the frame that is traced, beside those on their way. */
struct copies traced_copies = {};
volatile __u32 last_copy = 0;
#endif

#if defined(CABERNET_TEST)
/* Where the other copy of the last frame went; 0: nowhere. */
volatile __u32 last_copy = 0;
#endif

#if defined(CABERNET_TRACE) || defined(CABERNET_TEST)
#define note_copy(ifindex) (last_copy = (ifindex))
#else
#define note_copy(ifindex) \
	do {               \
	} while (0)
#endif

/* The next record of this CPU, and its place; NULL: the table was made for fewer CPUs. */
static __always_inline struct copies *copies_begin(__u32 *place)
{
#ifdef CABERNET_TRACE
	*place = 0;
	return &traced_copies;
#else
	__u32 zero = 0, *serial = bpf_map_lookup_elem(&copy_serials, &zero);
	struct copies *record;

	if (!serial)
		return NULL;
	++*serial;
	*place = bpf_get_smp_processor_id() * COPY_SLOTS + (*serial & (COPY_SLOTS - 1));
	record = bpf_map_lookup_elem(&copies, place);
	if (record)
		record->serial = *serial;
	return record;
#endif
}

static __always_inline struct copies *copies_at(__u32 place)
{
#ifdef CABERNET_TRACE
	(void)place;
	return &traced_copies;
#else
	return bpf_map_lookup_elem(&copies, &place);
#endif
}

/* From one counter for all CPUs; never 0, which is no number. */
static __always_inline __u32 draw_number(struct link *link)
{
	__u32 number;

	if (TRACING)
		return (link->number + 1) & SEQUENCE_MASK;
	number = (__sync_fetch_and_add(&link->number, 1) + 1) & SEQUENCE_MASK;
	if (!number)
		number = (__sync_fetch_and_add(&link->number, 1) + 1) & SEQUENCE_MASK;
	return number;
}

/* A copy's way down, into the record; or it has been dropped. */
static __always_inline void find_copy_way(struct xdp_md *ctx, struct packet *pk, const struct tag *tag,
					  const struct link *link, struct copies *record, const int copy)
{
	__u32 place = *(const volatile __u32 *)&link->order >> copy * 8 & 0xff;
	struct tag *own = &record->tags[copy];
	struct way way = {};
	__u32 path;

	*own = *tag;
	record->ifindex[copy] = 0;
	if (place >= MAX_LINK_PATHS) {
		drop(ctx, pk, DROP_NO_PATH);
		return;
	}
	path = link->paths[place];
	own->entropy = path_entropy(path);
	trace(LINK, pk, 0, path, link->state, LINK_TWICE, place, link->avoid);
	find_way(ctx, pk, own, path, 0, &way);
	if (!way.ifindex)
		return;
	record->ifindex[copy] = way.ifindex;
	record->left |= 1u << copy;
	if (way.push < record->push)
		record->push = way.push;
}

/*
 * Both copies are the same frame until they leave: they have one tag, which
 * says where the record is, and what is taken off is the same for both.
 */
static __always_inline bool tag_copies(struct xdp_md *ctx, struct copies *record, __u32 place)
{
	__u32 strip = record->tags[0].strip, push = record->push;
	struct tag *meta;

	/* as in redirect_tagged(): no longer than it will be */
	if (strip > push) {
		if (bpf_xdp_adjust_head(ctx, (int)(strip - push)) < 0)
			return false;
		record->tags[0].strip -= strip - push;
		record->tags[1].strip -= strip - push;
	}
	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*meta)) < 0)
		return false;
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > (void *)(long)ctx->data)
		return false;
	*meta = (struct tag){
		.magic = TAG_MAGIC,
		.flags = TAG_COPIES,
		.next_hop = place,
		.underlay_hop = record->serial,
	};
	return true;
}

static __always_inline int redirect_copies(struct xdp_md *ctx, const struct packet *pk,
					   const struct copies *record)
{
	__u32 first = record->ifindex[0], second = record->ifindex[1];
	struct device_pair_key key = {
		.low = first < second ? first : second,
		.high = first < second ? second : first,
	};
	void *pair;

	note_egress(first ? first : second);
	note_copy(first ? second : 0);
	if (first && second && !TRACING) {
		pair = bpf_map_lookup_elem(&device_pairs, &key);
		if (pair)
			return bpf_redirect_map(pair, 0, BPF_F_BROADCAST);
		drop(ctx, pk, DROP_NO_DEVICE);
		note_copy(0);
	}
	if (bpf_redirect_map(&devices, first ? first : second, 0) == XDP_REDIRECT)
		return XDP_REDIRECT;
	return drop(ctx, pk, DROP_NO_DEVICE);
}

static __noinline int send_copies(struct xdp_md *ctx, struct packet *pk, struct tag *tag, __u32 vif_id)
{
	struct link *link = bpf_map_lookup_elem(&links, &vif_id);
	struct copies *record;
	__u32 place;

	if (!link)
		return drop(ctx, pk, DROP_NO_PATH);
	record = copies_begin(&place);
	if (!record)
		return drop(ctx, pk, DROP_STRAY_COPY);
	record->left = 0;
	record->push = MAX_FRAME;
	/* the one that a trace goes on with is told of last */
	find_copy_way(ctx, pk, tag, link, record, TRACING ? 1 : 0);
	find_copy_way(ctx, pk, tag, link, record, TRACING ? 0 : 1);
	if (!record->left)
		return XDP_DROP;
	record->number = draw_number(link);
	if (!tag_copies(ctx, record, place))
		return drop(ctx, pk, DROP_HEADROOM);
	return redirect_copies(ctx, pk, record);
}

/*
 * At egress, which the kernel runs on one copy after the other: the one that
 * has not left by this interface yet. Where both leave by the same, either may
 * be the first. Its tag and number; false: its record is another frame's.
 */
static __always_inline bool copy_taken(struct tag *tag, __u32 *number, __u32 ifindex)
{
	struct copies *record = copies_at(tag->next_hop);
	__u32 left;

	if (!record || record->serial != tag->underlay_hop)
		return false;
	left = record->left;
	*number = record->number;
	if (left & 1 && (!ifindex || record->ifindex[0] == ifindex)) {
		record->left = left & ~1u;
		*tag = record->tags[0];
		return true;
	}
	if (left & 2 && (!ifindex || record->ifindex[1] == ifindex)) {
		record->left = left & ~2u;
		*tag = record->tags[1];
		return true;
	}
	return false;
}

#endif
