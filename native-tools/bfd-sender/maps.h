/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The data plane's maps, as memory. Only `sent` is written: each map has one writer. */
#ifndef BFD_SENDER_MAPS_H
#define BFD_SENDER_MAPS_H

#include "../../bpf/bfd.h"

struct maps {
	const struct session *sessions;
	const struct session_heard *heard;
	const struct session_state *states;
	struct session_sent *sent;
	const struct sweep_control *control;
	__u32 capacity; /* sessions that all of them have room for */
};

/*
 * Opens the maps that are pinned in a folder, and locks the folder for as long
 * as the process lives: another sender would write `sent` too. Returns 0, or
 * -1 when it has said on stderr what is wrong.
 */
int maps_open(struct maps *maps, const char *folder);

#endif
