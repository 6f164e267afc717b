/* SPDX-License-Identifier: Apache-2.0 */
/* What the server does wrong on purpose: options, and when it is done. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "ccdb/server.h"

bool seai_fault_hits(struct sea_ccdb_server *server, enum seai_fault fault, unsigned percent)
{
	uint64_t n;

	if (percent == 0)
		return false;
	/* Evenly: with 25 it is every fourth. */
	n = atomic_fetch_add_explicit(&server->n_of_fault[fault], 1, memory_order_relaxed);
	if ((n + 1) * percent / 100 == n * percent / 100)
		return false;
	atomic_fetch_add_explicit(&server->counters.n_faults, 1, memory_order_relaxed);
	return true;
}

void seai_fault_sleep(struct sea_ccdb_server *server, int64_t ms)
{
	struct pollfd stop = { .fd = server->stop_fd, .events = POLLIN };

	while (poll(&stop, 1, ms > INT32_MAX ? INT32_MAX : (int)ms) < 0 && errno == EINTR) {
	}
}

static int fault_number(const char *text, size_t n_name, uint64_t max, uint64_t *ret_number, struct sea_error *error)
{
	int64_t number;
	const int r = seai_url_time(text + n_name + 1, &number);

	if (r < 0 || (uint64_t)number > max || number == 0)
		return sea_error_set(error, -EINVAL, "fault", "%.64s: has to be 1 to %" PRIu64, text, max);
	*ret_number = (uint64_t)number;
	return 0;
}

int sea_ccdb_faults_parse(struct sea_ccdb_faults *faults, const char *text, struct sea_error *error)
{
	static const struct {
		const char *name;
		uint64_t max; /* 0: takes no number */
	} names[] = {
		{ "delay", 3600000 },
		{ "5xx", 100 },
		{ "cut", 100 },
		{ "wrong-length", 100 },
		{ "slow", UINT64_C(1) << 40 },
		{ "dead-replica-first", 0 },
		{ "alien-first", 0 },
		{ "replace-before-download", 0 },
	};
	const size_t n_name = strcspn(text, "=");
	uint64_t number = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strncmp(text, names[i].name, n_name) != 0 || names[i].name[n_name] ||
		    (text[n_name] == '=') != (names[i].max > 0))
			continue;
		if (names[i].max > 0 && fault_number(text, n_name, names[i].max, &number, error) < 0)
			return -EINVAL;
		switch (i) {
		case 0: faults->delay_ms = (unsigned)number; break;
		case 1: faults->error_percent = (unsigned)number; break;
		case 2: faults->cut_percent = (unsigned)number; break;
		case 3: faults->wrong_length_percent = (unsigned)number; break;
		case 4: faults->slow_bytes_per_s = number; break;
		case 5: faults->dead_replica_first = 1; break;
		case 6: faults->alien_first = 1; break;
		default: faults->replace_before_download = 1; break;
		}
		return 0;
	}
	return sea_error_set(
		error, -EINVAL, "fault",
		"%.64s: there are delay=MS, 5xx=PERCENT, cut=PERCENT, wrong-length=PERCENT, slow=BYTES_PER_S, "
		"dead-replica-first, alien-first, replace-before-download",
		text);
}
