// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * What wire-relay is told, in lines on a stream socket; each is answered with `ok`, or `error` and the reason.
 *
 *   ping
 *   hold IN OUT DELAY JITTER RATE SEED keep|anew   indices of interfaces, ns, ns, bit/s; see relay.h
 *   release IN
 *   only IN...                                     releases all others
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "relay.h"

#define LONGEST_LINE 262144

struct client {
	struct source source; /* first: the loop gives it back */
	size_t length;
	char text[LONGEST_LINE];
};

static bool obey_hold(const char *line)
{
	struct holding holding;
	char how[5];
	int length = 0;

	if (sscanf(line, "hold %u %u %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %4s%n", &holding.in,
		   &holding.out, &holding.delay, &holding.jitter, &holding.rate, &holding.seed, how,
		   &length) != 7 ||
	    line[length] != '\0') {
		errno = EINVAL;
		return false;
	}
	return hold(&holding, strcmp(how, "anew") == 0);
}

static bool obey_only(const char *numbers)
{
	unsigned int *in = malloc(strlen(numbers) * sizeof(*in) + 1);
	unsigned int count = 0;
	int length;

	if (!in)
		return false;
	while (sscanf(numbers, "%u%n", &in[count], &length) == 1) {
		numbers += length;
		count++;
	}
	release_others(in, count);
	free(in);
	return true;
}

static bool obey(const char *line)
{
	unsigned int in;

	if (strcmp(line, "ping") == 0)
		return true;
	if (strncmp(line, "hold ", 5) == 0)
		return obey_hold(line);
	if (strncmp(line, "only", 4) == 0)
		return obey_only(line + 4);
	if (sscanf(line, "release %u", &in) == 1) {
		release(in);
		return true;
	}
	errno = EINVAL;
	return false;
}

/* A client that does not read its answers is dropped. */
static bool answer(int fd, const char *line)
{
	char text[128] = "ok\n";

	if (!obey(line))
		snprintf(text, sizeof(text), "error %s\n", strerror(errno));
	return send(fd, text, strlen(text), MSG_DONTWAIT) == (ssize_t)strlen(text);
}

static void hear(struct source *source)
{
	struct client *client = (struct client *)source;
	ssize_t got = read(source->fd, client->text + client->length, LONGEST_LINE - client->length);
	bool good = got > 0;
	char *end;

	if (good)
		client->length += (size_t)got;
	while (good && (end = memchr(client->text, '\n', client->length))) {
		*end++ = '\0';
		good = answer(source->fd, client->text);
		client->length -= (size_t)(end - client->text);
		memmove(client->text, end, client->length);
	}
	if (good && client->length < LONGEST_LINE)
		return;
	close(source->fd);
	free(client);
}

static void welcome(struct source *source)
{
	int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *client = fd < 0 ? NULL : malloc(sizeof(*client));

	if (!client) {
		if (fd >= 0)
			close(fd);
		return;
	}
	client->source = (struct source){ fd, hear };
	client->length = 0;
	watch(&client->source);
}

/* Where it is looked for it is only once it listens. */
void serve(const char *path)
{
	static struct source source = { -1, welcome };
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int length = snprintf(at.sun_path, sizeof(at.sun_path), "%s.new", path);

	errno = ENAMETOOLONG;
	if (length < 0 || length >= (int)sizeof(at.sun_path))
		fail(path);
	unlink(at.sun_path);
	source.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (source.fd < 0 || bind(source.fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(source.fd, 16) < 0 || rename(at.sun_path, path) < 0)
		fail(path);
	watch(&source);
}
