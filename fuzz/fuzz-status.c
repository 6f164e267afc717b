/* SPDX-License-Identifier: Apache-2.0 */
/* The status file of a process, which any process of the user can write: whatever stands there, texts end and are printable. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "wire/monitor.h"

static void check_text(const char *text, size_t n_max)
{
	size_t n = strnlen(text, n_max);

	FUZZ_CHECK(n < n_max);
	for (size_t i = 0; i < n; i++)
		FUZZ_CHECK(text[i] >= ' ' && text[i] <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	static const char head[] = "sealane-status 1 7\n", end[] = "\nend 7\n";
	bool is_framed = n_bytes && data[0] % 4;
	size_t n = n_bytes + (is_framed ? strlen(head) + strlen(end) : 0);
	struct sea_monitor_snapshot *snapshot = calloc(1, sizeof(*snapshot));
	char *text = malloc(n ? n : 1), *at = text;

	FUZZ_CHECK(snapshot && text);
	/* Mostly whole files: what is not is refused at once. */
	if (is_framed)
		at = (char *)memcpy(at, head, strlen(head)) + strlen(head);
	if (n_bytes)
		at = (char *)memcpy(at, data, n_bytes) + n_bytes;
	if (is_framed)
		memcpy(at, end, strlen(end));
	snapshot->processes = calloc(1, sizeof(*snapshot->processes));
	FUZZ_CHECK(snapshot->processes);
	snapshot->n_processes = 1;
	if (seai_monitor_parse(snapshot, &snapshot->processes[0], text, n) == 0) {
		check_text(snapshot->processes[0].name, sizeof(snapshot->processes[0].name));
		check_text(snapshot->processes[0].state, sizeof(snapshot->processes[0].state));
		for (size_t i = 0; i < snapshot->n_heaps; i++)
			check_text(snapshot->heaps[i].name, sizeof(snapshot->heaps[i].name));
		for (size_t i = 0; i < snapshot->n_channels; i++)
			check_text(snapshot->channels[i].pattern, sizeof(snapshot->channels[i].pattern));
		for (size_t i = 0; i < snapshot->n_links; i++)
			FUZZ_CHECK(snapshot->links[i].latency_ns >= -1 && snapshot->links[i].waiting_ns >= -1);
		for (size_t i = 0; i < snapshot->n_addresses; i++)
			check_text(snapshot->addresses[i].name, sizeof(snapshot->addresses[i].name));
	}
	sea_monitor_free(snapshot);
	free(text);
	return 0;
}
