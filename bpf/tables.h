/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Every map and every struct that user space shares with the data plane.
 *
 * Ids (of nodes, vifs, paths, tunnels, next hops, chunks ...) index arrays
 * whose memory never moves; 0 is "none" everywhere. User space removes what
 * refers to an id, waits for a grace period (an update of `grace`, which the
 * kernel follows by synchronize_rcu) and only then gives the id to somebody
 * else: a program that still holds a stale id reads its old owner's record,
 * never a new one's. What must change at once is one aligned word.
 */
#ifndef CABERNET_TABLES_H
#define CABERNET_TABLES_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

#include "limits.h"
#include "peer-tables.h"
#include "reasons.h"
#include "watch-tables.h"

/* ---- interfaces of the machine; key: interface index ---- */

enum port_role {
	PORT_NONE,
	PORT_UNDERLAY, /* a wire */
	PORT_ACCESS,   /* a station's cable: the port of `vif` */
	PORT_VIF,      /* the machine's end of `vif`'s veth */
	PORT_CHANNEL,  /* where the sender's frames come from */
};

#define PORT_CAPTURE 1u
#define PORT_PROMISCUOUS 2u /* set by the agent, which takes it back; no program reads it */

struct port {
	__u32 role; /* enum port_role */
	__u32 vif;
	__u32 flags;
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_IFINDEX);
	__type(key, __u32);
	__type(value, struct port);
} ports SEC(".maps");

/* Where frames leave. Every entry carries the one egress program: the first
 * entry a NAPI poll uses of a device decides the program for all of them. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, MAX_IFINDEX);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct bpf_devmap_val));
} devices SEC(".maps");

/* ---- the infrastructure layer ---- */

#define TUNNEL_CHECKSUM 1u /* outer UDP checksum computed and required */

/* An IP tunnel to one other machine: the context of infrastructure labels. */
struct tunnel {
	__u8 family; /* 4 or 6; 0: free */
	__u8 flags;
	__u8 reserved[2];
	__u32 arrival; /* interface index packets must arrive on; 0: any */
	__u8 local[16];
	__u8 remote[16];
	/* Underlay hops, filled cyclically: flow % MAX_WAYS chooses. */
	__u32 hops[MAX_WAYS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_TUNNELS);
	__type(key, __u32);
	__type(value, struct tunnel);
} tunnels SEC(".maps");

/*
 * Which tunnel an arriving outer header belongs to, by (source, destination) in
 * wire order. An entry with `remote` zero and tunnel 0 says that `local` is an
 * end of some tunnel here, so that a stranger's packet is dropped and not given
 * to the kernel. Whatever is found is checked against the tunnel's own record.
 *
 * IPv4, the fast one: two buckets of a cache line each, as for labels. Written
 * in the order tunnel, remote, local, used; removed by used = 0.
 */
struct tunnel_slot4 {
	__u32 used; /* 0: free */
	__u32 remote;
	__u32 local;
	__u32 tunnel;
};

struct tunnel_bucket4 {
	struct tunnel_slot4 slots[TUNNEL_SLOTS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_TUNNEL_BUCKETS);
	__type(key, __u32);
	__type(value, struct tunnel_bucket4);
} tunnel_ends4 SEC(".maps");

struct tunnel_key6 {
	__u8 remote[16];
	__u8 local[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * MAX_TUNNELS);
	__type(key, struct tunnel_key6);
	__type(value, __u32);
} tunnel_ends6 SEC(".maps");

/*
 * A port, or a port and VLAN, towards one adjacent machine of the provider,
 * where labels come without IP (EtherType 0x8847). Of an `lsp` it is the
 * context of infrastructure labels; a circuit carries one virtual link, whose
 * vif it is to the letter: no label says so.
 */
enum wire_kind {
	WIRE_NONE,
	WIRE_LSP,
	WIRE_CIRCUIT,
};

struct wire {
	__u32 kind; /* enum wire_kind: a wire is switched on by this one write */
	__u32 ifindex;
	__u32 vlan; /* 802.1Q; 0: untagged */
	__u32 vif;  /* of a circuit: its link's; 0: none yet */
	/* The underlay hop to the neighbour; 0: unresolved. Its MAC addresses are also
	 * those that an arriving frame must bear, the other way round: one write changes both. */
	__u32 hop;
	/* Of an lsp wire: the path, right on another one, that frames take instead while this one is down; 0: none. */
	__u32 bypass;
	__u32 reserved[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_WIRES);
	__type(key, __u32);
	__type(value, struct wire);
} wires SEC(".maps");

