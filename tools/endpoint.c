/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions, channels and signals of record, replay and tap; see endpoint.h. */
#include "endpoint.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command.h"
#include "terminal.h"

#define N_CHANNELS_MAX 4

static const struct endpoint_pattern patterns[] = {
	{ "push", SEA_PUSH, true, false }, { "pull", SEA_PULL, false, true }, { "pair", SEA_PAIR, true, true },
	{ "pub", SEA_PUB, true, false },   { "sub", SEA_SUB, false, true },
};

#define N_PATTERNS (sizeof(patterns) / sizeof(patterns[0]))

volatile sig_atomic_t endpoint_stop_signal;

/* What the handler interrupts. Filled before the signals are caught, or by one pointer at a time. */
static struct sea_channel *volatile signal_channels[N_CHANNELS_MAX];

static void on_signal(int number)
{
	endpoint_stop_signal = number;
	for (unsigned i = 0; i < N_CHANNELS_MAX; i++)
		if (signal_channels[i])
			sea_channel_interrupt(signal_channels[i]);
}

int endpoint_catch_signals(const char *command)
{
	/* Not restarted: a sleep ends as well. */
	struct sigaction action = { .sa_handler = on_signal };

	if (sigaction(SIGINT, &action, NULL) == 0 && sigaction(SIGTERM, &action, NULL) == 0)
		return 0;
	terminal_error(command, "cannot set a signal handler: %s", strerror(errno));
	return -errno;
}

const struct endpoint_pattern *endpoint_pattern_find(struct options *options, bool sends)
{
	char names[128] = "";

	for (size_t i = 0; i < N_PATTERNS; i++) {
		size_t n = strlen(names);

		if (!(sends ? patterns[i].can_send : patterns[i].can_receive))
			continue;
		if (strcmp(options->value, patterns[i].name) == 0)
			return &patterns[i];
		snprintf(names + n, sizeof(names) - n, "%s%s", n ? ", " : "", patterns[i].name);
	}
	options_wrong(options, "--%s: '%s' is none of %s", options->current->name, options->value, names);
	return NULL;
}

int endpoint_session_open(struct sea_session **ret_session, const char *command, const char *session,
                          struct sea_session_options *options, const struct sea_shm_options *shm)
{
	int r;

	sea_shm_options_apply(shm, options, NULL);
	if (session)
		options->name = session;
	r = sea_session_open(ret_session, options);
	if (r < 0)
		terminal_error(command, "cannot open session %s: %s", session ? session : "", sea_error_text(r));
	return r;
}

const char *endpoint_session_name(const struct sea_session_options *options)
{
	const char *name = options->name ? options->name : getenv("SEALANE_SESSION");

	return name && *name ? name : "default";
}

bool endpoint_is_remote(const char *address)
{
	address += strspn(address, "@+>") ? 1 : 0;
	return strncmp(address, "tcp://", 6) == 0;
}

/* Before it is connected: a publisher counts a subscriber from its first topic on, and must know all of them then. */
static int channel_subscribe(struct sea_channel *channel, const struct endpoint *endpoint)
{
	int r = 0;

	if (endpoint->pattern != SEA_SUB)
		return 0;
	if (endpoint->n_prefixes == 0)
		return sea_channel_subscribe(channel, NULL, 0);
	for (size_t i = 0; i < endpoint->n_prefixes && r == 0; i++)
		r = sea_channel_subscribe(channel, endpoint->prefixes[i], strlen(endpoint->prefixes[i]));
	return r;
}

/* What the handler interrupts from here on. */
static void channel_note(struct sea_channel *channel)
{
	for (unsigned i = 0; i < N_CHANNELS_MAX; i++)
		if (!signal_channels[i]) {
			signal_channels[i] = channel;
			return;
		}
}

int endpoint_channel_open(struct sea_channel **ret_channel, struct sea_session *session, const char *command,
                          const struct endpoint *endpoint)
{
	struct sea_channel_options options = endpoint->options;
	const char *address = endpoint->address;
	bool binds = address[0] == '@' || (endpoint->binds && address[0] != '+' && address[0] != '>');
	struct sea_channel *channel;
	int r;

	address += strspn(address, "@+>") ? 1 : 0;
	if (endpoint_is_remote(address)) {
		options.transport = SEA_TRANSPORT_ZEROMQ;
		/* What went over a network does not come back. */
		options.orphans = SEA_ORPHANS_DROP;
	}
	r = sea_channel_new(&channel, session, endpoint->pattern, &options);
	if (r < 0) {
		terminal_error(command, "cannot make a channel: %s", sea_error_text(r));
		return r;
	}
	r = channel_subscribe(channel, endpoint);
	if (r == 0)
		r = binds ? sea_channel_bind(channel, address) : sea_channel_connect(channel, address);
	if (r < 0) {
		terminal_error(command, "cannot %s address %s: %s", binds ? "bind to" : "connect to", address,
		               sea_error_text(r));
		sea_channel_close(channel);
		return r;
	}
	channel_note(channel);
	*ret_channel = channel;
	return 0;
}

void endpoint_channels_close(struct sea_channel **channels, unsigned n_channels)
{
	/* No handler runs on a channel that is going. */
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	for (unsigned i = 0; i < N_CHANNELS_MAX; i++)
		signal_channels[i] = NULL;
	for (unsigned i = 0; i < n_channels; i++)
		channels[i] = sea_channel_close(channels[i]);
}

bool endpoint_is_again(int r)
{
	return r == -ETIMEDOUT || r == -EAGAIN || r == -EINTR || r == -ECANCELED;
}

int64_t endpoint_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * SECOND_NS + now.tv_nsec;
}
