/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * BFD of one hop (peers.h), the sending half: what the sender wrote
 * around a packet becomes the headers of its session's neighbour. So the
 * sender has one socket and one batch whatever is watched, with no routes,
 * neighbours or interfaces to follow.
 */
#ifndef CABERNET_PEER_SEND_H
#define CABERNET_PEER_SEND_H

#include "egress.h"
#include "punt.h"

/* In front of the packet, as the sender hands it over: a header and the word of a channel. */
#define SENDER_BYTES ((__u32)(sizeof(struct channel_frame) + sizeof(__be32)))
#define SENDER_FRAME (SENDER_BYTES + (__u32)sizeof(struct bfd_control))

static __always_inline bool write_whole(struct xdp_md *ctx, const struct underlay_hop *hop, const __u32 l2,
					const __u32 l3)
{
	struct cursor cursor = cursor_at(ctx);
	void *to = take_bytes(&cursor, l2 + l3 + sizeof(struct udp));

	if (!to)
		return false;
	copy(to, hop->ethernet, l2);
	copy(to + l2, hop->ip, l3 + sizeof(struct udp));
	return true;
}

static __always_inline bool write_headers(struct xdp_md *ctx, const struct underlay_hop *hop)
{
	bool tagged = hop->l2 != ETHERNET_BYTES;

	if (hop->family == 4)
		return tagged ? write_whole(ctx, hop, TAGGED_BYTES, sizeof(struct ipv4))
			      : write_whole(ctx, hop, ETHERNET_BYTES, sizeof(struct ipv4));
	return tagged ? write_whole(ctx, hop, TAGGED_BYTES, sizeof(struct ipv6))
		      : write_whole(ctx, hop, ETHERNET_BYTES, sizeof(struct ipv6));
}

static __always_inline bool write_labelled(struct xdp_md *ctx, const struct underlay_hop *hop, const __u32 l2)
{
	struct cursor cursor = cursor_at(ctx);
	void *to = take_bytes(&cursor, l2 + sizeof(struct label_entry));

	if (!to)
		return false;
	copy(to, hop->ethernet, l2);
	/* RFC 5586 §4.2: a TTL of at least 1; it goes no further than to the neighbour */
	((struct label_entry *)(to + l2))->word = entry_word(LABEL_GAL, true, 1);
	return true;
}

/* Right on a wire: the word of the channel, which the sender wrote, stays. */
static __always_inline int send_on_section(struct xdp_md *ctx, struct packet *pk, struct tag *tag,
					   const struct underlay_hop *hop)
{
	__u32 header = hop->l2 + sizeof(struct label_entry);
	bool tagged = hop->l2 != ETHERNET_BYTES, written;

	if (bpf_xdp_adjust_head(ctx, (int)sizeof(struct channel_frame) - (int)header) < 0)
		return drop(ctx, pk, DROP_HEADROOM);
	written = tagged ? write_labelled(ctx, hop, TAGGED_BYTES) : write_labelled(ctx, hop, ETHERNET_BYTES);
	return written ? redirect_tagged(ctx, pk, tag, hop->ifindex, 0) : drop(ctx, pk, DROP_CHANNEL_FRAME);
}

/* Lengths and the IPv4 checksum are in the ready header: all packets are of one length. */
static __always_inline int send_to_peer(struct xdp_md *ctx, struct packet *pk, __u32 id)
{
	const struct peer *peer = bpf_map_lookup_elem(&peers, &id);
	struct tag tag = { .magic = TAG_MAGIC };
	const struct underlay_hop *hop;
	__u32 hop_id;

	if (!peer || !peer->ifindex || pk->size != SENDER_FRAME)
		return drop(ctx, pk, DROP_CHANNEL_FRAME);
	hop_id = peer->hop;
	hop = bpf_map_lookup_elem(&underlay_hops, &hop_id);
	if (!hop || !hop->ifindex)
		return drop(ctx, pk, DROP_WIRE_UNRESOLVED);
	if (!hop->family)
		return send_on_section(ctx, pk, &tag, hop);
	if (bpf_xdp_adjust_head(ctx, (int)SENDER_BYTES - (int)hop->bytes) < 0)
		return drop(ctx, pk, DROP_HEADROOM);
	if (!write_headers(ctx, hop) || !write_udp_checksum(ctx, hop))
		return drop(ctx, pk, DROP_CHANNEL_FRAME);
	return redirect_tagged(ctx, pk, &tag, hop->ifindex, 0);
}

#endif