/* Which wire a labelled frame has arrived on; checked against the wire's record. */
struct wire_key {
	__u32 ifindex;
	__u32 vlan;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_WIRES);
	__type(key, struct wire_key);
	__type(value, __u32);
} wire_ends SEC(".maps");

/* All that is written below the labels of one tunnel by one way, or of one
 * wire, ready to copy: Ethernet (12 bytes of MAC addresses, then an 802.1Q tag
 * if `l2` is 18, then the type), and of a tunnel IP with length zero, UDP with
 * source port, length and checksum zero. Immutable: a change is a new hop,
 * swapped into `tunnel.hops` or `wire.hop`. */
#define HOP_WATCHED 2u

struct underlay_hop {
	__u32 ifindex; /* 0: unresolved */
	__u16 room;    /* the longest frame that fits, Ethernet header and tag included */
	__u8 l2;       /* 14 or 18 */
	__u8 family;   /* 4 or 6; 0: a wire's, which ends with the Ethernet header */
	__u32 flags;   /* TUNNEL_CHECKSUM, HOP_WATCHED */
	__u32 sum;     /* of the IPv4 header with length and checksum zero, not folded */
	__u8 ethernet[20];
	__u8 ip[48]; /* IPv4 + UDP (28) or IPv6 + UDP (48) */
	__u8 bytes;  /* of all that is written: `l2`, and IP and UDP */
	__u8 reserved[3];
	__u32 peer; /* with HOP_WATCHED: the session of the neighbour that it leads to */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_UNDERLAY_HOPS);
	__type(key, __u32);
	__type(value, struct underlay_hop);
} underlay_hops SEC(".maps");

/* ---- labels: what one means in the context it arrives in (RFC 5331) ---- */

#define CONTEXT_TUNNEL 0x80000000u /* | tunnel id; a vif's context is its id */
#define CONTEXT_WIRE 0x40000000u   /* | wire id */

enum label_action {
	LABEL_NONE,
	LABEL_DELIVER, /* pop: has arrived at vif `target` */
	LABEL_SWAP,    /* goes on by path `target` */
	LABEL_POP,     /* a bypass ends: the label below it means what it means in context `target` */
};

#define LABEL_ACTION 0xffu
#define LABEL_SESSION_SHIFT 8

/* A slot is found by (context, label). Written in the order target, action,
 * context, label; cleared by label = 0 and, a grace period later, target = 0. */
struct label_slot {
	__u32 label; /* 0: free */
	__u32 context;
	__u32 action; /* enum label_action | session << LABEL_SESSION_SHIFT: that counts what arrives; 0: none */
	__u32 target;
};

/* A label is in one of two buckets: see label_hash(). */
struct label_bucket {
	struct label_slot slots[LABEL_SLOTS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_LABEL_BUCKETS);
	__type(key, __u32);
	__type(value, struct label_bucket);
} labels SEC(".maps");

/* ---- virtual nodes, vifs, paths ---- */

struct node {
	__u32 tables;     /* all tables of the node are published by this one write */
	__u32 generation; /* of the flow cache; never goes back, also when the id is given away */
	__u32 flags;
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_NODES);
	__type(key, __u32);
	__type(value, struct node);
} nodes SEC(".maps");

#define VIF_UP 1u
#define VIF_CAPTURE 2u
#define VIF_IP 4u        /* the link carries IP packets, without Ethernet header and control word */
#define VIF_SENT_RATE 8u /* look at this meter: see police.h */
#define VIF_RECEIVED_RATE 16u
#define VIF_LINK 32u  /* several paths, or one that is watched: see struct link */
#define VIF_TWICE 64u /* with VIF_LINK: what begins here goes by the first two paths, 1+1: see copies.h */

struct vif {
	__u32 flags; /* first: a vif is switched on by this one write */
	__u32 node;
	__u32 veth; /* the machine's end of the veth into the virtual node */
	__u32 port; /* the interface of a station's cable; 0: a virtual link */
	__u32 path; /* the only path; 0 with VIF_LINK */
	__u32 mtu;
	__u8 mac[6];
	__u8 reserved[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_VIFS);
	__type(key, __u32);
	__type(value, struct vif);
} vifs SEC(".maps");

