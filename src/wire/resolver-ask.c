/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the owner of an arena to show it, and to hold a block of it. */
#include "wire/resolver.h"

#include <errno.h>

#include "base/clock.h"
#include "base/point.h"
#include "memory/message.h"
#include "wire/request.h"
#include "wire/resolver-table.h"

/* What can be found without asking: what came with messages, or was left by a dead owner. Control lock held. 0; -EAGAIN ask; an error. */
static int ask_nobody(struct seai_wire *wire, const struct sea_meta *meta, struct seai_conn **ret_conn)
{
	struct seai_attached *attached;
	int r = seai_conn_get(wire, meta->owner_id, ret_conn);

	if (r == -ENOENT || r == -ECONNREFUSED) {
		/* Whoever gave it to us. */
		attached = seai_attachment_find(wire, NULL, meta->owner_id, meta->arena_id);
		return attached ? seai_resolver_add(wire, attached) : -EOWNERDEAD;
	}
	if (r < 0)
		return r;
	seai_attachment_owner_found(wire, *ret_conn);
	attached = seai_attachment_find(wire, *ret_conn, meta->owner_id, meta->arena_id);
	return attached ? seai_resolver_add(wire, attached) : -EAGAIN;
}

static int ask_send(struct seai_conn *conn, const struct sea_meta *meta, bool is_hold,
                    struct seai_request **ret_request)
{
	struct seai_control control = { .type = SEAI_CONTROL_ASK };

	control.ask.generation = meta->generation;
	control.ask.arena_id = meta->arena_id;
	control.ask.block_id = meta->block_id;
	control.ask.flags = is_hold ? SEAI_ASK_HOLD : 0;
	conn->wire->attach_error = 0;
	/* Right behind our hello, if the connection is new: it need not be answered first. */
	SEAI_POINT("resolve: before the question");
	return seai_request_send(conn, &control, meta, ret_request);
}

int seai_resolver_ask(struct sea_session *session, const struct sea_meta *meta, bool is_hold, int64_t timeout_ns,
                      struct seai_conn **ret_conn)
{
	struct seai_wire *wire = session->wire;
	int64_t deadline_ns = seai_deadline(timeout_ns);

	if (session->hooks->is_service_thread(session))
		return -EDEADLK;
	for (;;) {
		struct seai_request *request = NULL;
		int r;

		*ret_conn = NULL;
		seai_lock_take(&wire->control);
		r = ask_nobody(wire, meta, ret_conn);
		if ((r == 0 && (!is_hold || !*ret_conn)) || (r < 0 && r != -EAGAIN) || timeout_ns == 0) {
			seai_lock_release(&wire->control);
			return r == 0 && is_hold && *ret_conn ? -EAGAIN : r;
		}
		r = *ret_conn ? ask_send(*ret_conn, meta, is_hold, &request) : -EAGAIN;
		seai_lock_release(&wire->control);
		if (request)
			r = seai_request_wait(wire, request, deadline_ns, NULL);
		if (r == 0 && !is_hold) {
			/* What was shown is there; what could not be mapped is not. */
			seai_lock_take(&wire->control);
			r = ask_nobody(wire, meta, ret_conn);
			if (r == -EAGAIN && *ret_conn && wire->attach_error)
				r = wire->attach_error;
			seai_lock_release(&wire->control);
		}
		if (r != -EAGAIN)
			return r;
		/* It is ending, or its backlog is full. */
		r = seai_request_pause(deadline_ns);
		if (r < 0)
			return r;
	}
}
