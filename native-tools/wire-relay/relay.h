/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the parts of wire-relay know of one another. Times are nanoseconds of CLOCK_MONOTONIC. */
#ifndef CABERNET_RELAY_H
#define CABERNET_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#define NEVER UINT64_MAX
#define SECOND 1000000000ULL

/* Something that the loop waits for. */
struct source {
	int fd;
	void (*ready)(struct source *source);
};

uint64_t now(void);
/* Exits with the reason. */
__attribute__((noreturn)) void fail(const char *what);
void watch(struct source *source);

/* How frames in one direction of a wire are held. */
struct holding {
	unsigned int in; /* index of the interface they come by */
	unsigned int out;
	uint64_t delay;
	uint64_t jitter; /* at most so much more */
	uint64_t rate;   /* bits a second; 0: as fast as they come */
	uint64_t seed;
};

/* False with errno. `anew`: also where the same is held already, numbers begin again. */
bool hold(const struct holding *holding, bool anew);
void release(unsigned int in);
/* Whatever comes by another interface is held no more. */
void release_others(const unsigned int *in, unsigned int count);
/* Sends what is due, and returns when the next frame is; NEVER without one. */
uint64_t send_due(void);

void serve(const char *path);
void follow_carriers(void);

#endif
