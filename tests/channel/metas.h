/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of all kinds of memory, and metas of their parts: what the tests of metas share. */
#ifndef SEALANE_TEST_CHANNEL_METAS_H
#define SEALANE_TEST_CHANNEL_METAS_H

#include <stddef.h>
#include <stdint.h>

#include "peers.h"

/* In a block, in the message object, several blocks in one, immutable. */
#define METAS_N_KINDS 4u

/* A message of one of the kinds of memory; n fills the part that metas_part() names. */
struct sea_message *metas_make(struct sea_session *session, unsigned kind, uint64_t n);
/* Which part of such a message is looked at, and its size. */
size_t metas_part(unsigned kind);
size_t metas_size(unsigned kind);

struct sea_meta metas_of(struct sea_message *message, size_t index);
/* The name does not depend on who makes it, nor on when. */
void metas_check_same(const struct sea_meta *meta, struct sea_message *message, size_t index);
/* It leads to that part of metas_make(). */
void metas_check_resolves(struct sea_session *session, const struct sea_meta *meta, unsigned kind, uint64_t n);

#endif
