/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * A frame has arrived from a wire. What is MPLS-in-UDP for this machine is
 * ours: its outer header names the tunnel, the tunnel is the context of the
 * first label. So is what bears labels without IP on a port or VLAN that is
 * one of our wires (lsp.h). Everything else is the machine's own and goes to
 * its kernel.
 */
#ifndef CABERNET_INFRASTRUCTURE_H
#define CABERNET_INFRASTRUCTURE_H

#include "checksum.h"
#include "lsp.h"
#include "peers.h"

/* The source port is the flow's entropy: it is handed on at a swap. */
static __always_inline enum drop_reason take_udp(struct xdp_md *ctx, struct packet *pk, struct cursor *cursor,
						 const struct tunnel *tunnel, __u32 ip_payload, __u32 pseudo)
{
	const struct udp *udp = take(cursor, struct udp);
	__u32 length, offset;

	if (!udp)
		return DROP_TRUNCATED;
	length = bpf_ntohs(udp->length);
	if (length < sizeof(*udp) || length != ip_payload ||
	    length - sizeof(*udp) > pk->size - cursor->offset)
		return DROP_OUTER_LENGTH;
	pk->entropy = bpf_ntohs(udp->source);
	if (!udp->checksum)
		return tunnel->flags & TUNNEL_CHECKSUM ? DROP_CHECKSUM_MISSING : DROP_NONE;

	offset = cursor->offset - sizeof(*udp);
	if (checksum_bytes(ctx, offset, length, pseudo + bpf_htons(PROTOCOL_UDP) + udp->length) != 0xffff)
		return DROP_OUTER_CHECKSUM;
	return DROP_NONE;
}

static __always_inline bool is_mpls_in_udp(struct cursor cursor)
{
	const struct udp *udp = peek(&cursor, struct udp);

	return udp && udp->destination == bpf_htons(UDP_PORT_MPLS);
}

static __always_inline enum drop_reason check_tunnel(const struct packet *pk, const struct tunnel *tunnel)
{
	if (tunnel->arrival && tunnel->arrival != pk->ifindex)
		return DROP_WRONG_INTERFACE;
	return DROP_NONE;
}

static __always_inline struct arrival arrive_ipv4(struct xdp_md *ctx, struct packet *pk,
						  struct cursor *cursor)
{
	const struct ipv4 *ip = take(cursor, struct ipv4);
	struct arrival arrival = {};
	const struct tunnel_slot4 *end;
	const struct tunnel *tunnel;
	__u32 length, id;

	/* short or not UDP: the kernel's to judge */
	if (!ip || ip->protocol != PROTOCOL_UDP || ip->version_ihl >> 4 != 4)
		return arrival;
	if (ip->version_ihl != 0x45) {
		__u8 options = ((ip->version_ihl & 15) - 5) * 4;

		if (options > 40 || !take_bytes(cursor, options) || !is_mpls_in_udp(*cursor))
			return arrival;
		if (tunnel_end4(0, ip->destination))
			arrival.reason = DROP_OUTER_OPTIONS;
		return arrival;
	}
	/* later fragments name no port: without the first, the kernel gives up on them */
	if (ip->fragment & bpf_htons(IPV4_OFFSET) || !is_mpls_in_udp(*cursor))
		return arrival;

	end = tunnel_end4(ip->source, ip->destination);
	if (!end) {
		if (tunnel_end4(0, ip->destination))
			arrival.reason = DROP_TUNNEL_UNKNOWN;
		return arrival;
	}
	id = end->tunnel;
	arrival.context = CONTEXT_TUNNEL | id;
	tunnel = bpf_map_lookup_elem(&tunnels, &id);
	/* the slot may serve another pair while we read it (an element of the
	 * IPv6 table likewise): only the tunnel's record says whose it is */
	if (!tunnel || tunnel->family != 4 || *(__u32 *)tunnel->remote != ip->source ||
	    *(__u32 *)tunnel->local != ip->destination) {
		arrival.reason = DROP_TUNNEL_UNKNOWN;
		return arrival;
	}
	length = bpf_ntohs(ip->length);
	if (ip->fragment & bpf_htons(IPV4_OFFSET_OR_MORE))
		arrival.reason = DROP_OUTER_FRAGMENT;
	else if (length < sizeof(*ip))
		arrival.reason = DROP_OUTER_LENGTH;
	else if (ipv4_header_sum(ip) != 0xffff)
		arrival.reason = DROP_OUTER_CHECKSUM;
	else
		arrival.reason = check_tunnel(pk, tunnel);
	if (arrival.reason == DROP_NONE)
		arrival.reason = take_udp(ctx, pk, cursor, tunnel, length - sizeof(*ip),
					  fold((__u64)ip->source + ip->destination));
	return arrival;
}

