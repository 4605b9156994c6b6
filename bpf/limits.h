/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Every bound of the data plane, in one place. Capacities are defaults: whoever
 * loads the object may choose others (the maps' max_entries) before the load.
 */
#ifndef CABERNET_LIMITS_H
#define CABERNET_LIMITS_H

/* Layers a packet can climb or descend on one machine: infrastructure,
 * connectivity, one nested VN and one bypass. Bounds the loops for the verifier. */
#define MAX_DEPTH 4

/* An interface index is the key of `ports` and `devices`. */
#define MAX_IFINDEX 16384

#define MAX_NODES 1024
#define MAX_VIFS 4096
#define MAX_PATHS 8192
#define MAX_TUNNELS 1024
#define MAX_WIRES 1024
#define MAX_UNDERLAY_HOPS 8192
#define MAX_NEXT_HOPS 65536
#define MAX_TABLES (2 * MAX_NODES)
#define MAX_TUNNEL_BUCKETS (2 * MAX_TUNNELS) /* of TUNNEL_SLOTS ends; a power of two */
#define MAX_LABEL_BUCKETS 4096               /* of LABEL_SLOTS labels; a power of two */
#define MAX_CHUNKS 16384                     /* 1 KB each */
#define MAX_FLOWS4 32768                     /* per CPU, 32 B each; a power of two */
#define MAX_FLOWS6 16384                     /* per CPU, 64 B each; a power of two */

#define MAX_SESSIONS 4096

/* Ways that one link may be carried at the same time. */
#define MAX_LINK_PATHS 4
/* Shares of them by flow: a weight of 1 is a sixteenth. A power of two. */
#define LINK_WAYS 16
/* Of each frame of a link that is 1+1. */
#define LINK_COPIES 2
/* The control word's sequence number (RFC 8964). */
#define SEQUENCE_BITS 28
#define SEQUENCE_MASK ((1u << SEQUENCE_BITS) - 1)
/* Frames of 1+1 between ingress and egress on one CPU: of one poll, 64 as a rule and 256 in tests. */
#define COPY_SLOTS 512
#define COPY_CPUS 8 /* whoever loads knows better */
/* Of n wires' interfaces n * (n + 1) / 2: of 45. */
#define MAX_DEVICE_PAIRS 1024
/* Numbers that a 1+1 link's copies may be apart, 32 in a word, 4 KB a link: paths that differ by 16 ms at a
 * million packets a second, or by 160 ms at 100 000. A power of two. */
#define MERGE_NUMBERS 16384
#define MERGE_WORDS (MERGE_NUMBERS / 32)

#define LABEL_SLOTS 4
#define TUNNEL_SLOTS 4
/* Equal ways of a tunnel or of a route; a power of two, chosen by flow. */
#define MAX_WAYS 8

/* The longest frame whose UDP checksum is computed, and so the longest of all. */
#ifdef CABERNET_JUMBO
#define MAX_FRAME 16384
#else
#define MAX_FRAME 4096
#endif

/* Bytes of a frame kept in a sampled drop and in a capture. */
#define SAMPLE_BYTES 128
#define CAPTURE_BYTES 1536
#define RECORD_RING_BYTES (1 << 20)
#define EVENT_RING_BYTES (1 << 18)

/* Sampled drops a second and CPU. */
#define SAMPLE_RATE 64

#define MAX_TRACE_EVENTS 64

/* Meters count in ticks of 2^-6 ns; a burst lasts at most 2^46 of them. */
#define METER_TICKS_SHIFT 6
#define METER_DEPTH_SHIFT 46

/* RFC 3032: 0 to 15 are reserved. */
#define FIRST_LABEL 16
/* The one entry of a circuit's own frames, and what its path has for a label. */
#define LABEL_EXPLICIT_NULL 0
#define LABEL_IMPLICIT_NULL 3
/* Above the channel of a wire itself (RFC 5586 §4.2.1: the section). */
#define LABEL_GAL 13
/* Pipe model (RFC 3443): label TTL only ends loops below. */
#define LABEL_TTL 64

#define UDP_PORT_MPLS 6635       /* RFC 7510 */
#define UDP_PORT_BFD 3784        /* RFC 5881 §4 */
#define ENTROPY_PORT_FIRST 49152 /* RFC 7510 §3: the dynamic ports */
#define ENTROPY_PORT_MASK 0x3fff

/* `struct` layouts of pinned maps: raised with every change of one. */
#define LAYOUT_VERSION 4

#endif
