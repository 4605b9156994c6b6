/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Only in the test build: one packet's whole way through this machine as one
 * program, for repeated test runs. Those hand the same buffer to every run, so
 * each run ends by making the frame again what it was; `bench_restore` alone
 * tells what that costs, `bench_swap` what the least program costs.
 */
#ifndef CABERNET_BENCH_H
#define CABERNET_BENCH_H

#define BENCH_FRAME 128
#define BENCH_TARGETS 16384

struct bench_frame {
	__u8 bytes[BENCH_FRAME];
};

/* Destinations in turn; the header checksum that goes with each. */
struct bench_target {
	__be32 destination;
	__be16 checksum;
	__u16 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bench_frame);
} bench_frames SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BENCH_TARGETS);
	__type(key, __u32);
	__type(value, struct bench_target);
} bench_targets SEC(".maps");

volatile __u32 bench_targets_used = 0; /* 0: the frame's own destination */
volatile __s32 bench_delta = 0;        /* bytes the frame grows by on its way */
volatile __u32 bench_turn = 0;

static __always_inline int bench_again(struct xdp_md *ctx, __u32 size, bool rotate)
{
	struct bench_frame *frame;
	struct bench_target *target;
	struct cursor cursor;
	struct ipv4 *ip;
	__u32 key = 0;
	void *bytes;

	frame = bpf_map_lookup_elem(&bench_frames, &key);
	cursor = cursor_at(ctx);
	bytes = take_bytes(&cursor, size);
	if (!frame || !bytes)
		return XDP_ABORTED;
	copy(bytes, frame->bytes, size);
	if (!rotate || !bench_targets_used)
		return XDP_TX;
	key = bench_turn;
	bench_turn = key + 1 < bench_targets_used ? key + 1 : 0;
	target = bpf_map_lookup_elem(&bench_targets, &key);
	cursor = cursor_at(ctx);
	if (!target || !take_bytes(&cursor, sizeof(struct ethernet)))
		return XDP_ABORTED;
	ip = take(&cursor, struct ipv4);
	if (!ip)
		return XDP_ABORTED;
	ip->destination = target->destination;
	ip->checksum = target->checksum;
	return XDP_TX;
}

static __always_inline int bench_round(struct xdp_md *ctx, __u32 size, bool rotate)
{
	int action = enter(ctx, false);

	if (action != XDP_REDIRECT)
		return XDP_ABORTED;
	if (egress(ctx, 0) != XDP_PASS)
		return XDP_DROP;
	if (bench_delta && bpf_xdp_adjust_head(ctx, bench_delta) < 0)
		return XDP_ABORTED;
	return bench_again(ctx, size, rotate);
}

/* A station's frame of 60 bytes or more. */
SEC_XDP
int bench_encapsulate(struct xdp_md *ctx)
{
	return bench_round(ctx, 48, true);
}

/* An encapsulated frame of 112 bytes or more. */
SEC_XDP
int bench_labelled(struct xdp_md *ctx)
{
	return bench_round(ctx, 112, false);
}

SEC_XDP
int bench_restore(struct xdp_md *ctx)
{
	if (bpf_xdp_adjust_head(ctx, -bench_delta) < 0 || bpf_xdp_adjust_head(ctx, bench_delta) < 0)
		return XDP_ABORTED;
	return bench_again(ctx, 48, true);
}

SEC_XDP
int bench_swap(struct xdp_md *ctx)
{
	struct cursor cursor = cursor_at(ctx);
	struct ethernet *ethernet = take(&cursor, struct ethernet);
	__u8 mac[6];

	if (!ethernet)
		return XDP_ABORTED;
	copy(mac, ethernet->source, 6);
	copy(ethernet->source, ethernet->destination, 6);
	copy(ethernet->destination, mac, 6);
	return XDP_TX;
}

/* ---- live: a generator, the least that forwards, a sink ---- */

/* Ethernet and IPv4 of the frame to be sent: as cheap as can be, for the
 * generator is part of every figure. */
#define BENCH_HEAD 48
__u8 bench_head[BENCH_HEAD] __attribute__((aligned(8))) = {};
__u64 bench_sunk = 0; /* all runs on one core */

/* The headers anew: live frames come back with the bytes of their last journey. */
SEC_XDP
int bench_generate(struct xdp_md *ctx)
{
	struct cursor cursor = cursor_at(ctx);
	void *bytes = take_bytes(&cursor, BENCH_HEAD);

	if (!bytes)
		return XDP_ABORTED;
	copy(bytes, bench_head, BENCH_HEAD);
	return XDP_TX;
}

/* Entries without a program. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} bench_devices SEC(".maps");

SEC_XDP
int bench_redirect(struct xdp_md *ctx)
{
	(void)ctx;
	return bpf_redirect_map(&bench_devices, 0, 0);
}

SEC_XDP
int bench_sink(struct xdp_md *ctx)
{
	(void)ctx;
	bench_sunk++;
	return XDP_DROP;
}

#endif
