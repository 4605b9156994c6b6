// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Where the numbered frames of native-tools/paced arrive: how often each has
 * come. For benchmarks, no part of the data plane: the frames are those of a
 * station, UDP in IPv4 to the discard port, with the number right behind.
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Ten seconds at 100 000 a second. */
#define NUMBERS (1u << 20)

struct numbered {
	__u8 ethernet[12];
	__be16 type;
	__u8 version;
	__u8 ip[8];
	__u8 protocol;
	__u8 sum_and_addresses[10];
	__be16 from;
	__be16 to;
	__be32 rest;
	__be32 number;
} __attribute__((packed));

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, NUMBERS);
	__type(key, __u32);
	__type(value, __u32);
} numbered_seen SEC(".maps");

/* Whatever their numbers. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} numbered_total SEC(".maps");

SEC("xdp")
int numbered(struct xdp_md *ctx)
{
	const struct numbered *frame = (void *)(long)ctx->data;
	__u32 number, zero = 0, *seen;
	__u64 *total;

	if ((void *)(frame + 1) > (void *)(long)ctx->data_end)
		return XDP_PASS;
	if (frame->type != bpf_htons(0x0800) || frame->version != 0x45 || frame->protocol != 17 ||
	    frame->to != bpf_htons(9))
		return XDP_PASS;
	number = bpf_ntohl(frame->number);
	seen = bpf_map_lookup_elem(&numbered_seen, &number);
	if (seen)
		__sync_fetch_and_add(seen, 1);
	total = bpf_map_lookup_elem(&numbered_total, &zero);
	if (total)
		__sync_fetch_and_add(total, 1);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
