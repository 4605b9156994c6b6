/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * BFD peers: neighbours on the underlay, each watched by a session over UDP
 * (RFC 5881) or on a wire without IP, as maps: a part of tables.h, whose rules hold.
 */
#ifndef CABERNET_PEER_TABLES_H
#define CABERNET_PEER_TABLES_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

#include "limits.h"

/* key: session. Such a session has neither a path nor a vif. A cache line. */
struct peer {
	__u32 ifindex; /* of the wire that its packets arrive by; 0: the session watches a path */
	__u32 vlan;    /* 802.1Q; 0: untagged */
	__u32 family;  /* 4, 6, or 0: in the channel of the wire itself, without addresses */
	__u32 hop;     /* an underlay hop of its own, whose headers are whole; 0: unresolved */
	__u8 local[16];
	__u8 remote[16];
	__u32 down; /* written by programs only: what goes by it takes another way, if there is one */
	__u32 reserved[3];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_SESSIONS);
	__type(key, __u32);
	__type(value, struct peer);
} peers SEC(".maps");

/* Whose a packet is that names no session of ours; checked against the peer's record. */
struct peer_key {
	__u32 ifindex;
	__u32 vlan;
	__u32 family;
	__u8 remote[16]; /* IPv4 in the first four, the others 0 */
	__u8 local[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_SESSIONS);
	__type(key, struct peer_key);
	__type(value, __u32);
} peer_ends SEC(".maps");

#endif
