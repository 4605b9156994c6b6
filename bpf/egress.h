/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The one egress program, on every entry of the device table: checks the tag,
 * takes the old headers off, rewrites the frame for its next hop and writes
 * labels and outer header. Our tag ends here: metadata would survive a veth
 * and reach the next namespace.
 */
#ifndef CABERNET_EGRESS_H
#define CABERNET_EGRESS_H

#include "checksum.h"
#include "record.h"

/* Also of what is written outside the innermost label: see tag.stack. */
struct outer {
	__u32 labels;	    /* bytes of labels and control word */
	__u32 below_labels; /* bytes from IP header to labels: 28 or 48 */
	__u32 length;	    /* of the whole frame */
};

static __always_inline int egress_drop(struct xdp_md *ctx, enum drop_reason reason)
{
	return drop_frame(ctx, reason, 0, 0, 0);
}

static __noinline int capture_rewritten(struct xdp_md *ctx, __u32 node, __u32 vif, __u32 offset)
{
	if (!TRACING && vif_captured(vif))
		record_capture(ctx, RECORD_OUT, node, vif, offset << 24);
	return 0;
}

/* RFC 1812 §5.3.1, RFC 8200 §3: one router, one hop. */
static __always_inline bool rewrite(struct xdp_md *ctx, const struct tag *tag)
{
	const struct next_hop *hop = bpf_map_lookup_elem(&next_hops, &tag->next_hop);
	struct cursor cursor = cursor_at(ctx);
	struct ethernet *ethernet;

	if (!hop || !take_bytes(&cursor, tag->strip))
		return false;
	ethernet = take(&cursor, struct ethernet);
	if (!ethernet)
		return false;
	copy(ethernet->destination, hop->mac, 6);
	copy(ethernet->source, hop->source, 6);
	if (tag->flags & TAG_IPV4) {
		struct ipv4 *ip = take(&cursor, struct ipv4);

		if (!ip)
			return false;
		ipv4_decrement_ttl(ip);
	} else {
		struct ipv6 *ip = take(&cursor, struct ipv6);

		if (!ip)
			return false;
		ip->hop_limit--;
	}
	if (captures_on)
		capture_rewritten(ctx, hop->node, hop->vif, tag->strip);
	trace_at(REWRITE, 0, hop->node, hop->vif, 0, tag->next_hop, 0, 0, 0, 0);
	return true;
}

static __always_inline bool write_labels(struct cursor *cursor, const struct tag *tag)
{
	struct label_entry *entry;

#pragma unroll
	for (int i = MAX_DEPTH - 1; i >= 0; i--) {
		if (i >= tag->labels)
			continue;
		entry = take(cursor, struct label_entry);
		if (!entry)
			return false;
		entry->word = tag->stack[i];
	}
	if (tag->flags & TAG_CONTROL_WORD) {
		struct control_word *word = take(cursor, struct control_word);

		if (!word)
			return false;
		word->word = 0;
	}
	return true;
}

static __always_inline bool write_ethernet(struct cursor *cursor, const struct underlay_hop *hop)
{
	void *header;

	if (hop->l2 == sizeof(struct ethernet)) {
		header = take_bytes(cursor, sizeof(struct ethernet));
		if (!header)
			return false;
		copy(header, hop->ethernet, sizeof(struct ethernet));
	} else {
		header = take_bytes(cursor, sizeof(struct ethernet) + sizeof(struct vlan));
		if (!header)
			return false;
		copy(header, hop->ethernet, sizeof(struct ethernet) + sizeof(struct vlan));
	}
	return true;
}

static __always_inline bool write_ipv4(struct cursor *cursor, const struct underlay_hop *hop,
				       const struct tag *tag, __u32 length)
{
	struct ipv4 *ip = take(cursor, struct ipv4);
	struct udp *udp = take(cursor, struct udp);

	if (!ip || !udp)
		return false;
	copy(ip, hop->ip, sizeof(*ip));
	ip->length = bpf_htons(length);
	ip->checksum = ~fold((__u64)hop->sum + ip->length);
	udp->source = bpf_htons(tag->entropy);
	udp->destination = bpf_htons(UDP_PORT_MPLS);
	udp->length = bpf_htons(length - sizeof(*ip));
	udp->checksum = 0;
	return true;
}

