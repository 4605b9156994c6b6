// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Sends one frame again and again at a pace, each copy with its number, until its
 * input ends; then says how many. For benchmarks: no part of the data plane.
 *
 * Usage: paced INTERFACE RATE OFFSET FRAME
 *	RATE	frames a second, 1 to 10 000 000
 *	OFFSET	of four bytes in the frame, where the number goes, from 0 on, big-endian
 *	FRAME	in hexadecimal
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../clock.h"

#define BATCH 32
#define MAX_FRAME 1514
#define MAX_RATE 10e6
#define TICK_NS 200000
/* Who was held up this long goes on from here: what was due meanwhile is not sent all at once. */
#define MAX_LATE_NS 2000000ULL

static unsigned char frames[BATCH][MAX_FRAME];

static size_t parse_frame(const char *text)
{
	size_t length = strlen(text) / 2;

	if (strlen(text) % 2 || length > MAX_FRAME)
		return 0;
	for (size_t i = 0; i < length; i++) {
		unsigned int byte;

		if (sscanf(text + 2 * i, "%2x", &byte) != 1)
			return 0;
		for (size_t k = 0; k < BATCH; k++)
			frames[k][i] = (unsigned char)byte;
	}
	return length;
}

static int open_socket(const char *interface)
{
	int one = 1, room = 1 << 22, fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_ifindex = (int)if_nametoindex(interface),
	};

	if (fd < 0 || !address.sll_ifindex || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	return fd;
}

/* Returns how many were sent; the rest is tried again with the same numbers. */
static unsigned int send_some(int fd, uint32_t number, unsigned int count, size_t offset, size_t length)
{
	struct mmsghdr messages[BATCH] = {};
	struct iovec parts[BATCH];
	int sent;

	for (unsigned int i = 0; i < count; i++) {
		uint32_t wire = htonl(number + i);

		memcpy(frames[i] + offset, &wire, sizeof(wire));
		parts[i] = (struct iovec){ .iov_base = frames[i], .iov_len = length };
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	sent = sendmmsg(fd, messages, count, 0);
	return sent < 0 ? 0 : (unsigned int)sent;
}

static bool input_ended(void)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	char byte;

	return poll(&input, 1, 0) > 0 && read(STDIN_FILENO, &byte, 1) <= 0;
}

struct stream {
	int fd;
	size_t offset;
	size_t length;
	uint64_t gap; /* ns between two frames */
};

static bool parse_arguments(char **argv, struct stream *stream)
{
	double rate = strtod(argv[2], NULL);

	stream->offset = strtoul(argv[3], NULL, 10);
	stream->length = parse_frame(argv[4]);
	if (!(rate >= 1 && rate <= MAX_RATE) || stream->offset > MAX_FRAME ||
	    stream->offset + sizeof(uint32_t) > stream->length)
		return false;
	stream->gap = (uint64_t)((double)NS_PER_S / rate);
	return true;
}

/* Until the input ends; returns how many were sent. */
static uint32_t send_all(const struct stream *stream)
{
	uint64_t due = now_ns(), tick = due;
	uint32_t number = 0;

	while (!input_ended()) {
		uint64_t now = now_ns();

		if (now > due + MAX_LATE_NS)
			due = now;
		while (due <= now) {
			uint64_t owed = (now - due) / stream->gap + 1;
			unsigned int count = owed < BATCH ? (unsigned int)owed : BATCH;

			count = send_some(stream->fd, number, count, stream->offset, stream->length);
			number += count;
			due += count * stream->gap;
			if (!count)
				break;
		}
		tick += TICK_NS;
		if (tick < now)
			tick = now + TICK_NS;
		sleep_until(tick);
	}
	return number;
}

int main(int argc, char **argv)
{
	struct sched_param param = { .sched_priority = 1 };
	struct stream stream;

	if (argc != 5 || !parse_arguments(argv, &stream)) {
		fprintf(stderr, "usage: paced INTERFACE RATE OFFSET FRAME\n");
		return 2;
	}
	stream.fd = open_socket(argv[1]);
	if (stream.fd < 0) {
		fprintf(stderr, "paced: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	/* below the BFD sender, above what keeps the cores busy: the pace is a condition, not what is measured */
	if (sched_setscheduler(0, SCHED_FIFO, &param) < 0)
		fprintf(stderr, "paced: it runs without SCHED_FIFO: %s\n", strerror(errno));
	printf("%u\n", send_all(&stream));
	return 0;
}
