/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * BFD of one hop, the receiving half. Over UDP (RFC 5881): what arrives from a
 * neighbour that one of our sessions watches is its session's, and only if it
 * is of a neighbour and no further away (TTL 255, RFC 5881 §5). All else is
 * the machine's kernel's, on which another BFD speaker may run. On a wire
 * without IP: in the wire's own channel (RFC 5586 §4.2.1).
 *
 * The source port is not looked at: RFC 5881 §4 binds who sends to the dynamic
 * ports, and speakers there are that do not keep to it.
 */
#ifndef CABERNET_PEERS_H
#define CABERNET_PEERS_H

#include "receive-channel.h"

#define NO_PEER -1

#define GENERALIZED_TTL 255 /* RFC 5082: no router has passed it on */

/* The headers of a packet that may be a peer's. */
struct peer_packet {
	struct peer_key key;
	__u32 offset; /* of UDP */
	__u32 length; /* of UDP, as IP has it */
	__u32 pseudo; /* sum of the addresses */
	bool fit;     /* IP is as it has to be */
};

/* False: the kernel's to judge. */
static __always_inline bool read_ipv4(struct xdp_md *ctx, __u32 offset, struct peer_packet *p)
{
	struct ipv4 ip;
	__u32 header;

	if (bpf_xdp_load_bytes(ctx, offset, &ip, sizeof(ip)) < 0)
		return false;
	header = (ip.version_ihl & 15) * 4;
	if (ip.version_ihl >> 4 != 4 || header < sizeof(ip) || ip.protocol != PROTOCOL_UDP ||
	    ip.fragment & bpf_htons(IPV4_OFFSET))
		return false;
	p->key.family = 4;
	__builtin_memcpy(p->key.remote, &ip.source, 4);
	__builtin_memcpy(p->key.local, &ip.destination, 4);
	p->offset = offset + header;
	p->length = bpf_ntohs(ip.length) - header;
	p->pseudo = fold((__u64)ip.source + ip.destination);
	p->fit = header == sizeof(ip) && !(ip.fragment & bpf_htons(IPV4_OFFSET_OR_MORE)) &&
		 ip.ttl == GENERALIZED_TTL && ipv4_header_sum(&ip) == 0xffff;
	return true;
}

static __always_inline bool read_ipv6(struct xdp_md *ctx, __u32 offset, struct peer_packet *p)
{
	struct ipv6 ip;
	__u64 sum = 0;

	if (bpf_xdp_load_bytes(ctx, offset, &ip, sizeof(ip)) < 0 || ip.next_header != PROTOCOL_UDP)
		return false;
	p->key.family = 6;
	__builtin_memcpy(p->key.remote, ip.source, 16);
	__builtin_memcpy(p->key.local, ip.destination, 16);
	p->offset = offset + sizeof(ip);
	p->length = bpf_ntohs(ip.length);
#pragma unroll
	for (int i = 0; i < 4; i++)
		sum += (__u64)ip.source[i] + ip.destination[i];
	p->pseudo = fold(sum);
	p->fit = ip.hop_limit == GENERALIZED_TTL;
	return true;
}

/* The session of the neighbour that this is from; 0: none of ours. */
static __always_inline __u32 peer_session(const struct peer_key *key)
{
	const __u32 *found = bpf_map_lookup_elem(&peer_ends, key);
	const struct session *session;
	const struct peer *peer;
	__u32 id;

	if (!found)
		return 0;
	id = *found;
	session = bpf_map_lookup_elem(&sessions, &id);
	peer = bpf_map_lookup_elem(&peers, &id);
	/* the element may serve another session while we read it: its record says whose it is */
	if (!session || !session->discriminator || !peer || peer->ifindex != key->ifindex ||
	    peer->vlan != key->vlan || peer->family != key->family)
		return 0;
	/* the key's addresses are on 4 bytes only */
	for (int i = 0; i < 16; i++) {
		if (peer->local[i] != key->local[i] || peer->remote[i] != key->remote[i])
			return 0;
	}
	return id;
}

