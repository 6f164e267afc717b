/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records: what a holder tells an owner about the owner's blocks, through a ring that only the holder writes.
 *
 * Several records that belong together are published by one store, so that a death leaves all of them or none.
 * A writer never waits: releases that find the ring full (a stopped owner) go to a private list and follow in order.
 */
#ifndef SEALANE_WIRE_RECORDS_H
#define SEALANE_WIRE_RECORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "wire/wire.h"

int seai_records_init(struct seai_conn *conn, int *ret_peer_fd);
/* Their hello came: their tail can be read, and what they write to us. */
void seai_records_start_reader(struct seai_conn *conn, const struct seai_side *theirs);
void seai_records_stop(struct seai_conn *conn);

/*
 * Writes records as one. 0; -EAGAIN no room and must_be_now (grants have to be there before their descriptor); -EOWNERDEAD the connection is dead.
 */
int seai_records_write(struct seai_conn *conn, const struct seai_record *records, size_t n_records, bool must_be_now);

/* Records for one owner, as a part of something that concerns several. */
struct seai_records_group {
	struct seai_conn *owner;
	const struct seai_record *records;
	size_t n_records;
	uint64_t position; /* seai_records_write_groups() notes where its writer was */
};

/*
 * Writes records to several owners, all or none of them: 0; -EAGAIN one has no room. Owners whose connection is dead are passed over.
 */
int seai_records_write_groups(struct seai_records_group *groups, size_t n_groups);

/* As the hook: gives back what messages hold of other owners. */
void seai_records_release(struct sea_session *session, struct sea_message *const *messages, size_t n_messages);
/* The same, saying that nobody ever looked at it. */
void seai_records_return(struct sea_session *session, struct sea_message *message);

/* Counts references to an arena as given back. */
void seai_attached_give(struct sea_session *session, struct seai_attached *attached, uint64_t n);

/* Writes out what waits for room. */
void seai_records_flush(struct seai_conn *conn);

/* Hooks: applies what holders wrote; asks them to wake us when they write more. Books lock held. */
bool seai_records_drain(struct sea_session *session);
void seai_records_arm(struct sea_session *session);

/* Notes what is stuck; when all hellos and rings were read after that, what is stuck still is about the dead, or a lie. Books lock held. */
void seai_records_doubt_stuck(struct sea_session *session);
void seai_records_discard_stuck(struct sea_session *session);

#endif
