// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * The middle of a testbed's wire: two interfaces of which each sends on what the
 * other receives. On the way frames may be lost, by chance that a seed repeats;
 * and those of a wire with a delay or a rate are left to the process wire-relay,
 * which reads them as packets of the interface. No part of the data plane.
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

/* Frames in one direction; src/world/middle.ts has the same layout. */
struct impaired {
	__u64 seed;
	__u64 loss;    /* of 2^32; all are lost from there on */
	__u64 packets; /* so far, lost ones too */
	__u64 lost;
	__u32 held; /* wire-relay sends them on */
	__u32 unused;
};

/* By the interface that a frame arrives on. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, __u32);
} relay_peers SEC(".maps");

/* Likewise; an interface of an unimpaired wire is not in it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct impaired);
} relay_impaired SEC(".maps");

/* The n-th number of a sequence: SplitMix64, Steele, Lea and Flood 2014. */
static __always_inline __u64 nth_random(__u64 seed, __u64 n)
{
	__u64 z = seed + (n + 1) * 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

SEC("xdp.frags")
int relay(struct xdp_md *ctx)
{
	__u32 ifindex = ctx->ingress_ifindex;
	struct impaired *impaired = bpf_map_lookup_elem(&relay_impaired, &ifindex);

	if (impaired) {
		__u64 n = __sync_fetch_and_add(&impaired->packets, 1);

		if (nth_random(impaired->seed, n) >> 32 < impaired->loss) {
			__sync_fetch_and_add(&impaired->lost, 1);
			return XDP_DROP;
		}
		if (impaired->held)
			return XDP_PASS;
	}
	return bpf_redirect_map(&relay_peers, ifindex, XDP_DROP);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
