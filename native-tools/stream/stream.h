/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A constant stream of numbered datagrams, and who writes down which of them arrive when. */
#ifndef STREAM_H
#define STREAM_H

#include <linux/types.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>

#define STREAM_MAGIC 0x43616265726e6574ULL
#define MOST_BYTES 9000

/* In front of each datagram, in host order: both ends are on one host, and have one clock. */
struct stream_head {
	__u64 magic;
	__u64 session; /* of one sender: a late datagram of an earlier one is none of ours */
	__u64 number;
	__u64 sent; /* CLOCK_MONOTONIC, ns */
};

struct stream_options {
	struct sockaddr_in6 address; /* IPv4 ones mapped (RFC 4291 §2.5.5.2) */
	__u64 session;
	__u64 interval; /* ns */
	__u64 count;
	__u32 bytes; /* of a datagram's payload */
};

#define report(format, ...) fprintf(stderr, "stream: " format "\n" __VA_OPT__(, ) __VA_ARGS__)

/* Set by SIGTERM and SIGINT. */
extern volatile sig_atomic_t stream_ended;

__u64 stream_now(void);

/* Both return the exit status. What happens is written to stdout, a line each. */
int stream_send(const struct stream_options *options);
int stream_receive(const struct stream_options *options);

#endif
