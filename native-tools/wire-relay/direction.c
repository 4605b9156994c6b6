// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * One direction of a wire: frames are read from a packet socket, wait for a line of the rate, then for the delay, and
 * leave in the order in which they came.
 */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay.h"

#define BATCH 64
#define LONGEST_FRAME 16384
#define VLAN_TAG 4
#define ADDRESSES 12 /* two MAC addresses, the tag's place is behind them */
/* Of the kernel's queue in front of this process. */
#define RECEIVE_BUFFER (32 << 20)
/* Under way in one direction at most; what comes then is lost. */
#define MOST_HELD (64ULL << 20)
/* What may wait for the line: so long, or so many bytes where they take longer. */
#define LONGEST_WAIT (SECOND / 10)
#define LEAST_QUEUE 16384

struct frame {
	struct frame *next;
	uint64_t due;
	size_t length;
	unsigned char bytes[];
};

struct direction {
	struct source source; /* first: the loop gives it back */
	struct direction *next;
	struct holding holding;
	uint64_t count;   /* frames, for the next random number */
	uint64_t free_at; /* the line */
	uint64_t last_due;
	uint64_t held; /* bytes */
	struct frame *first;
	struct frame **end;
};

static struct direction *directions;
static unsigned char buffers[BATCH][LONGEST_FRAME];

/* As in bpf/relay.bpf.c. */
static uint64_t nth_random(uint64_t seed, uint64_t n)
{
	uint64_t z = seed + (n + 1) * 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static uint64_t scaled(uint64_t a, uint64_t b, uint64_t divisor)
{
	return (uint64_t)((unsigned __int128)a * b / divisor);
}

/* False: the line's queue is full, or too much is under way. */
static bool schedule(struct direction *direction, size_t length, uint64_t arrival, uint64_t *due)
{
	const struct holding *holding = &direction->holding;
	/* numbered whatever becomes of it: the same seed gives the n-th frame the same jitter */
	uint64_t random = nth_random(holding->seed, direction->count++);
	uint64_t departure = arrival;

	if (direction->held + length > MOST_HELD)
		return false;
	if (holding->rate > 0) {
		uint64_t wait = direction->free_at > arrival ? direction->free_at - arrival : 0;

		if (wait > LONGEST_WAIT && scaled(wait, holding->rate, 8 * SECOND) > LEAST_QUEUE)
			return false;
		departure = arrival + wait + scaled(length * 8, SECOND, holding->rate);
		direction->free_at = departure;
	}
	*due = departure + holding->delay +
	       (uint64_t)(((unsigned __int128)random * (holding->jitter + 1)) >> 64);
	if (*due < direction->last_due)
		*due = direction->last_due;
	direction->last_due = *due;
	return true;
}

/* `tag`: of a VLAN, which the kernel takes out of the frame. */
static void take(struct direction *direction, const unsigned char *bytes, size_t length,
		 const unsigned char *tag, uint64_t arrival)
{
	size_t whole = length + (tag ? VLAN_TAG : 0);
	struct frame *frame;
	uint64_t due;

	if (length < ETH_HLEN || !schedule(direction, whole, arrival, &due))
		return;
	frame = malloc(sizeof(*frame) + whole);
	if (!frame)
		return;
	*frame = (struct frame){ .due = due, .length = whole };
	memcpy(frame->bytes, bytes, ADDRESSES);
	if (tag)
		memcpy(frame->bytes + ADDRESSES, tag, VLAN_TAG);
	memcpy(frame->bytes + ADDRESSES + (tag ? VLAN_TAG : 0), bytes + ADDRESSES, length - ADDRESSES);
	*direction->end = frame;
	direction->end = &frame->next;
	direction->held += whole;
}

static bool vlan_tag(struct msghdr *message, unsigned char tag[VLAN_TAG])
{
	struct cmsghdr *control = CMSG_FIRSTHDR(message);

	for (; control; control = CMSG_NXTHDR(message, control)) {
		struct tpacket_auxdata facts;
		uint16_t words[2];

		if (control->cmsg_level != SOL_PACKET || control->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&facts, CMSG_DATA(control), sizeof(facts));
		if (!(facts.tp_status & TP_STATUS_VLAN_VALID))
			return false;
		words[0] =
			htons(facts.tp_status & TP_STATUS_VLAN_TPID_VALID ? facts.tp_vlan_tpid : ETH_P_8021Q);
		words[1] = htons(facts.tp_vlan_tci);
		memcpy(tag, words, VLAN_TAG);
		return true;
	}
	return false;
}

static void receive(struct source *source)
{
	struct direction *direction = (struct direction *)source;
	struct mmsghdr messages[BATCH] = { 0 };
	struct iovec places[BATCH];
	union {
		struct cmsghdr aligned;
		unsigned char bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} controls[BATCH];
	uint64_t arrival;
	int count;

	for (int i = 0; i < BATCH; i++) {
		places[i] = (struct iovec){ buffers[i], LONGEST_FRAME };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &places[i],
						       .msg_iovlen = 1,
						       .msg_control = &controls[i],
						       .msg_controllen = sizeof(controls[i]) };
	}
	/* an interface that went down or away says so once; there is nothing to do about it */
	count = recvmmsg(source->fd, messages, BATCH, MSG_DONTWAIT, NULL);
	arrival = now();
	for (int i = 0; i < count; i++) {
		unsigned char tag[VLAN_TAG];
		bool tagged = vlan_tag(&messages[i].msg_hdr, tag);

		if (!(messages[i].msg_hdr.msg_flags & MSG_TRUNC))
			take(direction, buffers[i], messages[i].msg_len, tagged ? tag : NULL, arrival);
	}
}

