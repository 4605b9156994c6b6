/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * How well a path does: the message that the two ends of a path exchange in
 * its channel, and what is made of it. Loss of what takes the path is counted
 * by alternate marking (RFC 9341): a bit of the label entry's traffic class
 * (RFC 5462) is the colour, both ends count colours, the sending one tells the
 * count of the colour it does not use at the moment. Two-way delay is RFC
 * 8762's (§4.2.1) arithmetic over messages that go both ways by themselves:
 * nothing is reflected. A session (bfd.h) has the limits. Plain types only.
 */
#ifndef CABERNET_MEASUREMENT_H
#define CABERNET_MEASUREMENT_H

#include <linux/types.h>

/* RFC 5586 §10, RFC 7274: for experiments. */
#define CHANNEL_MEASURE 0x7ff8u

#define MEASURE_VERSION 1
#define MEASURE_COUNTED 1u /* `packets` is told */

/* Limits that are broken. In a message: by what the one who sends it has received. */
#define BREAKS_LOSS 1u
#define BREAKS_DELAY 2u
#define BREAKS_VARIATION 4u

/* On the wire; all fields in network order. */
struct measure_message {
	__u8 version;
	__u8 flags;
	__be16 length;
	__be32 my_discriminator;
	__be32 your_discriminator;
	__be32 sequence; /* of messages, from 1 on; it wraps */
	__be64 sent;     /* when it left, by the sender's clock; ns */
	__be64 echoed;   /* `sent` of the last message that came the other way; 0: none */
	__be64 held;     /* ns since that came */
	__be64 packets;  /* sent in the colour of the last whole block, ever */
	/* what was received the other way: */
	__be64 received;  /* packets that were sent, as far as is known, ever */
	__be64 lost;      /* of these */
	__be32 block;     /* the last whole one: its lowest bit is its colour */
	__be32 loss;      /* in a million, in the last whole window, as the next */
	__be32 variation; /* µs */
	__be32 broken;
};

/* Of the sending half of a session. Written by the sender's program (channel.h) only. */
struct measure_sent {
	__u32 sequence;
	__u32 block; /* the one that is being filled */
	__u64 reserved;
};

/* The receiving half, and what both say. Written by reception, one message at a time, where not said otherwise. */
struct measure_state {
	__u32 version;   /* odd while somebody writes */
	__u32 sequence;  /* of the last message; 0: none yet */
	__u64 peer_sent; /* its `sent`, by the peer's clock, and ... */
	__u64 at;        /* ... when it came */
	/* of each colour: what peer and we had counted when last compared */
	__u64 base_sent[2];
	__u64 base_received[2];
	__u32 based; /* bits of colours compared already */
	__u32 reserved;
	/* this window */
	__u64 window;    /* when it began */
	__u64 delay_sum; /* µs */
	__u64 variation_sum;
	__u32 delays; /* how many */
	__u32 variations;
	__u32 delay_least;
	__u32 delay_most;
	/* that of loss, which may be longer */
	__u64 loss_window;
	__u64 window_sent;
	__s64 window_lost; /* what was late is taken back */
	/* the last whole one */
	__u32 loss;      /* in a million */
	__u32 variation; /* µs */
	__u32 least;
	__u32 mean;
	__u32 most;
	__u32 broken; /* of what is received here */
	/* ever */
	__u64 sent;
	__s64 lost;
	/* as the peer says */
	__u64 far_sent;
	__u64 far_lost;
	__u32 far_loss;
	__u32 far_variation;
	__u32 far_broken;
	/* the judgement */
	__u32 breaks;   /* of both directions */
	__u32 degraded; /* cleared by the sweep too, when nothing is measured any more */
	__u32 recent;   /* times it became so, since it was good for long */
	__u32 times;    /* ever */
	__u32 unused;
	__u64 broken_since; /* 0: no limit is broken */
	__u64 kept_since;   /* 0: not all limits are kept */
	__u64 since;        /* of `degraded` */
};

/*
 * Two-way delays by length, ever: bucket 4 o + q counts from (4 + q) 2^o µs on;
 * the last one whatever is longer.
 */
#define DELAY_BUCKETS 80

struct delay_histogram {
	__u32 buckets[DELAY_BUCKETS];
};

/* Packets by colour. key: session * MARK_DIRECTIONS + direction. */
enum mark_direction {
	MARK_SENT,
	MARK_RECEIVED,
	MARK_DIRECTIONS,
};

struct marked {
	__u64 packets[2];
};

#endif
