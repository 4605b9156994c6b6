// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
#include "maps.h"
#include "report.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

static int lock_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		report("%s can't be opened as a folder of pinned maps: %s.", folder, strerror(errno));
		return -1;
	}
	/* the descriptor, and with it the lock, is the process's until it ends */
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		report("another sender serves the maps in %s.", folder);
	else
		report("%s can't be locked: %s.", folder, strerror(errno));
	close(fd);
	return -1;
}

/* Elements of an array map lie one after the other, each on a multiple of 8 bytes. */
static void *map_memory(const char *path, size_t size, int protection, __u32 *entries)
{
	struct bpf_map_info info = {};
	__u32 length = sizeof(info);
	void *memory = NULL;
	int fd = bpf_obj_get(path);

	if (fd < 0) {
		report("there is no map pinned at %s: %s.", path, strerror(errno));
		return NULL;
	}
	if (bpf_obj_get_info_by_fd(fd, &info, &length) < 0 || info.type != BPF_MAP_TYPE_ARRAY ||
	    !(info.map_flags & BPF_F_MMAPABLE)) {
		report("%s is no array map that can be mapped into memory.", path);
	} else if (info.value_size != size) {
		report("%s has values of %u bytes, and this sender knows them with %zu: they are of two versions.",
		       path, info.value_size, size);
	} else {
		size = (size + 7) & ~(size_t)7;
		memory = mmap(NULL, size * info.max_entries, protection, MAP_SHARED, fd, 0);
		if (memory == MAP_FAILED) {
			report("%s can't be mapped into memory: %s.", path, strerror(errno));
			memory = NULL;
		}
		*entries = info.max_entries;
	}
	close(fd);
	return memory;
}

int maps_open(struct maps *maps, const char *folder)
{
	struct {
		const char *name;
		size_t size;
		int protection;
		void *memory;
	} wanted[] = {
		{ "sessions", sizeof(struct session), PROT_READ, NULL },
		{ "sessions_heard", sizeof(struct session_heard), PROT_READ, NULL },
		{ "session_states", sizeof(struct session_state), PROT_READ, NULL },
		{ "sessions_sent", sizeof(struct session_sent), PROT_READ | PROT_WRITE, NULL },
		{ "sweep_control", sizeof(struct sweep_control), PROT_READ, NULL },
	};
	const int control = 4;

	if (lock_folder(folder) < 0)
		return -1;
	maps->capacity = UINT_MAX;
	for (int i = 0; i <= control; i++) {
		char path[PATH_MAX];
		__u32 entries = 0;

		if (snprintf(path, sizeof(path), "%s/%s", folder, wanted[i].name) >= (int)sizeof(path)) {
			report("the name of the folder is too long.");
			return -1;
		}
		wanted[i].memory = map_memory(path, wanted[i].size, wanted[i].protection, &entries);
		if (!wanted[i].memory)
			return -1;
		if (i != control && entries < maps->capacity)
			maps->capacity = entries;
	}
	maps->sessions = wanted[0].memory;
	maps->heard = wanted[1].memory;
	maps->states = wanted[2].memory;
	maps->sent = wanted[3].memory;
	maps->control = wanted[control].memory;
	return 0;
}
