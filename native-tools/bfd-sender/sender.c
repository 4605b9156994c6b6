// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "sender.h"
#include "clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Between looks: a share of the fastest session's interval, with its bounds; and with no session at all. */
#define LOOK_SHARE 8
#define LOOK_LEAST NS_PER_MS
#define LOOK_MOST (10 * NS_PER_MS)
#define LOOK_IDLE (50 * NS_PER_MS)

/* In one batch: of BFD, and of measurement. */
#define PACKETS_A_SESSION 2

/* What the interface had no room for, and while it is down. */
#define RETRY_FULL NS_PER_MS
#define RETRY_DOWN (10 * NS_PER_MS)

static void view_read(const struct sender *sender, __u32 id, struct view *view)
{
	view->session = sender->maps.sessions[id];
	view->heard = sender->maps.heard[id];
	view->word = sender->maps.states[id].word;
	/* from here on it is what was read then */
	__asm__ volatile("" : : "r"(view) : "memory");
}

static __u32 discriminator_of(const struct sender *sender, __u32 id)
{
	/* the agent writes it last */
	return __atomic_load_n(&sender->maps.sessions[id].discriminator, __ATOMIC_ACQUIRE);
}

/* The sweep is told what is in force, and the schedule when the session is due. */
static void settle(struct sender *sender, __u32 id)
{
	const struct outgoing *o = &sender->sessions[id];
	struct session_sent *sent = &sender->maps.sent[id];

	__atomic_store_n(&sent->interval, o->interval, __ATOMIC_RELAXED);
	__atomic_store_n(&sent->min_rx, o->rx, __ATOMIC_RELAXED);
	schedule_put(&sender->schedule, id, outgoing_due(o));
}

static void forget(struct sender *sender, __u32 id)
{
	sender->sessions[id].session.discriminator = 0;
	memset(&sender->maps.sent[id], 0, sizeof(sender->maps.sent[id]));
	schedule_put(&sender->schedule, id, NEVER);
}

static void look_at(struct sender *sender, __u32 id, bool there, __u64 now)
{
	struct outgoing *o = &sender->sessions[id];
	__u32 discriminator = there ? discriminator_of(sender, id) : 0;
	struct view view;

	if (discriminator != o->session.discriminator && o->session.discriminator)
		forget(sender, id);
	if (!discriminator)
		return;
	view_read(sender, id, &view);
	/* it has become another's meanwhile: the next look sees whose */
	if (view.session.discriminator != discriminator)
		return;
	if (!o->session.discriminator)
		outgoing_begin(o, &view, NULL, now);
	else if (!outgoing_watch(o, &view, now))
		return;
	settle(sender, id);
}

void sender_look(struct sender *sender, __u64 now)
{
	__u32 end = __atomic_load_n(&sender->maps.control->end, __ATOMIC_RELAXED), fastest = 0;

	if (end > sender->maps.capacity)
		end = sender->maps.capacity;
	for (__u32 id = 0; id < end || id < sender->end; id++) {
		const struct session *session = &sender->sessions[id].session;

		look_at(sender, id, id < end, now);
		if (session->discriminator && (!fastest || session->min_tx < fastest))
			fastest = session->min_tx;
	}
	sender->end = end;
	sender->look = fastest ? LOOK_MOST : LOOK_IDLE;
	if (fastest && fastest * NS_PER_US / LOOK_SHARE < LOOK_MOST)
		sender->look = fastest * NS_PER_US / LOOK_SHARE;
	if (sender->look < LOOK_LEAST)
		sender->look = LOOK_LEAST;
}

int sender_begin(struct sender *sender)
{
	__u32 end = __atomic_load_n(&sender->maps.control->end, __ATOMIC_RELAXED);
	__u64 now = clock_now();
	struct view view;

	sender->end = 0;
	sender->count = 0;
	sender->look = LOOK_LEAST;
	sender->sessions = calloc(sender->maps.capacity, sizeof(*sender->sessions));
	if (!sender->sessions || schedule_make(&sender->schedule, sender->maps.capacity) < 0)
		return -1;
	for (__u32 id = 0; id < sender->maps.capacity; id++) {
		if (id >= end || !discriminator_of(sender, id)) {
			forget(sender, id);
			continue;
		}
		view_read(sender, id, &view);
		outgoing_begin(&sender->sessions[id], &view, &sender->maps.sent[id], now);
		settle(sender, id);
	}
	return 0;
}

/* -1: the interface has gone. */
static int send_batch(struct sender *sender)
{
	int sent = transmitter_send(&sender->transmitter, sender->count), error = errno;
	/* after all of them: an interval is rather too long than too short */
	__u64 now = clock_now();

	for (int i = 0; i < sender->count; i++) {
		__u32 id = sender->ids[i];
		struct outgoing *o = &sender->sessions[id];
		const struct bfd_control *packet = &sender->transmitter.packets[i].control;
		struct session_sent *said = &sender->maps.sent[id];
		struct view view;

		if (transmitter_measures(&sender->transmitter, i)) {
			/* one that is lost here tells the other end nothing wrong */
			outgoing_measured(o, now);
		} else if (i < sent) {
			view_read(sender, id, &view);
			outgoing_sent(o, &view, packet, now);
			__atomic_store_n(&said->packets, said->packets + 1, __ATOMIC_RELAXED);
			__atomic_store_n(&said->at, now, __ATOMIC_RELAXED);
		} else {
			outgoing_lost(o, packet, now + (error == ENETDOWN ? RETRY_DOWN : RETRY_FULL));
		}
		settle(sender, id);
	}
	if (sent < sender->count && (error == ENXIO || error == ENODEV))
		return -1;
	sender->count = 0;
	return 0;
}

static void add_packet(struct sender *sender, __u32 id, bool measurement)
{
	struct channel_frame *frame = &sender->transmitter.packets[sender->count].frame;

	transmitter_set(&sender->transmitter, sender->count, measurement);
	frame->session = id;
	frame->discriminator = sender->sessions[id].session.discriminator;
	sender->ids[sender->count++] = id;
}

/* One packet, or two: the batch has room for them. */
static void add_to_batch(struct sender *sender, __u32 id, __u64 now)
{
	struct outgoing *o = &sender->sessions[id];
	int before = sender->count;
	struct view view;

	view_read(sender, id, &view);
	if (outgoing_packet_due(o, now) &&
	    outgoing_packet(o, &view, now, &sender->transmitter.packets[before].control))
		add_packet(sender, id, false);
	if (outgoing_measure_due(o, now))
		add_packet(sender, id, true);
	if (sender->count == before)
		settle(sender, id);
}

int sender_send(struct sender *sender, __u64 now)
{
	while (schedule_next(&sender->schedule) <= now) {
		add_to_batch(sender, schedule_take(&sender->schedule), now);
		if (sender->count &&
		    (sender->count + PACKETS_A_SESSION > BATCH || schedule_next(&sender->schedule) > now) &&
		    send_batch(sender) < 0)
			return -1;
	}
	return 0;
}
