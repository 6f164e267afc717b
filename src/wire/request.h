/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A question to another process that a thread of this one waits for, with a deadline: ASK and ANSWER of the control socket.
 * Control lock held, unless it says otherwise.
 */
#ifndef SEALANE_WIRE_REQUEST_H
#define SEALANE_WIRE_REQUEST_H

#include <sealane/meta.h>

#include "wire/wire.h"

/* Freed by who waits, or by the answer if that one has given up. */
struct seai_request {
	struct seai_request *next;
	struct seai_conn *conn;
	uint64_t id;
	struct sea_meta meta;         /* of a question about a part */
	_Atomic uint32_t is_answered; /* futex */
	int error;
	int fd; /* that came with the answer; -1 */
	bool is_hold;
	bool is_abandoned;
};

/* Sends a question, whose request_id is filled in; meta may be NULL. 0; -ENOMEM too many are open. */
int seai_request_send(struct seai_conn *conn, struct seai_control *control, const struct sea_meta *meta,
                      struct seai_request **ret_request);

/* Waits for the answer: its error; -ETIMEDOUT; -EINTR; -EAGAIN the peer is ending, ask again. ret_fd may be NULL. Control lock not held. */
int seai_request_wait(struct seai_wire *wire, struct seai_request *request, int64_t deadline_ns, int *ret_fd);

/* Waits a moment before the same is asked again. Not the control lock. 0; -ETIMEDOUT; -EINTR. */
int seai_request_pause(int64_t deadline_ns);

void seai_request_on_answer(struct seai_conn *conn, const struct seai_control *control, int *fd);
/* Nobody will answer on that connection any more. */
void seai_request_conn_gone(struct seai_wire *wire, const struct seai_conn *conn);
/* A hold that came and is not wanted. */
void seai_request_give_back(struct seai_conn *conn, const struct sea_meta *meta);
/* At the end of the session. No lock. */
void seai_requests_free(struct seai_wire *wire);

#endif
