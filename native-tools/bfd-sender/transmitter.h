/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The packet socket: batches of packets out of one interface, and nothing in. */
#ifndef BFD_SENDER_TRANSMITTER_H
#define BFD_SENDER_TRANSMITTER_H

#include "../../bpf/bfd.h"
#include "../../bpf/measurement.h"

#include <stdbool.h>

struct channel_packet {
	struct channel_frame frame;
	__be32 header;
	union {
		struct bfd_control control;
		/* all of it is the data plane's to write */
		__u8 measurement[sizeof(struct measure_message)];
	};
};
#define CHANNEL_PACKET_BYTES (sizeof(struct channel_frame) + sizeof(__be32))
_Static_assert(sizeof(struct channel_packet) == CHANNEL_PACKET_BYTES + sizeof(struct measure_message),
	       "what goes out has no padding");

/*
 * Small enough that a packet leaves soon after its batch was begun, large
 * enough that what is paid per call hardly counts.
 */
#define BATCH 32

struct transmitter {
	int fd;
	__u8 address[6];
	struct channel_packet packets[BATCH];
};

/* 0, or -1 when it has said on stderr what is wrong. */
int transmitter_open(struct transmitter *transmitter, const char *interface);

/* What packet `i` of the batch is: a BFD packet, or a measurement. */
void transmitter_set(struct transmitter *transmitter, int i, bool measurement);
bool transmitter_measures(const struct transmitter *transmitter, int i);

/* False: the interface has gone. It may have gone without a packet in between. */
bool transmitter_there(const struct transmitter *transmitter);

/*
 * Sends the first `count` packets and never waits. Returns how many of them
 * are on their way; if that is less, errno says why.
 */
int transmitter_send(struct transmitter *transmitter, int count);

#endif
