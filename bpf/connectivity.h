/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The way up: label by label, each in the context of what it arrived by, to
 * the vif of the top layer; or, where a label is swapped, on at that layer.
 */
#ifndef CABERNET_CONNECTIVITY_H
#define CABERNET_CONNECTIVITY_H

#include "labels.h"
#include "marking.h"
#include "merge.h"
#include "receive-channel.h"
#include "service.h"

static __always_inline void begin_at(struct packet *pk, const struct cursor *cursor)
{
	pk->offset = cursor->offset;
	pk->length = pk->size - cursor->offset;
}

struct channel_begin {
	struct label_entry entry;
	struct control_word word;
};

/* Transit: nothing above this label is looked at. */
static __always_inline int swap(struct xdp_md *ctx, struct packet *pk, __u32 path, __u32 entry)
{
	struct tag tag = {
		.magic = TAG_MAGIC,
		.entropy = pk->entropy,
	};

	if (entry_ttl(entry) <= 1)
		return drop(ctx, pk, DROP_LABEL_TTL);
	tag.strip = pk->offset;
	return descend(ctx, pk, &tag, path, entry);
}

/* At the bottom of the stack: data and its number, or a channel of the vif's own link. */
static __always_inline enum drop_reason open_control_word(struct packet *pk, struct cursor *cursor,
							  __u32 *number)
{
	const struct control_word *word = take(cursor, struct control_word);
	__u32 nibble;

	(void)pk;
	if (!word)
		return DROP_TRUNCATED;
	nibble = bpf_ntohl(word->word) >> 28;
	*number = bpf_ntohl(word->word) & SEQUENCE_MASK;
	trace(CONTROL_WORD, pk, -(int)sizeof(*word), nibble, *number, 0, 0, 0);
	if (nibble == 1)
		return DROP_CHANNEL_UNKNOWN;
	return nibble ? DROP_CONTROL_WORD : DROP_NONE;
}

/*
 * A link for peers that know no Ethernet over MPLS: below the label there is
 * an IP packet (RFC 3032), its version the first nibble. The last 14 bytes in
 * front of it are of headers done with: they become the Ethernet header that
 * another link would have brought, and the rest of the way is the same.
 */
static __always_inline enum drop_reason open_ip(struct cursor *cursor, const struct vif *vif)
{
	const __u8 *version = peek(cursor, __u8);
	struct ethernet *ethernet;

	if (!version)
		return DROP_TRUNCATED;
	ethernet = retreat(cursor, ETHERNET_BYTES);
	if (*version >> 4 == 4)
		ethernet->type = bpf_htons(ETHERTYPE_IPV4);
	else if (*version >> 4 == 6)
		ethernet->type = bpf_htons(ETHERTYPE_IPV6);
	else
		return DROP_NOT_IP;
	copy(ethernet->destination, vif->mac, 6);
	__builtin_memset(ethernet->source, 0, 6);
	ethernet->source[0] = 2; /* locally administered, nobody's */
	return DROP_NONE;
}

/* Arrived, with `label` in `context`: to the vif of the top layer. */
static __always_inline int arrive_at_vif(struct xdp_md *ctx, struct packet *pk, struct cursor *cursor,
					 const struct vif *vif, __u32 context, __u32 label)
{
	__u32 offset = cursor->offset, number = 0;
	enum drop_reason reason;
	int verdict;

	reason = vif->flags & VIF_IP ? open_ip(cursor, vif) : open_control_word(pk, cursor, &number);
	if (reason == DROP_CHANNEL_UNKNOWN) {
		reason = receive_channel(ctx, offset, context, label);
		if (reason == DROP_NONE)
			return XDP_DROP; /* for us: it ends here */
	}
	if (reason != DROP_NONE)
		return drop(ctx, pk, reason);
	if (!TRACING && number) {
		verdict = merge_number(pk->vif, number);
		if (verdict == MERGE_LATE)
			return drop(ctx, pk, DROP_LATE_COPY);
		if (verdict != MERGE_DELIVER)
			return XDP_DROP; /* its other copy goes on: no packet is lost */
	}
	begin_at(pk, cursor);
	if (!forget_place(ctx, cursor))
		return drop(ctx, pk, DROP_TRUNCATED);
	return receive_at_vif(ctx, pk, cursor, vif);
}

/* At a vif on the way up; NULL: it is down. */
static __always_inline const struct vif *enter_vif(struct packet *pk, __u32 id)
{
	const struct vif *vif = bpf_map_lookup_elem(&vifs, &id);

	pk->vif = id;
	pk->depth++;
	if (!vif || !(vif->flags & VIF_UP))
		return NULL;
	pk->node = vif->node;
	return vif;
}

/* What watches a link of the layer above is nobody's to hold back: its label, then the word of a channel. */
static __always_inline bool begins_channel(struct cursor cursor)
{
	const struct channel_begin *begin = peek(&cursor, struct channel_begin);

	return begin && entry_bottom(bpf_ntohl(begin->entry.word)) && bpf_ntohl(begin->word.word) >> 28 == 1;
}

/*
 * `own`: the first entry is the explicit null of this vif's circuit, at the
 * bottom of the stack; else 0.
 */
static __always_inline int climb(struct xdp_md *ctx, struct packet *pk, struct cursor *cursor, __u32 context,
				 __u32 own)
{
	const struct label_entry *entry;
	const struct label_slot *slot;
	const struct vif *vif;
	__u32 word, target, marking, action;

	for (int i = 0; i < MAX_DEPTH; i++) {
		entry = take(cursor, struct label_entry);
		if (!entry)
			return drop(ctx, pk, DROP_TRUNCATED);
		word = bpf_ntohl(entry->word);
		slot = own ? NULL : label_lookup(context, entry_label(word));
		/* target is cleared a grace period after label: see struct label_slot */
		target = slot ? slot->target : own;
		marking = slot ? slot->action : own ? LABEL_DELIVER : LABEL_NONE;
		action = marking & LABEL_ACTION;
		trace(LABEL, pk, -(int)sizeof(*entry), target, entry_label(word), context, action,
		      word & 0x1ff);
		if (!target)
			return drop(ctx, pk, DROP_LABEL_UNKNOWN);
		begin_at(pk, cursor);
		if (action == LABEL_SWAP)
			return swap(ctx, pk, target, word);
		if (!entry_ttl(word))
			return drop(ctx, pk, DROP_LABEL_TTL);
		if (action == LABEL_POP) {
			/* it brings another label: a bypass has no frames of its own */
			if (entry_bottom(word))
				return drop(ctx, pk, DROP_LABEL_UNKNOWN);
			context = target;
			continue;
		}
		if (marking >> LABEL_SESSION_SHIFT)
			mark_received(marking >> LABEL_SESSION_SHIFT, word, *cursor);
		vif = enter_vif(pk, target);
		if (!vif)
			return drop(ctx, pk, DROP_VIF_DOWN);
		if (entry_bottom(word))
			return arrive_at_vif(ctx, pk, cursor, vif, context, entry_label(word));

		/* the layer above this vif's: its labels mean something here only */
		if (!begins_channel(*cursor) && exceeds(pk, vif, target, METER_RECEIVED, pk->length))
			return refuse(ctx, target, vif->node, pk->ifindex, METER_RECEIVED);
		count_received(target, pk->length);
		context = target;
	}
	return drop(ctx, pk, DROP_LABEL_SURPLUS);
}

#endif
