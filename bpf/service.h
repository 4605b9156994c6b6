/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * A frame has arrived at a vif of a virtual node, from a station's port or off
 * the labels: it is routed here (RFC 1812, RFC 8200), or given to the virtual
 * node's kernel, which answers as any router does.
 */
#ifndef CABERNET_SERVICE_H
#define CABERNET_SERVICE_H

#include "leave.h"
#include "routes.h"

/* Of TCP and UDP: both ports in one word. */
static __always_inline __u32 transport_ports(struct cursor cursor, __u8 protocol)
{
	const __u32 *ports_word = peek(&cursor, __u32);

	if (protocol != PROTOCOL_TCP && protocol != PROTOCOL_UDP)
		return 0;
	return ports_word ? *ports_word : 0;
}

static __always_inline __u16 entropy_port(__u32 hash)
{
	return ENTROPY_PORT_FIRST | (hash & ENTROPY_PORT_MASK);
}

/* Routed: the rest is the same for both families. */
static __always_inline int forward(struct xdp_md *ctx, struct packet *pk, const struct vif *vif, __u32 id,
				   __u32 ip_length, __u32 ttl, __u8 flag, __u32 ways_hash)
{
	const struct next_hop *hop = bpf_map_lookup_elem(&next_hops, &id);
	const struct vif *out;
	struct tag tag = {};
	__u32 out_id;

	if (!id) {
		/* counted, and answered by the kernel: it knows no route either */
		drop(ctx, pk, DROP_NO_ROUTE);
		return punt(ctx, pk, vif, PUNT_UNREACHABLE);
	}
	if (hop && hop->kind == NEXT_HOP_GROUP) {
		id = hop->ways[ways_hash & (MAX_WAYS - 1)];
		hop = bpf_map_lookup_elem(&next_hops, &id);
	}
	if (!hop || hop->node != pk->node)
		return drop(ctx, pk, DROP_NO_NEXT_HOP);
	trace_at(NEXT_HOP, pk->depth, pk->node, hop->vif, 0, id, hop->kind,
		 hop->mac[0] << 24 | hop->mac[1] << 16 | hop->mac[2] << 8 | hop->mac[3],
		 hop->mac[4] << 8 | hop->mac[5], 0);
	switch (hop->kind) {
	case NEXT_HOP_FORWARD:
		break;
	case NEXT_HOP_LOCAL:
		return punt(ctx, pk, vif, PUNT_LOCAL);
	case NEXT_HOP_GLEAN:
		return punt(ctx, pk, vif, PUNT_UNRESOLVED);
	case NEXT_HOP_UNREACHABLE:
		return punt(ctx, pk, vif, PUNT_UNREACHABLE);
	case NEXT_HOP_BLACKHOLE:
		return drop(ctx, pk, DROP_BLACKHOLE);
	default:
		return drop(ctx, pk, DROP_NO_NEXT_HOP);
	}
	if (ttl <= 1)
		return punt(ctx, pk, vif, PUNT_TTL);

	out_id = hop->vif;
	out = bpf_map_lookup_elem(&vifs, &out_id);
	if (!out)
		return drop(ctx, pk, DROP_VIF_DOWN);
	trace_at(VIF, pk->depth, pk->node, out_id, 0, out->port, ip_length, out->mtu, out->path, 0);
	if (ip_length > out->mtu)
		return punt(ctx, pk, vif, PUNT_TOO_BIG);

	tag.magic = TAG_MAGIC;
	tag.entropy = pk->entropy;
	tag.strip = pk->offset;
	tag.flags = flag;
	tag.next_hop = id;
	return leave_by_vif(ctx, pk, &tag, out, out_id);
}

static __always_inline bool ipv4_martian(__be32 source, __be32 destination)
{
	__u32 s = bpf_ntohl(source), d = bpf_ntohl(destination);

	/* "this network", loopback, multicast and above (RFC 1812 §5.3.7, RFC 6890) */
	return s >> 24 == 0 || s >> 24 == 127 || s >= 0xe0000000 || d >> 24 == 0 || d >> 24 == 127 ||
	       d >= 0xe0000000;
}

