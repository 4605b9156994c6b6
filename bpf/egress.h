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
#include "copies.h"

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

/*
 * The labels and what is below them, at constant places for each number of
 * labels. The caller has checked that there is room for all of them.
 */
static __always_inline void write_labels(void *to, const struct tag *tag, __u32 number)
{
	switch (tag->labels) {
	case 1:
		copy(to, &tag->stack[3], 4);
		to += 4;
		break;
	case 2:
		copy(to, &tag->stack[2], 8);
		to += 8;
		break;
	case 3:
		copy(to, &tag->stack[1], 4);
		copy(to + 4, &tag->stack[2], 8); /* the stack is read aligned only */
		to += 12;
		break;
	default:
		copy(to, &tag->stack[0], 16);
		to += 16;
		break;
	}
	if (tag->flags & TAG_CONTROL_WORD)
		*(__u32 *)to = bpf_htonl(number);
}

#define TAGGED_BYTES ((__u32)(sizeof(struct ethernet) + sizeof(struct vlan)))
#define MOST_LABEL_BYTES (MAX_DEPTH * sizeof(struct label_entry) + sizeof(struct control_word))

/*
 * `l2` and `l3` are constants, and so is every place written. One check is
 * enough: behind the outer header there are labels, control word and an
 * Ethernet header, together at least MOST_LABEL_BYTES; what is shorter is no
 * frame of ours.
 */
static __always_inline bool write_outer(struct xdp_md *ctx, const struct underlay_hop *hop,
					const struct tag *tag, __u32 number, const __u32 l2, const __u32 l3)
{
	struct cursor cursor = cursor_at(ctx);
	void *to = take_bytes(&cursor, l2 + l3 + sizeof(struct udp) + MOST_LABEL_BYTES);
	__u32 length = frame_length(ctx) - l2;
	struct udp *udp = to + l2 + l3;

	if (!to)
		return false;
	copy(to, hop->ethernet, l2);
	copy(to + l2, hop->ip, l3);
	if (l3 == sizeof(struct ipv4)) {
		struct ipv4 *ip = to + l2;

		ip->length = bpf_htons(length);
		ip->checksum = ~fold((__u64)hop->sum + ip->length);
	} else {
		struct ipv6 *ip = to + l2;

		/* RFC 6438: routers below may choose by the flow label alone */
		ip->version_class_flow |= bpf_htonl(tag->entropy);
		ip->length = bpf_htons(length - l3);
	}
	udp->source = bpf_htons(tag->entropy);
	udp->destination = bpf_htons(UDP_PORT_MPLS);
	udp->length = bpf_htons(length - l3);
	udp->checksum = 0;
	write_labels(udp + 1, tag, number);
	return true;
}

/* The same on a wire, where the labels follow the Ethernet header. */
static __always_inline bool write_ethernet(struct xdp_md *ctx, const struct underlay_hop *hop,
					   const struct tag *tag, __u32 number, const __u32 l2)
{
	struct cursor cursor = cursor_at(ctx);
	void *to = take_bytes(&cursor, l2 + MOST_LABEL_BYTES);

	if (!to)
		return false;
	copy(to, hop->ethernet, l2);
	write_labels(to + l2, tag, number);
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
	struct tag tag;
	__u32 push = 0, strip, number = 0;
	bool written;

	if ((void *)(meta + 1) > (void *)(long)ctx->data || meta->magic != TAG_MAGIC)
		return egress_drop(ctx, DROP_UNTAGGED);
	tag = *meta;
	if (bpf_xdp_adjust_meta(ctx, sizeof(tag)) < 0)
		return egress_drop(ctx, DROP_UNTAGGED);
	if (tag.flags & TAG_COPIES && !copy_taken(&tag, &number, ifindex))
		return egress_drop(ctx, DROP_STRAY_COPY);

	if (tag.flags & (TAG_IPV4 | TAG_IPV6) && !rewrite(ctx, &tag))
		return egress_drop(ctx, DROP_NO_NEXT_HOP);
	if (tag.underlay_hop) {
		hop = bpf_map_lookup_elem(&underlay_hops, &tag.underlay_hop);
		if (!hop)
			return egress_drop(ctx, DROP_TUNNEL_UNRESOLVED);
		push = hop->bytes + tag.labels * sizeof(struct label_entry) +
		       (tag.flags & TAG_CONTROL_WORD ? sizeof(struct control_word) : 0);
	}
	strip = strip_bytes(&tag);
	trace_at(STRIP, 0, 0, 0, -(int)strip, 0, 0, 0, 0, 0);
	if (push != strip && bpf_xdp_adjust_head(ctx, (int)strip - (int)push) < 0)
		return egress_drop(ctx, DROP_HEADROOM);

	if (hop) {
		if (hop->family == 4)
			written = hop->l2 == ETHERNET_BYTES ? write_outer(ctx, hop, &tag, number,
									  ETHERNET_BYTES, sizeof(struct ipv4))
							    : write_outer(ctx, hop, &tag, number,
									  TAGGED_BYTES, sizeof(struct ipv4));
		else if (hop->family == 6)
			written = hop->l2 == ETHERNET_BYTES ? write_outer(ctx, hop, &tag, number,
									  ETHERNET_BYTES, sizeof(struct ipv6))
							    : write_outer(ctx, hop, &tag, number,
									  TAGGED_BYTES, sizeof(struct ipv6));
		else
			written = hop->l2 == ETHERNET_BYTES
					  ? write_ethernet(ctx, hop, &tag, number, ETHERNET_BYTES)
					  : write_ethernet(ctx, hop, &tag, number, TAGGED_BYTES);
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