static __always_inline struct arrival arrive_ipv6(struct xdp_md *ctx, struct packet *pk,
						  struct cursor *cursor)
{
	const struct ipv6 *ip = take(cursor, struct ipv6);
	struct arrival arrival = {};
	struct tunnel_key6 key;
	const struct tunnel *tunnel;
	const __u32 *id;
	__u64 sum = 0;

	/* no extension headers: we never send one */
	if (!ip || ip->next_header != PROTOCOL_UDP || !is_mpls_in_udp(*cursor))
		return arrival;
	copy(key.remote, ip->source, 16);
	copy(key.local, ip->destination, 16);
	id = bpf_map_lookup_elem(&tunnel_ends6, &key);
	if (!id) {
		__builtin_memset(key.remote, 0, 16);
		if (bpf_map_lookup_elem(&tunnel_ends6, &key))
			arrival.reason = DROP_TUNNEL_UNKNOWN;
		return arrival;
	}
	arrival.context = CONTEXT_TUNNEL | *id;
	tunnel = bpf_map_lookup_elem(&tunnels, id);
	if (!tunnel || tunnel->family != 6) {
		arrival.reason = DROP_TUNNEL_UNKNOWN;
		return arrival;
	}
#pragma unroll
	for (int i = 0; i < 4; i++) {
		__u32 s = ip->source[i], d = ip->destination[i];

		if (((__u32 *)tunnel->remote)[i] != s || ((__u32 *)tunnel->local)[i] != d) {
			arrival.reason = DROP_TUNNEL_UNKNOWN;
			return arrival;
		}
		sum += (__u64)s + d;
	}
	arrival.reason = check_tunnel(pk, tunnel);
	if (arrival.reason == DROP_NONE)
		arrival.reason = take_udp(ctx, pk, cursor, tunnel, bpf_ntohs(ip->length), fold(sum));
	return arrival;
}

static __always_inline int receive_from_wire(struct xdp_md *ctx, struct packet *pk, struct cursor *cursor)
{
	const struct ethernet *ethernet = take(cursor, struct ethernet);
	struct arrival arrival;
	const struct vlan *vlan;
	bool stacked = false;
	__u32 vid = 0, offset;
	int reason = NO_PEER;
	__be16 type;

	if (!ethernet)
		return drop(ctx, pk, DROP_TRUNCATED);
	type = ethernet->type;
	/* one tag: to tunnels, whichever, since the addresses are the credential; to a wire, its own 802.1Q */
	if (type == bpf_htons(ETHERTYPE_VLAN) || type == bpf_htons(ETHERTYPE_PROVIDER_VLAN)) {
		vlan = take(cursor, struct vlan);
		if (!vlan)
			return XDP_PASS;
		vid = type == bpf_htons(ETHERTYPE_VLAN) ? bpf_ntohs(vlan->tci) & VLAN_ID : NO_VLAN;
		type = vlan->type;
		if (type == bpf_htons(ETHERTYPE_VLAN)) {
			vlan = take(cursor, struct vlan);
			if (!vlan)
				return XDP_PASS;
			type = vlan->type;
			stacked = true;
			vid = NO_VLAN;
		}
	}
	offset = cursor->offset;
	if (type == bpf_htons(ETHERTYPE_IPV4))
		arrival = arrive_ipv4(ctx, pk, cursor);
	else if (type == bpf_htons(ETHERTYPE_IPV6))
		arrival = arrive_ipv6(ctx, pk, cursor);
	else if (type == bpf_htons(ETHERTYPE_MPLS))
		arrival = arrive_labelled(pk, cursor, ethernet, vid);
	else
		return XDP_PASS;

	if (!arrival.context && arrival.reason == DROP_NONE) {
		if (type != bpf_htons(ETHERTYPE_MPLS) && !stacked)
			reason = receive_from_peer(ctx, offset, bpf_ntohs(type), vid);
		if (reason == DROP_NONE)
			return XDP_DROP; /* for us: it ends here */
		if (reason != NO_PEER)
			return drop(ctx, pk, reason);
		trace(PASS, pk, 0, 0, bpf_ntohs(type), 0, 0, 0);
		return XDP_PASS;
	}
	if (stacked)
		return drop(ctx, pk, DROP_VLAN_STACKED);
	if (arrival.reason != DROP_NONE)
		return drop(ctx, pk, arrival.reason);
	if (arrival.own == OWN_SECTION) {
		reason = receive_from_section(ctx, offset, vid);
		return reason == DROP_NONE ? XDP_DROP : drop(ctx, pk, reason); /* for us: it ends here */
	}
	if (arrival.context & CONTEXT_TUNNEL)
		trace(TUNNEL, pk, -(int)cursor->offset, arrival.context & ~CONTEXT_TUNNEL, 0, 0, 0, 0);
	return climb(ctx, pk, cursor, arrival.context, arrival.own);
}

#endif