static __always_inline int receive_ipv4(struct xdp_md *ctx, struct packet *pk, struct cursor *cursor,
					const struct vif *vif, const struct node *node)
{
	const struct ipv4 *ip = take(cursor, struct ipv4);
	__u32 length, hash, transport = 0, id;

	if (!ip)
		return drop(ctx, pk, DROP_TRUNCATED);
	if (ip->version_ihl >> 4 != 4)
		return drop(ctx, pk, DROP_INNER_VERSION);
	length = bpf_ntohs(ip->length);
	if ((ip->version_ihl & 15) < 5 || length < sizeof(*ip) ||
	    length > pk->length - sizeof(struct ethernet))
		return drop(ctx, pk, DROP_INNER_LENGTH);
	if (ip->version_ihl != 0x45)
		return punt(ctx, pk, vif, PUNT_OPTIONS);
	if (ipv4_header_sum(ip) != 0xffff)
		return drop(ctx, pk, DROP_INNER_CHECKSUM);
	if (ipv4_martian(ip->source, ip->destination))
		return drop(ctx, pk, DROP_MARTIAN);

	hash = mix(((__u64)ip->source << 32 | ip->destination) * 0x9e3779b97f4a7c15ULL + pk->vif);
	/* all fragments of a packet take one way: ports only where none is one */
	if (!(ip->fragment & bpf_htons(IPV4_OFFSET_OR_MORE)))
		transport = transport_ports(*cursor, ip->protocol);
	pk->entropy = entropy_port(hash ^ mix((__u64)transport * 0x9e3779b97f4a7c15ULL));
	trace_address(IP, pk, ip->ttl, &ip->source, 4, length, ip->protocol);
	id = route4(pk, node, ip->source, ip->destination, hash);
	return forward(ctx, pk, vif, id, length, ip->ttl, TAG_IPV4, hash >> 16);
}

