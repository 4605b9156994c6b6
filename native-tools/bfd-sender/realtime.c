// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "realtime.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

static bool become_fifo(int priority)
{
	struct sched_param param = { .sched_priority = priority };

	return sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param) == 0;
}

/* A cpu cgroup of version 1 has no real-time of its own; the root has. */
static void move_to_root(void)
{
	static const char *const roots[] = { "/sys/fs/cgroup/cpu/cgroup.procs",
					     "/sys/fs/cgroup/cgroup.procs" };

	for (size_t i = 0; i < sizeof(roots) / sizeof(*roots); i++) {
		int fd = open(roots[i], O_WRONLY | O_CLOEXEC);
		bool moved = fd >= 0 && write(fd, "0", 1) == 1;

		if (fd >= 0)
			close(fd);
		if (moved)
			return;
	}
}

int become_realtime(int priority, int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	if (cpu >= 0) {
		CPU_SET(cpu, &cpus);
		if (sched_setaffinity(0, sizeof(cpus), &cpus) < 0) {
			report("it can't be bound to CPU %d: %s.", cpu, strerror(errno));
			return -1;
		}
	}
	/* of use only where it does not become real-time */
	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	if (!become_fifo(priority)) {
		if (errno == EPERM)
			move_to_root();
		if (!become_fifo(priority))
			report("it runs without SCHED_FIFO, and may be late on a busy machine: %s.",
			       strerror(errno));
	}
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		report("its memory may be paged out: %s.", strerror(errno));
	return 0;
}