/* One way a virtual link is carried by the layer below. */
struct path {
	__u32 label;  /* what the far end expects; 0: free; LABEL_IMPLICIT_NULL: a circuit below */
	__u32 vif;    /* below: a vif of the layer below ... */
	__u32 tunnel; /* ... or, with vif 0, a tunnel ... */
	__u32 wire;   /* ... or, with both 0, a wire */
	/* The session that counts what is sent, 0: none, and PATH_COLOUR, which the sender's program turns. */
	__u32 marking;
	__u32 flags;
	__u32 reserved[2];
};

#define PATH_COLOUR 0x80000000u
#define PATH_UNREPAIRED 1u /* of a bypass, which is not itself repaired: it would come round again */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_PATHS);
	__type(key, __u32);
	__type(value, struct path);
} paths SEC(".maps");

/* ---- meters: see police.h ---- */

enum meter_direction {
	METER_SENT,     /* by the virtual node: routed out of the vif, or by its kernel */
	METER_RECEIVED, /* for the virtual node: off the link, or from the station */
	METER_DIRECTIONS,
};

/* key: vif * METER_DIRECTIONS + direction. A cache line. */
struct meter {
	__u64 byte_due; /* in ticks; written by programs, set to 0 by user space: full */
	__u64 packet_due;
	__u64 byte_cost;   /* shift << 32 | mult: mult >> shift ticks; 0: without limit */
	__u64 packet_cost; /* ticks; 0: without limit */
	__u32 burst_bytes;
	__u32 burst_packets;
	__u64 reserved[3];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_VIFS *METER_DIRECTIONS);
	__type(key, __u32);
	__type(value, struct meter);
} meters SEC(".maps");

/* ---- routes ---- */

/* A multibit trie of 8-bit strides for both families: entry 0 no route; with
 * ROUTE_LEAF a next hop id; else the chunk of the next byte. Chunk 0 stays
 * zero: the empty table. */
#define ROUTE_LEAF 0x80000000u

struct chunk {
	__u32 entries[256];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_CHUNKS);
	__type(key, __u32);
	__type(value, struct chunk);
} chunks SEC(".maps");

struct tables {
	__u32 ipv4; /* root chunks */
	__u32 ipv6;
	__u32 reserved[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_TABLES);
	__type(key, __u32);
	__type(value, struct tables);
} tables SEC(".maps");

enum next_hop_kind {
	NEXT_HOP_NONE,
	NEXT_HOP_FORWARD,     /* by `vif` to `mac` */
	NEXT_HOP_LOCAL,       /* an address of the virtual node */
	NEXT_HOP_GLEAN,       /* on the link, MAC not known: the kernel asks */
	NEXT_HOP_UNREACHABLE, /* the kernel answers */
	NEXT_HOP_BLACKHOLE,
	NEXT_HOP_GROUP, /* several: `ways`, filled cyclically, by flow */
};

struct next_hop {
	__u32 kind; /* enum next_hop_kind: FORWARD <-> GLEAN is this one write */
	__u32 node;
	__u32 vif;
	__u8 source[6]; /* the vif's MAC */
	__u8 mac[6];    /* the neighbour's; written while kind is GLEAN */
	__u8 reserved[8];
	__u32 ways[MAX_WAYS]; /* next hop ids of a group */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_NEXT_HOPS);
	__type(key, __u32);
	__type(value, struct next_hop);
} next_hops SEC(".maps");

/* Flow cache: valid while `generation` is the node's. One writer: its CPU. */
struct flow4 {
	__u32 node;
	__u32 vif;
	__u32 source;
	__u32 destination;
	__u32 generation;
	__u32 next_hop;
	__u32 reserved[2];
};

struct flow6 {
	__u64 source[2];
	__u64 destination[2];
	__u32 node;
	__u32 vif;
	__u32 generation;
	__u32 next_hop;
	__u32 reserved[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_FLOWS4);
	__type(key, __u32);
	__type(value, struct flow4);
} flows4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_FLOWS6);
	__type(key, __u32);
	__type(value, struct flow6);
} flows6 SEC(".maps");

/* ---- counters ---- */

struct vif_counters {
	__u64 received_packets;
	__u64 received_bytes;
	__u64 sent_packets; /* ports only: a link's is the sum over its paths */
	__u64 sent_bytes;
	__u64 punted_packets;
	__u64 received_refused; /* by the meters */
	__u64 sent_refused;
	__u64 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_VIFS);
	__type(key, __u32);
	__type(value, struct vif_counters);
} vif_counters SEC(".maps");

struct path_counters {
	__u64 sent_packets;
	__u64 sent_bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_PATHS);
	__type(key, __u32);
	__type(value, struct path_counters);
} path_counters SEC(".maps");

