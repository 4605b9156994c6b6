/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Headers on the wire, and the one cursor that walks them: take() checks the
 * bounds once, moves on and returns the header. Nobody else does pointer
 * arithmetic on packets. Fields of headers are in wire (big-endian) order.
 */
#ifndef CABERNET_WIRE_H
#define CABERNET_WIRE_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "limits.h"

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_ARP 0x0806
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_MPLS 0x8847
#define ETHERTYPE_PROVIDER_VLAN 0x88a8

#define PROTOCOL_HOP_BY_HOP 0
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17
#define PROTOCOL_ICMPV6 58

struct ethernet {
	__u8 destination[6];
	__u8 source[6];
	__be16 type;
} __attribute__((packed));

struct vlan {
	__be16 tci;
	__be16 type;
};

#define VLAN_ID 0xfff
#define NO_VLAN 0x1000 /* of tags that make no VLAN of ours: no frame's own number */

struct ipv4 {
	__u8 version_ihl;
	__u8 tos;
	__be16 length;
	__be16 id;
	__be16 fragment; /* flags and offset */
	__u8 ttl;
	__u8 protocol;
	__be16 checksum;
	__be32 source;
	__be32 destination;
};

#define ETHERNET_BYTES ((__u32)sizeof(struct ethernet))

#define IPV4_OFFSET_OR_MORE 0x3fff
#define IPV4_OFFSET 0x1fff

struct ipv6 {
	__be32 version_class_flow;
	__be16 length; /* of what follows */
	__u8 next_header;
	__u8 hop_limit;
	__be32 source[4];
	__be32 destination[4];
};

struct udp {
	__be16 source;
	__be16 destination;
	__be16 length;
	__be16 checksum;
};

/* RFC 3032 */
struct label_entry {
	__be32 word;
};

static __always_inline __u32 entry_label(__u32 word)
{
	return word >> 12;
}

static __always_inline bool entry_bottom(__u32 word)
{
	return word & 0x100;
}

static __always_inline __u32 entry_ttl(__u32 word)
{
	return word & 0xff;
}

static __always_inline __be32 entry_word(__u32 label, bool bottom, __u32 ttl)
{
	return bpf_htonl(label << 12 | (bottom ? 0x100 : 0) | ttl);
}

/* Of the traffic class (RFC 5462): the colour of a packet that is measured. All of it goes through a swap. */
#define ENTRY_CLASS 0xe00u
#define ENTRY_COLOUR_SHIFT 9

/* RFC 8964: nibble 0 and a sequence number; RFC 5586: nibble 1, a channel. */
struct control_word {
	__be32 word;
};

struct cursor {
	void *pos;
	void *end;
	__u32 offset; /* of pos in the frame: differences of pointers are 64 bits wide, which compilers forget */
};

static __always_inline void *take_bytes(struct cursor *cursor, __u32 size)
{
	void *header = cursor->pos;

	if (header + size > cursor->end)
		return NULL;
	cursor->pos = header + size;
	cursor->offset += size;
	return header;
}

#define take(cursor, type) ((type *)take_bytes(cursor, sizeof(type)))

/* A look without moving. */
#define peek(cursor, type) ((cursor)->pos + sizeof(type) <= (cursor)->end ? (type *)(cursor)->pos : NULL)

/* Back over `size` bytes (a constant) of headers that were taken. */
static __always_inline void *retreat(struct cursor *cursor, const __u32 size)
{
	cursor->pos -= size;
	cursor->offset -= size;
	return cursor->pos;
}

static __always_inline struct cursor cursor_at(struct xdp_md *ctx)
{
	struct cursor cursor = {
		.pos = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
		.offset = 0,
	};

	return cursor;
}

/*
 * Two builds: frames in one buffer, and, with CABERNET_JUMBO, frames in
 * several ("frags"). Headers are in the first buffer either way; what is
 * behind, a cursor does not reach. All programs that share a device table are
 * of one build, or the kernel refuses the second.
 */
#ifdef CABERNET_JUMBO
#define JUMBO true
#define SEC_XDP SEC("xdp.frags")
#define SEC_XDP_DEVMAP SEC("xdp.frags/devmap")

static __always_inline __u32 frame_length(struct xdp_md *ctx)
{
	return bpf_xdp_get_buff_len(ctx);
}
#else
#define JUMBO false
#define SEC_XDP SEC("xdp")
#define SEC_XDP_DEVMAP SEC("xdp/devmap")

static __always_inline __u32 frame_length(struct xdp_md *ctx)
{
	return ctx->data_end - ctx->data;
}
#endif

/*
 * Copies `size` bytes (a constant, even) by words: what is only aligned to
 * bytes __builtin_memcpy would copy byte by byte, at twice the cost of the
 * whole egress program. Packets may be read unaligned wherever the kernel has
 * a BPF JIT worth using.
 */
static __always_inline void copy(void *to, const void *from, const __u32 size)
{
	__u32 i = 0;

#pragma unroll
	for (; i + 8 <= size; i += 8)
		*(__u64 *)(to + i) = *(const __u64 *)(from + i);
	if (size & 4) {
		*(__u32 *)(to + i) = *(const __u32 *)(from + i);
		i += 4;
	}
	if (size & 2)
		*(__u16 *)(to + i) = *(const __u16 *)(from + i);
}

/*
 * The cursor where it is, at an offset the verifier knows only to be a byte's:
 * what follows is then one state for it, not one for each stack of headers
 * that may have led here. The word it is mixed with cancels out.
 */
static __always_inline bool forget_place(struct xdp_md *ctx, struct cursor *cursor)
{
	__u32 unknown = ctx->rx_queue_index;
	__u32 offset = cursor->offset ^ unknown;

	asm volatile("" : "+r"(offset));
	offset = (offset ^ unknown) & 0xff;
	*cursor = cursor_at(ctx);
	cursor->pos += offset;
	cursor->offset = offset;
	return cursor->pos <= cursor->end;
}

/* ---- one's-complement sums (RFC 1071) ---- */

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Over the 20 bytes of a header without options: 0xffff if it is right. */
static __always_inline __u16 ipv4_header_sum(const struct ipv4 *ip)
{
	const __u32 *w = (const __u32 *)ip;

	return fold((__u64)w[0] + w[1] + w[2] + w[3] + w[4]);
}

/* RFC 1624: one 16-bit word of the header falls by 0x0100 (a TTL in wire order). */
static __always_inline void ipv4_decrement_ttl(struct ipv4 *ip)
{
	__u32 sum = ip->checksum;

	sum += bpf_htons(0x0100);
	ip->checksum = (__u16)(sum + (sum >= 0xffff));
	ip->ttl--;
}

/* ---- hashes ---- */

static __always_inline __u32 mix(__u64 x)
{
	x ^= x >> 32;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 32;
	return x;
}

static __always_inline bool is_group(const __u8 *mac)
{
	return mac[0] & 1;
}

static __always_inline bool same_mac(const __u8 *a, const __u8 *b)
{
	const __u16 *x = (const __u16 *)a, *y = (const __u16 *)b;

	return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]));
}

#endif