static __always_inline bool write_ipv6(struct cursor *cursor, const struct underlay_hop *hop,
				       const struct tag *tag, __u32 length)
{
	struct ipv6 *ip = take(cursor, struct ipv6);
	struct udp *udp = take(cursor, struct udp);

	if (!ip || !udp)
		return false;
	copy(ip, hop->ip, sizeof(*ip));
	/* RFC 6438: routers below may choose by the flow label alone */
	ip->version_class_flow |= bpf_htonl(tag->entropy);
	ip->length = bpf_htons(length - sizeof(*ip));
	udp->source = bpf_htons(tag->entropy);
	udp->destination = bpf_htons(UDP_PORT_MPLS);
	udp->length = ip->length;
	udp->checksum = 0;
	return true;
}

/* The seed of the pseudo header is fold(source + destination + protocol + length). */
static __always_inline bool write_udp_checksum(struct xdp_md *ctx, const struct underlay_hop *hop)
{
	__u32 at = hop->l2 + (hop->family == 4 ? sizeof(struct ipv4) : sizeof(struct ipv6));
	struct cursor cursor = cursor_at(ctx);
	__u64 pseudo = bpf_htons(PROTOCOL_UDP);
	struct udp *udp;
	const __u32 *w;
	__u32 length;
	long sum;

	if (!take_bytes(&cursor, at))
		return false;
	udp = take(&cursor, struct udp);
	if (!udp)
		return false;
	length = bpf_ntohs(udp->length);
	w = (const __u32 *)(hop->ip + (hop->family == 4 ? 12 : 8));
	pseudo += (__u64)w[0] + w[1] + udp->length;
	if (hop->family != 4) {
		w = (const __u32 *)(hop->ip + 16);
#pragma unroll
		for (int i = 0; i < 6; i++)
			pseudo += w[i];
	}
	sum = checksum_bytes(ctx, at, length, fold(pseudo));
	if (sum < 0)
		return false;
	cursor = cursor_at(ctx);
	if (!take_bytes(&cursor, at))
		return false;
	udp = take(&cursor, struct udp);
	if (!udp)
		return false;
	/* RFC 768: a sum of zero is sent as all ones */
	udp->checksum = (__u16)~sum ? (__u16)~sum : 0xffff;
	return true;
}

static __always_inline int egress(struct xdp_md *ctx, __u32 ifindex)
{
	const struct underlay_hop *hop = NULL;
	struct tag *meta = (void *)(long)ctx->data_meta;
	struct cursor cursor;
	struct tag tag;
	__u32 push = 0;
	bool written;

	if ((void *)(meta + 1) > (void *)(long)ctx->data || meta->magic != TAG_MAGIC)
		return egress_drop(ctx, DROP_UNTAGGED);
	tag = *meta;
	if (bpf_xdp_adjust_meta(ctx, sizeof(tag)) < 0)
		return egress_drop(ctx, DROP_UNTAGGED);

	if (tag.flags & (TAG_IPV4 | TAG_IPV6) && !rewrite(ctx, &tag))
		return egress_drop(ctx, DROP_NO_NEXT_HOP);
	if (tag.underlay_hop) {
		hop = bpf_map_lookup_elem(&underlay_hops, &tag.underlay_hop);
		if (!hop)
			return egress_drop(ctx, DROP_TUNNEL_UNRESOLVED);
		push = hop->l2 + sizeof(struct udp) +
		       (hop->family == 4 ? sizeof(struct ipv4) : sizeof(struct ipv6)) +
		       tag.labels * sizeof(struct label_entry) +
		       (tag.flags & TAG_CONTROL_WORD ? sizeof(struct control_word) : 0);
	}
	trace_at(STRIP, 0, 0, 0, -(int)tag.strip, 0, 0, 0, 0, 0);
	if (push != tag.strip && bpf_xdp_adjust_head(ctx, (int)tag.strip - (int)push) < 0)
		return egress_drop(ctx, DROP_HEADROOM);

	if (hop) {
		__u32 length = frame_length(ctx) - hop->l2;

		cursor = cursor_at(ctx);
		written = write_ethernet(&cursor, hop);
		if (hop->family == 4)
			written = written && write_ipv4(&cursor, hop, &tag, length);
		else
			written = written && write_ipv6(&cursor, hop, &tag, length);
		written = written && write_labels(&cursor, &tag);
		if (written && hop->flags & TUNNEL_CHECKSUM)
			written = write_udp_checksum(ctx, hop);
		if (!written)
			return egress_drop(ctx, DROP_TRUNCATED);
		trace_at(PUSH, 0, 0, 0, push, tag.underlay_hop, tag.labels, hop->ifindex, tag.entropy, 0);
	}
	capture_at_port(ctx, ifindex, RECORD_OUT);
	return XDP_PASS;
}

#endif
