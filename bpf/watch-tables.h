/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Links of several paths, and the sessions that watch paths, as maps:
 * a part of tables.h, whose rules hold. bfd.h has the sessions' own structs.
 */
#ifndef CABERNET_WATCH_TABLES_H
#define CABERNET_WATCH_TABLES_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

#include "bfd.h"
#include "limits.h"
#include "measurement.h"

enum link_kind {
	LINK_FIRST,    /* by the first path that is fit for use: 1:1 */
	LINK_WEIGHTED, /* by all that are, by flow */
	LINK_TWICE,    /* by both: with VIF_TWICE, else as LINK_FIRST */
};

/* key: vif. A cache line. */
struct link {
	__u32 state; /* written by programs only, see protection.h */
	__u32 kind;  /* enum link_kind */
	__u32 avoid; /* bits of paths to use only where there is no other */
	/* A byte for each path that may be used, by its place in `paths`, the best
	 * one lowest; LINK_NOBODY: no more. One write changes the whole order. */
	__u32 order;
	__u32 paths[MAX_LINK_PATHS]; /* 0: none */
	__u8 ways[LINK_WAYS];        /* LINK_WEIGHTED: which path, by flow */
	__u32 number;                /* of the last frame that was sent twice: programs draw, see copies.h */
	__u32 reserved[3];
};

#define LINK_NOBODY 0xff
/* in `state`: a bit for each path that is down; that is too bad; then the path in use */
#define LINK_DEGRADED_SHIFT 4
#define LINK_USED_SHIFT 8

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_VIFS);
	__type(key, __u32);
	__type(value, struct link);
} links SEC(".maps");

/* key: vif. Written by programs. */
struct link_history {
	__u64 switched; /* to another path, when last: CLOCK_MONOTONIC, ns */
	__u32 switches; /* ever */
	__u32 lost;     /* times that no path was fit any more */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_VIFS);
	__type(key, __u32);
	__type(value, struct link_history);
} link_histories SEC(".maps");

/* Whose packets bear this label in this context. */
struct session_key {
	__u32 context;
	__u32 label;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_SESSIONS);
	__type(key, struct session_key);
	__type(value, __u32);
} session_ends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_SESSIONS);
	__type(key, __u32);
	__type(value, struct session);
} sessions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_SESSIONS);
	__type(key, __u32);
	__type(value, struct session_heard);
} sessions_heard SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_SESSIONS);
	__type(key, __u32);
	__type(value, struct session_state);
} session_states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_SESSIONS);
	__type(key, __u32);
	__type(value, struct session_sent);
} sessions_sent SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_SESSIONS);
	__type(key, __u32);
	__type(value, struct measure_sent);
} measures_sent SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_SESSIONS);
	__type(key, __u32);
	__type(value, struct measure_state);
} measure_states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_SESSIONS);
	__type(key, __u32);
	__type(value, struct delay_histogram);
} delay_histograms SEC(".maps");

/* Read as differences only: who has a session's id next begins where the last one ended. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_SESSIONS *MARK_DIRECTIONS);
	__type(key, __u32);
	__type(value, struct marked);
} marked SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sweep_control);
} sweep_control SEC(".maps");

/* What became of a session, or of a link, as it happened. `before` is `after`: its path became too bad, or good again. */
struct session_event {
	__u64 time;
	__u32 session;
	__u32 vif;
	__u32 index;
	__u32 before; /* session_state.word */
	__u32 after;
	__u32 link; /* link.state, after */
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EVENT_RING_BYTES);
} session_events SEC(".maps");

#endif