struct udp_control {
	struct udp udp;
	struct bfd_control control;
};

/*
 * What the headers below BFD have to be. Without authentication, which no
 * session here uses, nothing follows the control packet.
 */
static __always_inline bool carries_control(struct xdp_md *ctx, const struct peer_packet *p)
{
	struct udp_control packet;
	__s64 sum;

	if (!p->fit || p->length != sizeof(packet) ||
	    bpf_xdp_load_bytes(ctx, p->offset, &packet, sizeof(packet)) < 0 ||
	    packet.udp.length != bpf_htons(sizeof(packet)) || packet.control.length > sizeof(packet.control))
		return false;
	/* RFC 8200 §8.1: over IPv6 there is a checksum */
	if (!packet.udp.checksum)
		return p->key.family == 4;
	sum = p->pseudo + bpf_htons(PROTOCOL_UDP) + packet.udp.length;
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&packet, sizeof(packet), sum);
	return sum >= 0 && fold(sum) == 0xffff;
}

static __always_inline void count_misfit(__u32 id)
{
	struct session_heard *heard = bpf_map_lookup_elem(&sessions_heard, &id);

	if (heard)
		__sync_fetch_and_add(&heard->refused, 1);
}

/*
 * An IP packet, at `offset`, that no tunnel knows. A global function, verified
 * by itself: none of this is on a data packet's way. Returns a reason to drop;
 * DROP_NONE: it has been heard; NO_PEER: it is the kernel's.
 */
__noinline int receive_from_peer(struct xdp_md *ctx, __u32 offset, __u32 type, __u32 vlan)
{
	struct peer_packet p = { .key = { .ifindex = arrival_interface(ctx), .vlan = vlan } };
	struct udp udp;
	__u32 id;

	offset &= 0xff;
	if (!(type == ETHERTYPE_IPV4 ? read_ipv4(ctx, offset, &p) : read_ipv6(ctx, offset, &p)) ||
	    bpf_xdp_load_bytes(ctx, p.offset, &udp, sizeof(udp)) < 0 ||
	    udp.destination != bpf_htons(UDP_PORT_BFD))
		return NO_PEER;
	id = peer_session(&p.key);
	if (!id)
		return NO_PEER;
	trace_at(CHANNEL, 0, 0, 0, 0, id, 0, CHANNEL_BFD, 0, 0);
	if (TRACING)
		return DROP_NONE;
	if (!carries_control(ctx, &p)) {
		count_misfit(id);
		return DROP_SESSION_PACKET;
	}
	return receive_bfd(ctx, p.offset + sizeof(udp), id);
}

struct section_begin {
	struct label_entry entry;
	struct control_word word;
};

/*
 * Below the label of a wire's own channel, at `offset`; the wire and its
 * neighbour's address have been looked at (lsp.h). A global function, verified
 * by itself. Returns a reason to drop; DROP_NONE: it has been heard.
 */
__noinline int receive_from_section(struct xdp_md *ctx, __u32 offset, __u32 vlan)
{
	struct peer_key key = { .ifindex = arrival_interface(ctx), .vlan = vlan };
	struct section_begin begin;
	__u32 id, word;

	offset &= 0xff;
	if (bpf_xdp_load_bytes(ctx, offset, &begin, sizeof(begin)) < 0)
		return DROP_TRUNCATED;
	/* what is reserved is ignored (RFC 5586 §2.1) */
	word = bpf_ntohl(begin.word.word);
	if ((word & (0xf0000000 | CHANNEL_VERSION | CHANNEL_TYPE)) != (CHANNEL_HEADER | CHANNEL_BFD))
		return DROP_CHANNEL_UNKNOWN;
	id = peer_session(&key);
	if (!id)
		return DROP_CHANNEL_UNKNOWN;
	trace_at(CHANNEL, 0, 0, 0, 0, id, 0, CHANNEL_BFD, 0, 0);
	if (TRACING)
		return DROP_NONE;
	return receive_control(ctx, offset + sizeof(begin), id);
}

#endif
