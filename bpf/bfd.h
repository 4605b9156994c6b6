/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Bidirectional Forwarding Detection (RFC 5880): the packet, and what the
 * agent, the data plane and the sender tell each other of a session. Each
 * struct has one writer, so that none of them needs a lock:
 *
 *	agent ── struct session ──▶ data plane, sender
 *	reception ── struct session_heard ──▶ sweep, sender
 *	reception and sweep ── struct session_state ──▶ sender, agent
 *	sender ── struct session_sent ──▶ sweep, agent
 *
 * The data plane has the state machine, the sender only says what state that
 * is in: with the sender dead, a failure is noticed all the same. Plain types
 * only: the sender, which is no BPF program, includes this too.
 */
#ifndef CABERNET_BFD_H
#define CABERNET_BFD_H

#include <linux/types.h>

/* RFC 5880 §4.1 */
enum bfd_state {
	BFD_ADMIN_DOWN,
	BFD_DOWN,
	BFD_INIT,
	BFD_UP,
};

enum bfd_diagnostic {
	BFD_DIAGNOSTIC_NONE,
	BFD_DETECTION_TIME_EXPIRED,
	BFD_ECHO_FAILED,
	BFD_NEIGHBOUR_SIGNALED_DOWN,
	BFD_FORWARDING_PLANE_RESET,
	BFD_PATH_DOWN,
	BFD_CONCATENATED_PATH_DOWN,
	BFD_ADMINISTRATIVELY_DOWN,
	BFD_REVERSE_CONCATENATED_PATH_DOWN,
};

#define BFD_VERSION 1
#define BFD_POLL 0x20
#define BFD_FINAL 0x10
#define BFD_AUTHENTICATION 0x04
#define BFD_DEMAND 0x02
#define BFD_MULTIPOINT 0x01

struct bfd_control {
	__u8 version_diagnostic;
	__u8 state_flags;
	__u8 multiplier;
	__u8 length;
	__be32 my_discriminator;
	__be32 your_discriminator;
	__be32 min_tx; /* µs, as all intervals here */
	__be32 min_rx;
	__be32 min_echo_rx;
};

#define SESSION_ADMIN_DOWN 1u

/* What is watched, and how. */
struct session {
	__u32 discriminator; /* ours, never 0; 0: free. A session is switched on by this one write */
	__u32 path;          /* that its packets go down by, and that is watched */
	__u32 context;       /* they arrive with `label` in this context */
	__u32 label;
	__u32 vif;   /* whose link is watched, and ... */
	__u32 index; /* ... which of its paths */
	__u32 min_tx;
	__u32 min_rx;
	__u32 multiplier;
	__u32 flags;
	__u32 restore; /* ms that a path which failed has to be up before it is used again */
	/* measurement.h; µs between messages, 0: nothing is measured */
	__u32 measure_interval;
	__u32 max_loss;      /* in a million; 0: any, as of the next two */
	__u32 max_delay;     /* two-way, µs */
	__u32 max_variation; /* µs */
	__u32 hold;          /* ms that a limit has to be broken until the path is left */
};

/* What the peer said last. */
struct session_heard {
	__u64 at; /* CLOCK_MONOTONIC, ns; 0: never */
	__u32 discriminator;
	__u32 min_tx;
	__u32 min_rx;
	__u32 multiplier;
	__u32 state; /* enum bfd_state | enum bfd_diagnostic << 8 */
	__u32 polls; /* packets with P, ever: each is owed one with F */
	__u32 finals;
	__u32 refused; /* packets that RFC 5880 §6.8.6 says to discard */
	__u64 packets;
	__u64 reserved[2];
};

struct session_state {
	__u32 word;       /* enum bfd_state | enum bfd_diagnostic << 8 */
	__u32 changes;    /* of the word, ever */
	__u64 since;      /* of the last one */
	__u64 last_heard; /* when the session last failed: what had arrived before, and ... */
	__u64 left_up;    /* ... when that was noticed */
	__u32 failures;   /* times it left BFD_UP but for AdminDown, ever, and ... */
	__u32 recent;     /* ... since it was up for long */
	__u32 path_down;  /* what the link is told of the path, every tick */
	__u32 unused;
	__u64 reserved[2];
};

/* What is on its way to the peer. */
struct session_sent {
	__u64 packets;
	__u64 at;
	__u32 interval; /* in use */
	__u32 min_rx;   /* in force: told to the peer, and if a Poll Sequence was due, acknowledged */
	__u64 reserved[5];
};

/* The clock that ends silent sessions. key 0. */
struct sweep_control {
	__u32 period; /* ns; 0: the sweep stops */
	__u32 end;    /* sessions below this id are looked at */
	__u64 ticks;  /* written by the sweep, as what follows */
	__u64 last;
	__u64 worst; /* the longest that a tick came after the one before */
};

/*
 * In front of a packet on its way from the sender to the data plane, which
 * takes it off. A session that has ended since has another discriminator.
 */
#define ETHERTYPE_CHANNEL 0x88b5 /* IEEE Std 802: local experiments */

struct channel_frame {
	__u8 destination[6];
	__u8 source[6];
	__be16 type;
	__u16 reserved;
	__u32 session;
	__u32 discriminator;
};

/* RFC 5586 §2.1: nibble 1, version 0, reserved, then the type. RFC 5885 §3: BFD without IP. */
#define CHANNEL_HEADER 0x10000000u
#define CHANNEL_VERSION 0x0f000000u
#define CHANNEL_TYPE 0xffffu
#define CHANNEL_BFD 0x0007u

#endif
