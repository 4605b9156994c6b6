/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What is sold is held: a vif may have two meters, of what its virtual node
 * sends by it and of what arrives for it, each in bits and in packets. What
 * exceeds is dropped; there is no queue.
 *
 * A meter is a token bucket, kept as the time at which its next byte or packet
 * would be due if all so far had come at the rate (GCRA by virtual scheduling,
 * ITU-T I.371). A frame that costs `cost` is admitted while
 *
 *	max(due, now) + cost <= now + burst * cost of one
 *
 * and then due = max(due, now) + cost: in any time t at most burst + rate * t.
 * One word is the whole state, so that one compare-and-swap, without a lock,
 * keeps it exact for all CPUs together.
 *
 * Times are in ticks of 1/64 ns, modulo 2^64 (9 years). Costs are rounded down
 * to ticks: 400 Gbit/s in frames of 64 bytes are 1 % more than sold, 10 Gbit/s
 * 0.03 %. A byte costs mult >> shift ticks, both in one word, so that a change
 * of rate is one store: no division, and never a mult with another's shift.
 *
 * Bounds that user space keeps: a burst lasts at most 2^46 ticks (18 minutes)
 * at its rate, holds the vif's largest frame, and both are below 2^32; mult is
 * below 2^32 and shift below 32. So no product here overflows.
 */
#ifndef CABERNET_POLICE_H
#define CABERNET_POLICE_H

#include "record.h"

/*
 * Due times further ahead than this are not ahead but past: of a meter that
 * was idle. CPUs that lose METER_TRIES races each put a meter one frame beyond
 * its burst: 2^46 ticks for each of 2^10 CPUs.
 */
#define METER_HORIZON (1ULL << 56)

/* Each lost race is a frame that another CPU was admitted. */
#define METER_TRIES 4

#ifdef CABERNET_TEST
volatile __u64 test_clock = 0; /* ns; 0: the kernel's */
#endif

static __always_inline __u64 meter_clock(void)
{
#ifdef CABERNET_TEST
	if (test_clock)
		return test_clock << METER_TICKS_SHIFT;
#endif
	return bpf_ktime_get_ns() << METER_TICKS_SHIFT;
}

/* Moves `due` on by `cost`, if that is at most `depth` ahead of now. */
static __always_inline bool charge(__u64 *due, __u64 now, __u64 cost, __u64 depth)
{
	__u64 seen = *(volatile __u64 *)due, expected, ahead;

#pragma unroll
	for (int i = 0; i < METER_TRIES; i++) {
		expected = seen;
		ahead = expected - now;
		if (ahead > METER_HORIZON)
			ahead = 0;
		if (ahead + cost > depth) {
			/* no burst of this rate leads there, but that of an earlier one: empty, no worse */
			if (ahead > depth)
				__sync_val_compare_and_swap(due, expected, now + depth);
			return false;
		}
		seen = __sync_val_compare_and_swap(due, expected, now + ahead + cost);
		if (seen == expected)
			return true;
	}
	/* charged all the same: a CPU is one frame ahead of the burst, the rate holds */
	__sync_fetch_and_add(due, cost);
	return true;
}

/*
 * A global function: verified once, by itself, whatever calls it. Packets
 * first; where the bytes do not fit, the packet is given back.
 */
__noinline int meter_admits(__u32 id, __u32 bytes, __u64 now)
{
	struct meter *meter = bpf_map_lookup_elem(&meters, &id);
	__u64 packet, word, mult, shift;

	if (!meter)
		return true;
	packet = *(volatile __u64 *)&meter->packet_cost;
	word = *(volatile __u64 *)&meter->byte_cost;
	if (packet && !charge(&meter->packet_due, now, packet, meter->burst_packets * packet))
		return false;
	if (!word)
		return true;
	mult = word & 0xffffffff;
	shift = word >> 32 & 31;
	if (charge(&meter->byte_due, now, bytes * mult >> shift, meter->burst_bytes * mult >> shift))
		return true;
	if (packet)
		__sync_fetch_and_add(&meter->packet_due, -packet);
	return false;
}

static __always_inline void count_refused(__u32 vif, enum meter_direction direction)
{
	struct vif_counters *counters = bpf_map_lookup_elem(&vif_counters, &vif);

	if (counters && direction == METER_SENT)
		counters->sent_refused++;
	else if (counters)
		counters->received_refused++;
}

static __noinline int refuse(struct xdp_md *ctx, __u32 vif, __u32 node, __u32 ifindex,
			     enum meter_direction direction)
{
	count_refused(vif, direction);
	return drop_frame(ctx, direction == METER_SENT ? DROP_SENT_RATE : DROP_RECEIVED_RATE, node, vif,
			  ifindex);
}

/*
 * Whether a frame of `bytes` exceeds what the vif was sold in this direction:
 * refuse() it then, on the account of the node whose vif it is. A vif without
 * meters costs the test of one flag. All meters of a frame have one time.
 */
static __always_inline bool exceeds(struct packet *pk, const struct vif *vif, __u32 vif_id,
				    enum meter_direction direction, __u32 bytes)
{
	if (TRACING || !(vif->flags & (direction == METER_SENT ? VIF_SENT_RATE : VIF_RECEIVED_RATE)))
		return false;
	if (!pk->now)
		pk->now = meter_clock();
	return !meter_admits(vif_id * METER_DIRECTIONS + direction, bytes, pk->now);
}

#endif
