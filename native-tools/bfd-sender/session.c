// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "session.h"
#include "clock.h"
#include "jitter.h"

#include <arpa/inet.h>
#include <string.h>

#define STATE_OF(word) ((word) & 0xff)
#define MAX_MULTIPLIER 255u

static __u32 larger(__u32 a, __u32 b)
{
	return a > b ? a : b;
}

/* RFC 5880 §6.8.4; ns. */
static __u64 detection_time(const struct outgoing *o, const struct session_heard *heard)
{
	return (__u64)larger(larger(o->session.min_rx, o->rx), heard->min_tx) * heard->multiplier * NS_PER_US;
}

/* RFC 5880 §6.8.1, bfd.RemoteDiscr: who has been silent for a detection time is forgotten. */
static bool peer_known(const struct outgoing *o, const struct session_heard *heard, __u64 now)
{
	if (!heard->at)
		return false;
	return STATE_OF(o->word) >= BFD_INIT || (__s64)(now - heard->at - detection_time(o, heard)) <= 0;
}

/* Whether there is anything to say at all. */
static bool speaks(const struct outgoing *o)
{
	__u32 state = STATE_OF(o->word);

	/* what no peer would accept */
	if (!o->session.min_tx || !o->session.multiplier || o->session.multiplier > MAX_MULTIPLIER)
		return false;
	/* made or enabled just now: the sweep is about to begin with it */
	if (state == BFD_ADMIN_DOWN)
		return o->session.flags & SESSION_ADMIN_DOWN;
	return state <= BFD_UP;
}

/* µs between periodic packets; 0: there are none. RFC 5880 §6.8.7 */
static __u32 interval_of(const struct outgoing *o, const struct session_heard *heard, __u64 now)
{
	if (!speaks(o))
		return 0;
	if (!peer_known(o, heard, now))
		return o->tx;
	return heard->min_rx ? larger(o->tx, heard->min_rx) : 0;
}

static void reschedule(struct outgoing *o, const struct session_heard *heard, __u64 now)
{
	o->interval = interval_of(o, heard, now);
	if (o->urgent && speaks(o))
		return;
	if (o->interval)
		o->due = next_due(o->last, o->interval * NS_PER_US, o->session.multiplier == 1);
	else if (speaks(o) && STATE_OF(o->word) < BFD_INIT)
		/* the peer wants no packets; once it is forgotten that is forgotten, too */
		o->due = heard->at + detection_time(o, heard) + 1;
	else
		o->due = NEVER;
}

/* What is to be told to the peer, and whether by a Poll Sequence. RFC 5880 §6.8.3 */
static void say(struct outgoing *o, bool was_up)
{
	bool up = STATE_OF(o->word) == BFD_UP;
	__u32 tx = larger(o->session.min_tx, up ? FASTEST_INTERVAL : SLOW_INTERVAL);
	__u32 rx = o->session.min_rx;

	/* the answer would be to either: the next sequence begins when this one has ended */
	if (up && was_up && o->poll != POLL_NONE)
		return;
	if (tx == o->said_tx && rx == o->said_rx)
		return;
	o->said_tx = tx;
	o->said_rx = rx;
	o->poll = POLL_WANTED;
	o->tx = up && o->tx < tx ? o->tx : tx;
	o->rx = up && o->rx > rx ? o->rx : rx;
}

static void end_poll(struct outgoing *o)
{
	o->poll = POLL_NONE;
	o->tx = o->said_tx;
	o->rx = o->said_rx;
}

static void take(struct outgoing *o, const struct view *view)
{
	o->session = view->session;
	o->word = view->word;
	o->heard_discriminator = view->heard.discriminator;
	o->heard_min_rx = view->heard.min_rx;
	o->heard_polls = view->heard.polls;
	o->heard_finals = view->heard.finals;
}

/* Only what is up is measured. */
static bool measures(const struct outgoing *o)
{
	return o->session.measure_interval && STATE_OF(o->word) == BFD_UP;
}

void outgoing_measured(struct outgoing *o, __u64 now)
{
	__u64 interval = o->session.measure_interval * NS_PER_US;

	if (interval && interval < FASTEST_MEASUREMENT * NS_PER_US)
		interval = FASTEST_MEASUREMENT * NS_PER_US;
	o->measure_due = measures(o) ? next_due(now, interval, false) : NEVER;
}

void outgoing_begin(struct outgoing *o, const struct view *view, const struct session_sent *before, __u64 now)
{
	memset(o, 0, sizeof(*o));
	take(o, view);
	say(o, false);
	end_poll(o);
	if (before && STATE_OF(o->word) == BFD_UP) {
		/* what the peer was told last is not known: no slower and no earlier than that, until it answers */
		if (before->interval && before->interval < o->tx)
			o->tx = larger(before->interval, FASTEST_INTERVAL);
		o->rx = larger(o->rx, before->min_rx);
		o->poll = POLL_WANTED;
	}
	if (before && before->at < now)
		o->last = before->at;
	/* RFC 5880 leaves the first one's time open */
	o->urgent = !before;
	o->due = now;
	reschedule(o, &view->heard, now);
	outgoing_measured(o, now);
}

