// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* stream send ADDRESS PORT SESSION INTERVAL-US COUNT BYTES | stream receive PORT SESSION */
#include "stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define USAGE 2
#define LONGEST_INTERVAL_US 10000000ULL
#define NS_PER_US 1000ULL

volatile sig_atomic_t stream_ended;

__u64 stream_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static void end(int signal)
{
	(void)signal;
	stream_ended = 1;
}

/* A whole number from `least` to `most`; else says so and ends. */
static __u64 number(const char *name, const char *text, __u64 least, __u64 most)
{
	char *rest;
	__u64 value;

	errno = 0;
	value = strtoull(text, &rest, 10);
	if (*text >= '0' && *text <= '9' && !*rest && !errno && value >= least && value <= most)
		return value;
	report("%s %s: a whole number from %llu to %llu", name, text, (unsigned long long)least,
	       (unsigned long long)most);
	exit(USAGE);
}

static void address(struct sockaddr_in6 *to, const char *text)
{
	char mapped[INET6_ADDRSTRLEN + 8];

	snprintf(mapped, sizeof(mapped), "%s%s", strchr(text, ':') ? "" : "::ffff:", text);
	if (inet_pton(AF_INET6, mapped, &to->sin6_addr) == 1)
		return;
	report("%s: an IPv4 or IPv6 address", text);
	exit(USAGE);
}

int main(int argc, char **argv)
{
	struct stream_options options = { .address = { .sin6_family = AF_INET6 } };
	struct sigaction action = { .sa_handler = end };

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	if (argc == 8 && !strcmp(argv[1], "send")) {
		address(&options.address, argv[2]);
		options.address.sin6_port = htons(number("PORT", argv[3], 1, 65535));
		options.session = number("SESSION", argv[4], 0, ~0ULL);
		options.interval = number("INTERVAL-US", argv[5], 1, LONGEST_INTERVAL_US) * NS_PER_US;
		options.count = number("COUNT", argv[6], 1, ~0U);
		options.bytes = number("BYTES", argv[7], sizeof(struct stream_head), MOST_BYTES);
		return stream_send(&options);
	}
	if (argc == 4 && !strcmp(argv[1], "receive")) {
		options.address.sin6_port = htons(number("PORT", argv[2], 1, 65535));
		options.session = number("SESSION", argv[3], 0, ~0ULL);
		return stream_receive(&options);
	}
	report("usage: stream send ADDRESS PORT SESSION INTERVAL-US COUNT BYTES | stream receive PORT SESSION");
	return USAGE;
}
