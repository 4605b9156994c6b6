// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * wire-relay --socket PATH: of the wires of one testbed's world, holds back the frames of those that have a delay or a
 * rate, and takes the carrier away at one end of a wire whose other end has none. Runs in the namespace of the wires'
 * middles; what it is to do it is told on its socket (control.c).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "relay.h"

static int loop = -1;

uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

void fail(const char *what)
{
	fprintf(stderr, "wire-relay: %s: %s\n", what, strerror(errno));
	exit(1);
}

void watch(struct source *source)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = source };

	if (epoll_ctl(loop, EPOLL_CTL_ADD, source->fd, &event) < 0)
		fail("epoll_ctl");
}

static void run(void)
{
	struct epoll_event event;

	for (;;) {
		uint64_t due = send_due();
		uint64_t time = now();
		uint64_t rest = due > time ? due - time : 0;
		struct timespec patience = { .tv_sec = (time_t)(rest / SECOND),
					     .tv_nsec = (long)(rest % SECOND) };
		/* one at a time: what its turn closes and frees is then in no later event of the same call */
		int count = epoll_pwait2(loop, &event, 1, due == NEVER ? NULL : &patience, NULL);

		if (count < 0 && errno != EINTR)
			fail("epoll_pwait2");
		if (count > 0) {
			struct source *source = event.data.ptr;

			source->ready(source);
		}
	}
}

int main(int argc, char **argv)
{
	if (argc != 3 || strcmp(argv[1], "--socket") != 0) {
		fputs("usage: wire-relay --socket PATH\n", stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	loop = epoll_create1(EPOLL_CLOEXEC);
	if (loop < 0)
		fail("epoll_create1");
	follow_carriers();
	serve(argv[2]);
	run();
}
