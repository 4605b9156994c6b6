/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * 1+1 as maps: a part of tables.h, whose rules hold. copies.h sends every
 * frame of such a link twice, merge.h delivers the copy that is first.
 */
#ifndef CABERNET_COPY_TABLES_H
#define CABERNET_COPY_TABLES_H

/*
 * Where the copies of one frame go, from the ingress program, which knows, to
 * the egress program, which the kernel runs on each of them before the poll
 * that brought the frame ends, on the same CPU. Metadata has room for one.
 */
struct copies {
	__u32 serial; /* the frame's; another's: this one is overwritten */
	__u32 number; /* of the control word */
	__u32 left;   /* a bit for each copy that has not left yet */
	__u32 push;   /* bytes that the copies have in front of them at least, once they have left */
	__u32 ifindex[LINK_COPIES];
	struct tag tags[LINK_COPIES];
};

/* key: CPU * COPY_SLOTS + serial % COPY_SLOTS; whoever loads knows the CPUs. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, COPY_CPUS *COPY_SLOTS);
	__type(key, __u32);
	__type(value, struct copies);
} copies SEC(".maps");

/* key 0: the last serial of this CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} copy_serials SEC(".maps");

/* Two interfaces by which copies leave, or twice the same; the lower index first. */
struct device_pair_key {
	__u32 low;
	__u32 high;
};

/* As in `devices`, every entry carries the one egress program. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, MAX_DEVICE_PAIRS);
	__type(key, struct device_pair_key);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_DEVMAP);
			__uint(max_entries, LINK_COPIES);
			__uint(key_size, sizeof(__u32));
			__uint(value_size, sizeof(struct bpf_devmap_val));
		});
} device_pairs SEC(".maps");

/* What has arrived of a link's numbers; written by programs, see merge.h. */
struct merge {
	__u64 state;              /* the time of the last delivery, and an epoch */
	__u64 words[MERGE_WORDS]; /* block of 32 numbers, epoch, a bit for each number */
};

/* key: vif. Made by user space, with zeroes: memory only for links that may need it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_VIFS);
	__type(key, __u32);
	__type(value, struct merge);
} merges SEC(".maps");

struct merge_counters {
	__u64 merged;     /* delivered: the first copy of each number */
	__u64 duplicates; /* copies of what was delivered */
	__u64 late;       /* older than the window: not known whether delivered */
	__u64 resets;     /* all that was known was forgotten */
};

/* key: vif */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_VIFS);
	__type(key, __u32);
	__type(value, struct merge_counters);
} merge_counters SEC(".maps");

#endif
