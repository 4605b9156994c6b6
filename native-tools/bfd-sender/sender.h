/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* All sessions: between the maps, the schedule and the socket. */
#ifndef BFD_SENDER_SENDER_H
#define BFD_SENDER_SENDER_H

#include "maps.h"
#include "schedule.h"
#include "session.h"
#include "transmitter.h"

struct sender {
	struct maps maps;
	struct transmitter transmitter;
	struct schedule schedule;
	struct outgoing *sessions; /* by id */
	__u32 end;                 /* ids below have been looked at */
	__u64 look;                /* between looks at the maps; ns */
	int count;                 /* packets of the batch */
	__u32 ids[BATCH];          /* whose they are */
};

/* Takes on what is in the maps, as a sender before may have left it. -1: no memory. */
int sender_begin(struct sender *sender);

/* Notices what has changed in the maps. */
void sender_look(struct sender *sender, __u64 now);

/* Sends all that is due. -1: the interface has gone. */
int sender_send(struct sender *sender, __u64 now);

#endif