bool outgoing_watch(struct outgoing *o, const struct view *view, __u64 now)
{
	bool was_up = STATE_OF(o->word) == BFD_UP, moved = view->word != o->word;
	bool polled = view->heard.polls != o->heard_polls, answered = view->heard.finals != o->heard_finals;
	bool other =
		view->heard.discriminator != o->heard_discriminator || view->heard.min_rx != o->heard_min_rx;
	bool measured;

	if (!moved && !polled && !answered && !other &&
	    !memcmp(&o->session, &view->session, sizeof(o->session)))
		return false;
	measured = measures(o) && o->session.measure_interval == view->session.measure_interval;
	take(o, view);
	if (!measured || !measures(o))
		outgoing_measured(o, now);
	if (answered && o->poll == POLL_SENT)
		end_poll(o);
	say(o, was_up);
	if (polled && speaks(o) && !o->final) {
		__u64 rest = o->said_tx * NS_PER_US;

		/* RFC 5880 §6.8.7: may be limited, to an interval that the peer was told */
		rest = o->final_last + (rest < NS_PER_MS ? rest : NS_PER_MS);
		o->final = true;
		o->final_due = rest > now ? rest : now;
	}
	if (moved && speaks(o)) {
		o->urgent = true;
		o->due = now;
	}
	if (moved || interval_of(o, &view->heard, now) != o->interval)
		reschedule(o, &view->heard, now);
	return true;
}

static __u64 packet_due(const struct outgoing *o)
{
	return o->final && o->final_due < o->due ? o->final_due : o->due;
}

__u64 outgoing_due(const struct outgoing *o)
{
	return packet_due(o) < o->measure_due ? packet_due(o) : o->measure_due;
}

bool outgoing_packet_due(const struct outgoing *o, __u64 now)
{
	return packet_due(o) <= now;
}

bool outgoing_measure_due(const struct outgoing *o, __u64 now)
{
	return o->measure_due <= now;
}

static void write_packet(const struct outgoing *o, const struct view *view, bool known, __u8 flags,
			 struct bfd_control *packet)
{
	__u32 state = STATE_OF(o->word);
	__u32 diagnostic = state == BFD_ADMIN_DOWN ? BFD_ADMINISTRATIVELY_DOWN : o->word >> 8 & 31;

	*packet = (struct bfd_control){
		.version_diagnostic = BFD_VERSION << 5 | diagnostic,
		.state_flags = state << 6 | flags,
		.multiplier = o->session.multiplier,
		.length = sizeof(*packet),
		.my_discriminator = htonl(o->session.discriminator),
		.your_discriminator = known ? htonl(view->heard.discriminator) : 0,
		.min_tx = htonl(o->said_tx),
		.min_rx = htonl(o->said_rx),
	};
}

bool outgoing_packet(struct outgoing *o, const struct view *view, __u64 now, struct bfd_control *packet)
{
	bool known = peer_known(o, &view->heard, now), final = o->final && o->final_due <= now;
	__u8 flags = final ? BFD_FINAL : 0;

	if (!speaks(o)) {
		o->final = o->urgent = false;
		o->due = NEVER;
		return false;
	}
	if (!final && !o->urgent && !interval_of(o, &view->heard, now)) {
		reschedule(o, &view->heard, now);
		return false;
	}
	/* no question together with an answer, none to nobody, and AdminDown hears no answer */
	if (!final && o->poll != POLL_NONE && known && STATE_OF(o->word) != BFD_ADMIN_DOWN) {
		flags = BFD_POLL;
		if (o->poll == POLL_WANTED)
			o->heard_finals = view->heard.finals;
	}
	write_packet(o, view, known, flags, packet);
	return true;
}

void outgoing_sent(struct outgoing *o, const struct view *view, const struct bfd_control *packet, __u64 now)
{
	/* in between: the periodic packets go on as if there had been none */
	if (packet->state_flags & BFD_FINAL) {
		o->final = false;
		o->final_last = now;
		return;
	}
	if (packet->state_flags & BFD_POLL)
		o->poll = POLL_SENT;
	o->urgent = false;
	o->last = now;
	reschedule(o, &view->heard, now);
}

void outgoing_lost(struct outgoing *o, const struct bfd_control *packet, __u64 retry)
{
	if (packet->state_flags & BFD_FINAL)
		o->final_due = retry;
	else
		o->due = retry;
}
