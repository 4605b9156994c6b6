// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Writes down number, time sent and time received of each datagram, until it is told to end. Its socket has room for
 * what comes while it does not run.
 */
#include "stream.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM (8 << 20)
#define LOOK_MS 20

static void write_down(const struct stream_options *options, const struct stream_head *head, ssize_t length)
{
	if (length < (ssize_t)sizeof(*head) || head->magic != STREAM_MAGIC ||
	    head->session != options->session)
		return;
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", (uint64_t)head->number, (uint64_t)head->sent,
	       (uint64_t)stream_now());
}

int stream_receive(const struct stream_options *options)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), room = ROOM;
	static char datagram[MOST_BYTES];
	struct pollfd look = { .fd = fd, .events = POLLIN };
	ssize_t length;

	/* FORCE: more than net.core.rmem_max, for who may */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	if (fd < 0 || bind(fd, (const struct sockaddr *)&options->address, sizeof(options->address)) < 0) {
		report("cannot receive there: %s", strerror(errno));
		return 1;
	}
	printf("listening\n");
	fflush(stdout);
	while (!stream_ended) {
		if (poll(&look, 1, LOOK_MS) <= 0) {
			fflush(stdout);
			continue;
		}
		length = recv(fd, datagram, sizeof(datagram), MSG_DONTWAIT);
		write_down(options, (struct stream_head *)datagram, length);
	}
	/* what is there already has arrived */
	while ((length = recv(fd, datagram, sizeof(datagram), MSG_DONTWAIT)) >= 0)
		write_down(options, (struct stream_head *)datagram, length);
	fflush(stdout);
	close(fd);
	return 0;
}
