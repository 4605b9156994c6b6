/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The packet socket: batches of packets out of one interface, and nothing in. */
#ifndef BFD_SENDER_TRANSMITTER_H
#define BFD_SENDER_TRANSMITTER_H

#include "../../bpf/bfd.h"

#include <stdbool.h>

struct channel_packet {
	struct channel_frame frame;
	__be32 header;
	struct bfd_control control;
};
_Static_assert(sizeof(struct channel_packet) == 52, "what goes out has no padding");

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

/* False: the interface has gone. It may have gone without a packet in between. */
bool transmitter_there(const struct transmitter *transmitter);

/*
 * Sends the first `count` packets and never waits. Returns how many of them
 * are on their way; if that is less, errno says why.
 */
int transmitter_send(struct transmitter *transmitter, int count);

#endif