uint64_t send_due(void)
{
	static int out = -1;
	uint64_t time = now();
	uint64_t next = NEVER;

	if (out < 0)
		out = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (out < 0)
		fail("packet socket");
	for (struct direction *direction = directions; direction; direction = direction->next) {
		struct sockaddr_ll to = { .sll_family = AF_PACKET,
					  .sll_ifindex = (int)direction->holding.out };
		struct frame *frame;

		while ((frame = direction->first) && frame->due <= time) {
			/* what its interface does not take is lost, as on a wire that is cut */
			sendto(out, frame->bytes, frame->length, MSG_DONTWAIT, (struct sockaddr *)&to,
			       sizeof(to));
			direction->first = frame->next;
			if (!direction->first)
				direction->end = &direction->first;
			direction->held -= frame->length;
			free(frame);
		}
		if (frame && frame->due < next)
			next = frame->due;
	}
	return next;
}

/* Frames merged into one would be longer than any that came. */
static int do_not_merge(int fd, unsigned int ifindex)
{
	struct ethtool_value off = { .cmd = ETHTOOL_SGRO, .data = 0 };
	struct ifreq request = { .ifr_data = (char *)&off };

	if (!if_indextoname(ifindex, request.ifr_name))
		return -1;
	return ioctl(fd, SIOCETHTOOL, &request);
}

static int listen_at(unsigned int ifindex)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = (int)ifindex };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	int on = 1;
	int room = RECEIVE_BUFFER;
	int error;

	if (fd < 0)
		return -1;
	if (do_not_merge(fd, ifindex) == 0 &&
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) == 0 &&
	    setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) == 0 &&
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

static bool same(const struct holding *a, const struct holding *b)
{
	return a->in == b->in && a->out == b->out && a->delay == b->delay && a->jitter == b->jitter &&
	       a->rate == b->rate && a->seed == b->seed;
}

bool hold(const struct holding *holding, bool anew)
{
	struct direction *direction = directions;
	int fd;

	while (direction && direction->holding.in != holding->in)
		direction = direction->next;
	if (direction && direction->holding.out == holding->out) {
		/* what is under way already stays so, and in front */
		if (anew || !same(&direction->holding, holding)) {
			direction->holding = *holding;
			direction->count = 0;
			direction->free_at = 0;
		}
		return true;
	}
	release(holding->in);
	fd = listen_at(holding->in);
	direction = fd < 0 ? NULL : calloc(1, sizeof(*direction));
	if (!direction)
		return false;
	*direction = (struct direction){ .source = { fd, receive }, .next = directions, .holding = *holding };
	direction->end = &direction->first;
	directions = direction;
	watch(&direction->source);
	return true;
}

static void release_at(struct direction **place)
{
	struct direction *direction = *place;

	*place = direction->next;
	close(direction->source.fd);
	while (direction->first) {
		struct frame *frame = direction->first;

		direction->first = frame->next;
		free(frame);
	}
	free(direction);
}

void release(unsigned int in)
{
	struct direction **place = &directions;

	while (*place) {
		if ((*place)->holding.in == in)
			release_at(place);
		else
			place = &(*place)->next;
	}
}

void release_others(const unsigned int *in, unsigned int count)
{
	struct direction **place = &directions;

	while (*place) {
		bool wanted = false;

		for (unsigned int i = 0; i < count; i++)
			wanted |= in[i] == (*place)->holding.in;
		if (wanted)
			place = &(*place)->next;
		else
			release_at(place);
	}
}
