/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is kept across the lives of those who use it. Control lock held, unless it says otherwise. */
#ifndef SEALANE_WIRE_KEEPER_H
#define SEALANE_WIRE_KEEPER_H

#include "wire/wire.h"

/* The keeper's side: somebody wants memory by its name. */
void seai_keeper_on_ask(struct seai_conn *conn, const struct seai_control *control);
void seai_keeper_conn_gone(struct seai_wire *wire, const struct seai_conn *conn);
/* At the end of the session. No lock. */
void seai_keeper_free(struct seai_wire *wire);

/* The user's side, a hook: see memory/session.h. */
int seai_keeper_adopt(struct sea_session *session, const char *name, int64_t timeout_ns, int *ret_fd);

#endif
