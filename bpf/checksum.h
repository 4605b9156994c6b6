/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The UDP checksum over a whole packet (RFC 768, RFC 8200 §8.1), for tunnels
 * that ask for one. Linear in the packet's length: some 5 ns per 64 bytes.
 */
#ifndef CABERNET_CHECKSUM_H
#define CABERNET_CHECKSUM_H

#include "wire.h"

#define CHECKSUM_STEP 64
#define CHECKSUM_STEPS (MAX_FRAME / CHECKSUM_STEP)

struct checksum_walk {
	struct xdp_md *ctx;
	__u32 offset;
	__s32 left;
	__s64 sum; /* negative: failed */
};

static long checksum_step(__u32 i, void *data)
{
	struct checksum_walk *walk = data;
	__u32 buffer[CHECKSUM_STEP / 4] = {};
	__s32 n = walk->left;

	(void)i;
	/* signed, for the verifier of 6.1: of an unsigned number that is not 0 it
	 * does not learn that it is at least 1 */
	if (n <= 0)
		return 1;
	if (n > CHECKSUM_STEP)
		n = CHECKSUM_STEP;
	if (bpf_xdp_load_bytes(walk->ctx, walk->offset, buffer, n) < 0) {
		walk->sum = -1;
		return 1;
	}
	walk->sum = bpf_csum_diff(NULL, 0, buffer, sizeof(buffer), walk->sum);
	if (walk->sum < 0)
		return 1;
	walk->offset += n;
	walk->left -= n;
	return 0;
}

/*
 * Adds `length` bytes at `offset` of the frame to `seed`. A right packet gives
 * 0xffff with its checksum counted in; a packet to be sent gives, with the
 * field zero, the complement of what the field must be. Negative: the bytes
 * are not there.
 */
static __noinline long checksum_bytes(struct xdp_md *ctx, __u32 offset, __u32 length, __u32 seed)
{
	struct checksum_walk walk = {
		.ctx = ctx,
		.offset = offset,
		.left = length,
		.sum = seed,
	};

	bpf_loop(CHECKSUM_STEPS, checksum_step, &walk, 0);
	if (walk.sum < 0 || walk.left)
		return -1;
	return fold(walk.sum);
}

#endif
