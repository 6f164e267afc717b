/* SPDX-License-Identifier: Apache-2.0 */
/* Questions and answers; see request.h. */
#include "wire/request.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/kernel.h"
#include "base/point.h"
#include "memory/ledger.h"
#include "wire/records.h"

/* Questions that nobody waits for any more and that a stopped peer has not answered: each may bring a hold. */
#define REQUEST_N_MAX 65536u
/* Between two tries where a peer's backlog is full or it is ending just now. */
#define REQUEST_PAUSE_NS SEAI_NS_PER_MS

static void request_unlink(struct seai_wire *wire, struct seai_request *request)
{
	struct seai_request **at = &wire->requests;

	while (*at && *at != request)
		at = &(*at)->next;
	if (*at) {
		*at = request->next;
		wire->n_requests--;
	}
}

/* A hold that came when nobody wanted it any more, or that could not be used. */
void seai_request_give_back(struct seai_conn *conn, const struct sea_meta *meta)
{
	const struct seai_record record = { .op = SEAI_RECORD_RELEASE,
		                            .arena_id = meta->arena_id,
		                            .block_id = meta->block_id,
		                            .generation = meta->generation };

	(void)seai_records_write(conn, &record, 1, false);
}

static void request_answer(struct seai_wire *wire, struct seai_request *request, int error)
{
	if (request->is_abandoned) {
		if (request->is_hold && error == 0)
			seai_request_give_back(request->conn, &request->meta);
		request_unlink(wire, request);
		seai_close(request->fd);
		free(request);
		return;
	}
	request->error = error;
	/* release: pairs with the acquire of who waits */
	atomic_store_explicit(&request->is_answered, 1, memory_order_release);
	seai_futex_wake(&request->is_answered, 1);
}

void seai_request_on_answer(struct seai_conn *conn, const struct seai_control *control, int *fd)
{
	struct seai_wire *wire = conn->wire;
	struct seai_request *request = wire->requests;

	SEAI_POINT("resolve: answer received");
	while (request && (request->id != control->ask.request_id || request->conn != conn ||
	                   atomic_load_explicit(&request->is_answered, memory_order_relaxed)))
		request = request->next;
	if (!request) {
		wire->n_refused++;
		return;
	}
	request->fd = *fd >= 0 ? seai_take_fd(fd) : -1;
	request_answer(wire, request, control->ask.error < 0 && control->ask.error > -4096 ? control->ask.error : 0);
}

void seai_request_conn_gone(struct seai_wire *wire, const struct seai_conn *conn)
{
	for (struct seai_request *request = wire->requests, *next; request; request = next) {
		next = request->next;
		if (request->conn == conn && !atomic_load_explicit(&request->is_answered, memory_order_relaxed))
			request_answer(wire, request, -EAGAIN);
	}
}

int seai_request_send(struct seai_conn *conn, struct seai_control *control, const struct sea_meta *meta,
                      struct seai_request **ret_request)
{
	struct seai_wire *wire = conn->wire;
	struct seai_request *request = wire->n_requests < REQUEST_N_MAX ? calloc(1, sizeof(*request)) : NULL;

	if (!request)
		return -ENOMEM;
	request->conn = conn;
	request->id = ++wire->last_request_id;
	request->fd = -1;
	if (meta)
		request->meta = *meta;
	request->is_hold = control->ask.flags & SEAI_ASK_HOLD;
	request->next = wire->requests;
	wire->requests = request;
	wire->n_requests++;
	control->ask.request_id = request->id;
	seai_control_send(conn, control, NULL, 0);
	*ret_request = request;
	return 0;
}

int seai_request_wait(struct seai_wire *wire, struct seai_request *request, int64_t deadline_ns, int *ret_fd)
{
	int r = 0;

	while (r == 0 && !atomic_load_explicit(&request->is_answered, memory_order_acquire))
		r = seai_futex_wait(&request->is_answered, 0, deadline_ns);
	SEAI_LOCKED(&wire->control, control);
	if (!atomic_load_explicit(&request->is_answered, memory_order_acquire)) {
		request->is_abandoned = true; /* its answer frees it */
		return r;
	}
	r = request->error;
	request_unlink(wire, request);
	if (ret_fd && r == 0)
		*ret_fd = seai_take_fd(&request->fd);
	seai_close(request->fd);
	free(request);
	return r;
}

int seai_request_pause(int64_t deadline_ns)
{
	_Atomic uint32_t never = 0;
	int64_t pause_ns = seai_now_ns() + REQUEST_PAUSE_NS;

	if (seai_futex_wait(&never, 0, pause_ns < deadline_ns ? pause_ns : deadline_ns) == -EINTR)
		return -EINTR;
	return seai_now_ns() >= deadline_ns ? -ETIMEDOUT : 0;
}

void seai_requests_free(struct seai_wire *wire)
{
	while (wire->requests) {
		struct seai_request *next = wire->requests->next;

		seai_close(wire->requests->fd);
		free(wire->requests);
		wire->requests = next;
	}
}
