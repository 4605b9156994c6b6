// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Sends by an absolute clock: after a pause that the machine forced on it, what was due meanwhile goes at once, and the
 * numbers keep to the clock. At the end it says how many were sent, and how many the kernel refused.
 */
#include "stream.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void sleep_until(__u64 time)
{
	struct timespec until = { .tv_sec = time / 1000000000, .tv_nsec = time % 1000000000 };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* An ICMP error of an earlier datagram is told at the next one, which is not sent: once more, then. */
static bool send_one(int fd, const void *datagram, __u32 bytes)
{
	for (int i = 0; i < 2; i++)
		if (send(fd, datagram, bytes, 0) >= 0)
			return true;
	return false;
}

int stream_send(const struct stream_options *options)
{
	static char datagram[MOST_BYTES];
	struct stream_head *head = (struct stream_head *)datagram;
	__u64 begin, refused = 0, number = 0;
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&options->address, sizeof(options->address)) < 0) {
		report("cannot send there: %s", strerror(errno));
		return 1;
	}
	head->magic = STREAM_MAGIC;
	head->session = options->session;
	begin = stream_now();
	printf("begin %" PRIu64 "\n", (uint64_t)begin);
	fflush(stdout);
	for (; number < options->count && !stream_ended; number++) {
		sleep_until(begin + number * options->interval);
		head->number = number;
		head->sent = stream_now();
		refused += !send_one(fd, datagram, options->bytes);
	}
	printf("sent %" PRIu64 " refused %" PRIu64 "\n", (uint64_t)number, (uint64_t)refused);
	close(fd);
	return 0;
}
