/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much may be in flight: messages that were sent and that anybody still holds. No channel comes back from the receivers: the memory
 * itself tells when its last holder has let go.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "device/device.h"

/* A wait that is longer is told, and again after each of these. */
#define FLIGHT_ALARM_NS (2 * SEAI_NS_PER_S)
#define FLIGHT_LOOK_MS 50
#define FLIGHT_N_HOLDERS 4

static void flight_take_done(struct sea_device *device)
{
	uint64_t cookies[64];
	int n;

	while ((n = sea_session_take_done(device->session, cookies, sizeof(cookies) / sizeof(cookies[0]))) > 0)
		device->flight.n_now -= (uint64_t)n < device->flight.n_now ? (uint64_t)n : device->flight.n_now;
}

/* Who holds most, as far as processes have names here. */
static void flight_name_holders(struct sea_device *device, char *text, size_t n_bytes)
{
	struct sea_heap_holder holders[FLIGHT_N_HOLDERS + 1];
	struct sea_heap *heap;
	size_t n_text = 0;
	int n = sea_device_heap(device, &heap) == 0 ? sea_heap_get_holders(heap, holders, FLIGHT_N_HOLDERS + 1) : 0;

	text[0] = 0;
	for (int i = 0; i < n && n_text < n_bytes; i++) {
		char name[64];

		if (sea_session_peer_name(device->session, holders[i].id, name, sizeof(name)) < 0)
			snprintf(name, sizeof(name), "%016llx", (unsigned long long)holders[i].id);
		n_text += (size_t)snprintf(text + n_text, n_bytes - n_text, "%s%s %llu (%.1f MB)", n_text ? ", " : "",
		                           name, (unsigned long long)holders[i].n_blocks,
		                           (double)holders[i].n_bytes / 1e6);
	}
}

int seai_flight_begin(struct sea_device *device, struct sea_message *message)
{
	struct seai_flight *flight = &device->flight;
	struct pollfd pollfd = { .events = POLLIN };
	int64_t since_ns;
	int r = sea_message_notify(message, ++flight->next_cookie);

	/* What has no memory of this process is not in flight in this sense. */
	if (r < 0)
		return 0;
	/* 1: it is counted already, for it is sent once more, or was sent elsewhere too. It comes back once. */
	if (r == 0)
		flight->n_now++;
	if (flight->n_now <= flight->n_max)
		return 0;
	flight_take_done(device);
	if (flight->n_now <= flight->n_max)
		return 0;
	since_ns = seai_now_ns();
	pollfd.fd = sea_session_done_fd(device->session);
	while (flight->n_now > flight->n_max) {
		char holders[400];
		uint64_t n_left_out;

		if (sea_machine_is_pending(device->machine))
			return -ECANCELED;
		(void)poll(&pollfd, 1, FLIGHT_LOOK_MS);
		flight_take_done(device);
		if (flight->n_now <= flight->n_max || seai_now_ns() - since_ns < FLIGHT_ALARM_NS ||
		    !sea_log_alarm_is_due(&flight->alarm, FLIGHT_ALARM_NS, &n_left_out))
			continue;
		flight_name_holders(device, holders, sizeof(holders));
		sea_log(SEA_SEVERITY_ALARM,
		        "waits since %.1f s: %llu messages are in flight (--max-in-flight); held by: %s",
		        (double)(seai_now_ns() - since_ns) / 1e9, (unsigned long long)flight->n_max, holders);
	}
	return 0;
}