static __always_inline bool ipv6_link_local(const __be32 *address)
{
	return (address[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

static __always_inline bool ipv6_group(const __be32 *address)
{
	return (address[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000);
}

/* Unspecified or loopback. */
static __always_inline bool ipv6_own(const __be32 *a)
{
	return !(a[0] | a[1] | a[2] | (a[3] & bpf_htonl(0xfffffffe)));
}

/* RFC 4861: 133 to 137. */
static __always_inline bool is_neighbour_discovery(struct cursor cursor, __u8 next_header)
{
	const __u8 *type = peek(&cursor, __u8);

	return next_header == PROTOCOL_ICMPV6 && type && *type >= 133 && *type <= 137;
}

static __always_inline int receive_ipv6(struct xdp_md *ctx, struct packet *pk, struct cursor *cursor,
					const struct vif *vif, const struct node *node)
{
	const struct ipv6 *ip = take(cursor, struct ipv6);
	__u64 source[2], destination[2];
	__u32 length, hash, transport, id;

	if (!ip)
		return drop(ctx, pk, DROP_TRUNCATED);
	if ((ip->version_class_flow & bpf_htonl(0xf0000000)) != bpf_htonl(0x60000000))
		return drop(ctx, pk, DROP_INNER_VERSION);
	length = bpf_ntohs(ip->length) + sizeof(*ip);
	if (length > pk->length - sizeof(struct ethernet))
		return drop(ctx, pk, DROP_INNER_LENGTH);
	if (ipv6_group(ip->source) || ipv6_group(ip->destination) || ipv6_own(ip->source) ||
	    ipv6_own(ip->destination))
		return drop(ctx, pk, DROP_MARTIAN);
	/* of this link only (RFC 4291 §2.5.6): the kernel's, never forwarded */
	if (ipv6_link_local(ip->source) || ipv6_link_local(ip->destination))
		return punt(ctx, pk, vif,
			    is_neighbour_discovery(*cursor, ip->next_header) ? PUNT_NEIGHBOUR : PUNT_LOCAL);
	if (ip->next_header == PROTOCOL_HOP_BY_HOP)
		return punt(ctx, pk, vif, PUNT_OPTIONS);

	copy(source, ip->source, sizeof(source));
	copy(destination, ip->destination, sizeof(destination));
	hash = mix((source[0] ^ source[1] * 0x9e3779b97f4a7c15ULL) +
		   (destination[0] * 0xc2b2ae3d27d4eb4fULL ^ destination[1] * 0xff51afd7ed558ccdULL) +
		   pk->vif);
	transport = transport_ports(*cursor, ip->next_header);
	pk->entropy = entropy_port(hash ^ mix((__u64)transport * 0x9e3779b97f4a7c15ULL));
	trace_address(IP, pk, ip->hop_limit, ip->source, 16, length, ip->next_header);
	id = route6(pk, node, source, destination, hash);
	return forward(ctx, pk, vif, id, length, ip->hop_limit, TAG_IPV6, hash >> 16);
}

/* Broadcast and multicast frames: neighbour discovery has its own limit, so
 * that no flood of other groups starves it. */
static __always_inline enum punt_kind group_kind(struct cursor cursor, __be16 type)
{
	const struct ipv6 *ip;

	if (type == bpf_htons(ETHERTYPE_ARP))
		return PUNT_NEIGHBOUR;
	if (type != bpf_htons(ETHERTYPE_IPV6))
		return PUNT_GROUP;
	ip = take(&cursor, struct ipv6);
	if (ip && is_neighbour_discovery(cursor, ip->next_header))
		return PUNT_NEIGHBOUR;
	return PUNT_GROUP;
}

/* The cursor is at the frame's Ethernet header; `vif` is up; pk->vif, node, offset and length are set. */
static __always_inline int receive_at_vif(struct xdp_md *ctx, struct packet *pk, struct cursor *cursor,
					  const struct vif *vif)
{
	const struct node *node = bpf_map_lookup_elem(&nodes, &pk->node);
	const struct ethernet *ethernet;
	bool group;

	if (!node)
		return drop(ctx, pk, DROP_VIF_DOWN);
	capture_at_vif(ctx, pk, vif, RECORD_IN);

	ethernet = take(cursor, struct ethernet);
	if (!ethernet)
		return drop(ctx, pk, DROP_TRUNCATED);
	if (is_group(ethernet->source))
		return drop(ctx, pk, DROP_SOURCE_MAC);
	trace_at(MAC, pk->depth, pk->node, pk->vif, 0, 0, bpf_ntohs(ethernet->type), pk->length, 0, 0);
	group = is_group(ethernet->destination);
	if (!group && !same_mac(ethernet->destination, vif->mac))
		return drop(ctx, pk, DROP_NOT_MY_MAC);
	if (exceeds(pk, vif, pk->vif, METER_RECEIVED, pk->length))
		return refuse(ctx, pk->vif, pk->node, pk->ifindex, METER_RECEIVED);
	count_received(pk->vif, pk->length);
	if (group)
		return punt(ctx, pk, vif, group_kind(*cursor, ethernet->type));
	switch (ethernet->type) {
	case bpf_htons(ETHERTYPE_IPV4):
		return receive_ipv4(ctx, pk, cursor, vif, node);
	case bpf_htons(ETHERTYPE_IPV6):
		return receive_ipv6(ctx, pk, cursor, vif, node);
	case bpf_htons(ETHERTYPE_ARP):
		return punt(ctx, pk, vif, PUNT_NEIGHBOUR);
	default:
		return punt(ctx, pk, vif, PUNT_OTHER);
	}
}

/* From a station's cable. */
static __always_inline int receive_at_port(struct xdp_md *ctx, struct packet *pk, struct cursor *cursor)
{
	const struct vif *vif = bpf_map_lookup_elem(&vifs, &pk->vif);

	if (!vif || !(vif->flags & VIF_UP))
		return drop(ctx, pk, DROP_VIF_DOWN);
	pk->node = vif->node;
	return receive_at_vif(ctx, pk, cursor, vif);
}

/* A frame that the virtual node's own kernel sends by a vif: straight down. */
static __always_inline int send_from_kernel(struct xdp_md *ctx, struct packet *pk, struct cursor *cursor)
{
	const struct vif *vif = bpf_map_lookup_elem(&vifs, &pk->vif);
	struct tag tag = { .magic = TAG_MAGIC };
	const struct ethernet *ethernet;
	const __u64 *word;
	__u64 hash = 0;

	if (!vif)
		return drop(ctx, pk, DROP_VIF_DOWN);
	pk->node = vif->node;
	capture_at_vif(ctx, pk, vif, RECORD_OUT);
	ethernet = take(cursor, struct ethernet);
	if (!ethernet)
		return drop(ctx, pk, DROP_TRUNCATED);
	if (vif->flags & VIF_IP && ethernet->type != bpf_htons(ETHERTYPE_IPV4) &&
	    ethernet->type != bpf_htons(ETHERTYPE_IPV6))
		return drop(ctx, pk, DROP_NOT_IP);
	/* The kernel's flows are few: where the addresses of either family are
	 * is entropy enough. */
#pragma unroll
	for (int i = 0; i < 3; i++) {
		word = take(cursor, __u64);
		if (word && i)
			hash = (hash ^ *word) * 0x9e3779b97f4a7c15ULL;
	}
	tag.entropy = entropy_port(mix(hash));
	return leave_by_vif(ctx, pk, &tag, vif, pk->vif);
}

#endif
