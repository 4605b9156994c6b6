// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * The sender of a machine's BFD packets: reads from pinned maps what each
 * session is to say, and hands packets to the data plane over a veth, on time.
 * It has no state of its own that matters: whoever starts it again, or does
 * not, changes no session. It ends by a signal, or when its interface goes.
 */
#include "clock.h"
#include "realtime.h"
#include "report.h"
#include "sender.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

#define USAGE "usage: bfd-sender --maps FOLDER --interface NAME [--priority 1-99] [--cpu N]"
#define STATUS_USAGE 2
#define DEFAULT_PRIORITY 10
#define MAX_PRIORITY 99

/* Between questions whether the interface is there, with nothing to send. */
#define THERE_PERIOD (100 * NS_PER_MS)
/* It sleeps at least this share of the time that it has worked: too many sessions are late, and the machine lives on. */
#define REST_SHARE 4

struct options {
	const char *maps;
	const char *interface;
	long priority;
	long cpu; /* -1: any */
};

/* False: that is no whole number from `least` to `most`. */
static bool number(const char *text, long least, long most, long *value)
{
	char *end;

	errno = 0;
	*value = strtol(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && !errno && *value >= least && *value <= most;
}

static int parse(int argc, char **argv, struct options *options)
{
	static const struct option known[] = {
		{ "maps", required_argument, NULL, 'm' },
		{ "interface", required_argument, NULL, 'i' },
		{ "priority", required_argument, NULL, 'p' },
		{ "cpu", required_argument, NULL, 'c' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", known, NULL)) != -1) {
		bool fine = true;

		if (option == 'm')
			options->maps = optarg;
		else if (option == 'i')
			options->interface = optarg;
		else if (option == 'p')
			fine = number(optarg, 1, MAX_PRIORITY, &options->priority);
		else if (option == 'c')
			fine = number(optarg, 0, CPU_SETSIZE - 1, &options->cpu);
		else if (option == ':')
			return report("%s needs a value; " USAGE, argv[optind - 1]), -1;
		else
			return report("it knows no %s; " USAGE, argv[optind - 1]), -1;
		if (!fine)
			return report("%s is out of range; " USAGE, optarg), -1;
	}
	if (optind < argc)
		return report("it knows no %s; " USAGE, argv[optind]), -1;
	if (!options->maps || !*options->maps || !options->interface || !*options->interface)
		return report("it needs --maps and --interface; " USAGE), -1;
	return 0;
}

static void serve(struct sender *sender)
{
	__u64 now = clock_now(), look = now, there = now + THERE_PERIOD;

	while (sender_send(sender, now) == 0) {
		__u64 done, wake;

		if (now >= look) {
			sender_look(sender, now);
			look = now + sender->look;
			if (sender_send(sender, now) < 0)
				return;
		}
		if (now >= there) {
			if (!transmitter_there(&sender->transmitter))
				return;
			there = now + THERE_PERIOD;
		}
		done = clock_now();
		wake = schedule_next(&sender->schedule);
		if (wake > look)
			wake = look;
		if (wake < done + (done - now) / REST_SHARE)
			wake = done + (done - now) / REST_SHARE;
		sleep_until(wake);
		now = clock_now();
	}
}

int main(int argc, char **argv)
{
	struct options options = { .priority = DEFAULT_PRIORITY, .cpu = -1 };
	static struct sender sender;

	if (parse(argc, argv, &options) < 0)
		return STATUS_USAGE;
	/* whoever has started it, and reads what it says, may end */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (maps_open(&sender.maps, options.maps) < 0 ||
	    transmitter_open(&sender.transmitter, options.interface) < 0)
		return EXIT_FAILURE;
	if (become_realtime((int)options.priority, (int)options.cpu) < 0)
		return EXIT_FAILURE;
	if (sender_begin(&sender) < 0) {
		report("there is no memory for its sessions.");
		return EXIT_FAILURE;
	}
	serve(&sender);
	report("interface %s has gone.", options.interface);
	return EXIT_FAILURE;
}