/* key: node * DROP_ROW + reason; node 0: the machine. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_NODES *DROP_ROW);
	__type(key, __u32);
	__type(value, __u64);
} drops SEC(".maps");

/* key: node * PUNT_ROW + kind. Windows of 2^27 ns (134 ms). */
struct punt_window {
	__u32 window;
	__u32 count;  /* in this window */
	__u64 punted; /* ever */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_NODES *PUNT_ROW);
	__type(key, __u32);
	__type(value, struct punt_window);
} punts SEC(".maps");

/* key 0: this CPU's window of sampled drops. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct punt_window);
} sample_window SEC(".maps");

/* ---- records: sampled drops and captures ---- */

enum record_kind {
	RECORD_NONE,
	RECORD_DROP,
	RECORD_IN,
	RECORD_OUT,
	RECORD_CAPTURED_DROP,
};

struct record_head {
	__u64 time; /* CLOCK_MONOTONIC, ns */
	__u32 kind; /* enum record_kind */
	__u32 reason;
	__u32 node;
	__u32 vif;
	__u32 ifindex;
	__u32 length; /* of the frame */
	__u32 kept;   /* bytes of it that follow */
	__u32 reserved;
};

struct sample {
	struct record_head head;
	__u8 frame[SAMPLE_BYTES];
};

struct capture {
	struct record_head head;
	__u8 frame[CAPTURE_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RECORD_RING_BYTES);
} samples SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RECORD_RING_BYTES);
} captures SEC(".maps");

/* ---- the tracing build: what each look-up of one frame said ---- */

struct trace_event {
	__u32 kind;  /* enum trace_kind */
	__u32 depth; /* 0: the wire */
	__u32 node;
	__u32 vif;
	__s32 bytes;      /* of header added (negative: taken off) */
	__u32 found;      /* id found, or a reason or kind */
	__u32 words[4];   /* key and result, by kind: see each trace() */
	__u8 address[16]; /* IP addresses looked up, wire order; IPv4 in the first four */
};

/* ---- user space's own: never read by a program ---- */

/* What an id stands for, so that an agent started later can adopt it. */
struct name_key {
	__u32 table; /* enum name_table */
	__u32 id;
};

enum name_table {
	NAME_NONE,
	NAME_INSTANCE, /* id 0: what this instance is */
	NAME_OWNER,
	NAME_NODE,
	NAME_VIF,
	NAME_TUNNEL,
	NAME_PATH,
	NAME_LABEL, /* id: bucket * LABEL_SLOTS + slot */
	NAME_WIRE,
	NAME_BFD_PEER, /* id: its session */
};

struct name_value {
	__u32 length;
	__u8 text[508]; /* JSON: the owner and the intent */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries,
	       MAX_VIFS + MAX_PATHS + MAX_NODES + MAX_TUNNELS + MAX_WIRES + MAX_LABEL_BUCKETS * LABEL_SLOTS);
	__type(key, struct name_key);
	__type(value, struct name_value);
} names SEC(".maps");

/* An update waits until every program that may hold a stale id has ended. */
struct grace_inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} grace_period SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct grace_inner);
} grace SEC(".maps") = {
	.values = { &grace_period },
};

/* ---- the tag: what ingress tells egress, in the frame's metadata ---- */

#define TAG_MAGIC 0xcabe

#define TAG_IPV4 1u         /* rewrite Ethernet by next_hop, IPv4 TTL - 1 */
#define TAG_IPV6 2u         /* the same, hop limit - 1 */
#define TAG_CONTROL_WORD 4u /* below the labels */
#define TAG_IP_LINK 8u      /* the Ethernet header is rewritten, then taken off */
#define TAG_COPIES 16u /* nothing but the place of a struct copies (next_hop) and its serial (underlay_hop) */

/* 32 bytes: the most metadata kernels before 6.10 allow. */
struct tag {
	__u16 magic;
	__u16 entropy; /* outer UDP source port */
	__u8 strip;    /* bytes to take off the front */
	__u8 labels;   /* how many to push */
	__u8 flags;
	__u8 reserved;
	__u32 next_hop;
	__u32 underlay_hop; /* 0: no outer header */
	/* Label stack entries (RFC 3032), wire order, the innermost last:
	 * those in use are the last `labels`. */
	__u32 stack[MAX_DEPTH];
} __attribute__((aligned(8))); /* as metadata is: copied in four words */
_Static_assert(sizeof(struct tag) == 32, "the tag must fit the metadata of a 6.1 kernel");

#include "copy-tables.h"

#endif
