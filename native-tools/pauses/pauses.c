// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Tells when a core did not run its most urgent thread for a while: the hypervisor took it, or the kernel was long at
 * something that it does not interrupt. A line `CORE FROM TO` each time, CLOCK_MONOTONIC in nanoseconds, until its input
 * ends. For benchmarks: no part of the data plane.
 *
 * Usage: pauses SHORTEST
 *	SHORTEST	of the pauses that are told, microseconds, 100 to 1 000 000
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../clock.h"

#define TICK_NS (250 * NS_PER_US)
/* Above the BFD sender and the stream: what holds this up holds up all of them. */
#define PRIORITY 90

static uint64_t shortest;

static void *watch(void *argument)
{
	unsigned int core = (unsigned int)(uintptr_t)argument;
	uint64_t due = now_ns();

	for (;;) {
		uint64_t woken;

		due += TICK_NS;
		sleep_until(due);
		woken = now_ns();
		if (woken - due >= shortest) {
			printf("%u %llu %llu\n", core, (unsigned long long)due, (unsigned long long)woken);
			due = woken;
		}
	}
	return NULL;
}

/* Returns an error's number, 0 if it runs. */
static int watch_core(unsigned int core)
{
	struct sched_param param = { .sched_priority = PRIORITY };
	pthread_attr_t attributes;
	pthread_t thread;
	cpu_set_t cores;
	int error;

	CPU_ZERO(&cores);
	CPU_SET(core, &cores);
	pthread_attr_init(&attributes);
	pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
	pthread_attr_setschedparam(&attributes, &param);
	pthread_attr_setaffinity_np(&attributes, sizeof(cores), &cores);
	error = pthread_create(&thread, &attributes, watch, (void *)(uintptr_t)core);
	pthread_attr_destroy(&attributes);
	return error;
}

int main(int argc, char **argv)
{
	char *end = NULL, byte;
	unsigned long us = argc == 2 ? strtoul(argv[1], &end, 10) : 0;
	cpu_set_t cores;

	if (us < 100 || us > 1000000 || *end) {
		fprintf(stderr, "usage: pauses SHORTEST (microseconds, 100 to 1000000)\n");
		return 2;
	}
	shortest = us * NS_PER_US;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (sched_getaffinity(0, sizeof(cores), &cores) < 0) {
		fprintf(stderr, "pauses: the cores: %s\n", strerror(errno));
		return 1;
	}
	for (unsigned int core = 0; core < CPU_SETSIZE; core++) {
		int error = CPU_ISSET(core, &cores) ? watch_core(core) : 0;

		if (error) {
			fprintf(stderr, "pauses: core %u: %s\n", core, strerror(error));
			return 1;
		}
	}
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}
