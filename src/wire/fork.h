/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork(): the child has none of the shared mappings (MADV_DONTFORK) and closes the descriptors, so that no socket,
 * pipe or memory of the parent outlives it there; every call in the child returns -EPERM.
 */
#ifndef SEALANE_WIRE_FORK_H
#define SEALANE_WIRE_FORK_H

struct sea_session;

/* 0 or -ENOMEM. */
int seai_fork_add(struct sea_session *session);
void seai_fork_remove(struct sea_session *session);

#endif
