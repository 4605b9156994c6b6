/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What one session says, and when: the transmitting half of RFC 5880,
 * asynchronous mode. No map and no socket here.
 */
#ifndef BFD_SENDER_SESSION_H
#define BFD_SENDER_SESSION_H

#include "../../bpf/bfd.h"

#include <stdbool.h>

/* RFC 5880 §6.8.3: the least between packets of a session that is not up. µs */
#define SLOW_INTERVAL 1000000u
/* The least of all, whatever is asked for: a mistake must not take the machine's time. µs */
#define FASTEST_INTERVAL 1000u

/* µs. Measurement makes work for both ends' programs. */
#define FASTEST_MEASUREMENT 10000u

/* RFC 5880 §6.5 */
enum poll_sequence {
	POLL_NONE,
	POLL_WANTED,
	POLL_SENT,
};

/* What others write of a session, read once. */
struct view {
	struct session session;
	struct session_heard heard;
	__u32 word;
};

struct outgoing {
	struct session session; /* .discriminator 0: there is none */
	__u32 word;
	__u32 heard_discriminator;
	__u32 heard_min_rx;
	__u32 heard_polls;
	__u32 heard_finals;
	/* in packets: desired min TX and required min RX */
	__u32 said_tx;
	__u32 said_rx;
	/* in force: not what was said until the peer has answered, where RFC 5880 §6.8.3 wants it so */
	__u32 tx;
	__u32 rx;
	__u32 interval; /* µs; 0: silent */
	enum poll_sequence poll;
	bool urgent; /* the periodic packet is due at once: what it says has changed */
	bool final;  /* one packet with F is owed, at `final_due` */
	__u64 final_due;
	__u64 final_last;
	__u64 last; /* of the periodic packets */
	__u64 due;
	__u64 measure_due; /* of the path's next measurement */
};

/* Takes a session on. `before`: what a sender that has ended wrote of it; NULL: it is new. */
void outgoing_begin(struct outgoing *o, const struct view *view, const struct session_sent *before,
		    __u64 now);

/* Looks at what has changed; false: nothing, which is the usual. */
bool outgoing_watch(struct outgoing *o, const struct view *view, __u64 now);

/* When there is something to send. */
__u64 outgoing_due(const struct outgoing *o);

/* A packet of BFD's is, a measurement is. */
bool outgoing_packet_due(const struct outgoing *o, __u64 now);
bool outgoing_measure_due(const struct outgoing *o, __u64 now);

/* What is to be sent, now that it is due. False: nothing. */
bool outgoing_packet(struct outgoing *o, const struct view *view, __u64 now, struct bfd_control *packet);

/* The packet has left ... */
void outgoing_sent(struct outgoing *o, const struct view *view, const struct bfd_control *packet, __u64 now);

/* ... or has not, and is tried again at `retry`. */
void outgoing_lost(struct outgoing *o, const struct bfd_control *packet, __u64 retry);

/* The measurement has left; one that has not is put off. */
void outgoing_measured(struct outgoing *o, __u64 now);

#endif
