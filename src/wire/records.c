/* SPDX-License-Identifier: Apache-2.0 */
/* The writing half of records; see records.h. The reading half is in records-read.c. */
#include "wire/records.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fence.h"
#include "base/point.h"
#include "memory/message.h"
#include "wire/side.h"

#define RECORDS_MASK (SEAI_RECORD_RING_N_UNITS - 1)
/* Releases of one message written at once; a larger message goes in several goes, its head first. */
#define RECORDS_BATCH 64

static struct seai_unit *side_units(struct seai_side *side)
{
	return (struct seai_unit *)(void *)(side + 1);
}

static uint64_t unit_lap(uint64_t position)
{
	return 1 + (position / SEAI_RECORD_RING_N_UNITS) % 15;
}

static unsigned record_n_units(const struct seai_record *record)
{
	return record->op == SEAI_RECORD_RELEASE || record->op == SEAI_RECORD_RETURN ? 1 : SEAI_GRANT_N_UNITS;
}

int seai_records_init(struct seai_conn *conn, int *ret_peer_fd)
{
	struct seai_side *mine;
	int r = seai_side_new(&mine, ret_peer_fd, conn->wire->session->id, 0, SEAI_RECORD_RING_N_UNITS,
	                      sizeof(struct seai_unit));

	if (r < 0)
		return r;
	/* Nobody waits for records before it says so. */
	atomic_store_explicit(&mine->want_data, UINT64_MAX, memory_order_relaxed);
	conn->writer.mine = mine;
	conn->reader.mine = mine;
	return 0;
}

static inline void writer_put_unit(struct seai_record_writer *writer, uint64_t position, uint64_t value,
                                   uint64_t control, memory_order order)
{
	struct seai_unit *unit = &side_units(writer->mine)[position & RECORDS_MASK];

	atomic_store_explicit(&unit->value, value, memory_order_relaxed);
	/* The last one of a batch to be written, its first unit, is the one with release; pairs with the acquire in the reader. */
	atomic_store_explicit(&unit->control, control | unit_lap(position) << SEAI_UNIT_LAP_SHIFT, order);
}

static uint64_t writer_room(struct seai_record_writer *writer)
{
	uint64_t used = writer->position - writer->tail_cached;

	if (used >= SEAI_RECORD_RING_N_UNITS / 2 && writer->theirs) {
		/* acquire: pairs with the release of the reader's tail, after which it reads those units no more */
		uint64_t tail = atomic_load_explicit(&writer->theirs->tail, memory_order_acquire);

		/* A tail that jumps beyond what was written, or back, is a lie; it would only hurt the liar's own reading. */
		if (tail - writer->tail_cached <= used)
			writer->tail_cached = tail;
		used = writer->position - writer->tail_cached;
	}
	return SEAI_RECORD_RING_N_UNITS - used;
}

/* Puts records that fit; all become visible at once. */
static void writer_publish(struct seai_record_writer *writer, const struct seai_record *records, size_t n_records,
                           unsigned n_units)
{
	uint64_t position = writer->position + n_units;

	for (size_t i = n_records; i > 0; i--) {
		const struct seai_record *record = &records[i - 1];
		const uint64_t more[] = { record->target_id, record->link_id, record->position, record->published };
		unsigned n = record_n_units(record);

		for (unsigned j = n - 1; j > 0; j--)
			writer_put_unit(writer, --position, more[j - 1], (uint64_t)SEAI_UNIT_DATA << SEAI_UNIT_OP_SHIFT,
			                memory_order_relaxed);
		SEAI_POINT("records: before the first unit of a record");
		position--;
		writer_put_unit(writer, position, (uint64_t)record->arena_id << 32 | record->block_id,
		                (record->generation & SEAI_RECORD_GENERATION_MASK) |
		                        (uint64_t)(record->op | (record->has_token ? SEAI_UNIT_TOKEN : 0))
		                                << SEAI_UNIT_OP_SHIFT,
		                i == 1 ? memory_order_release : memory_order_relaxed);
	}
	SEAI_POINT("records: published, position not kept");
	writer->position += n_units;
}

/* Wakes the owner if it asked for it, or if the ring is more than half full: then it does not look by itself often enough. */
static bool writer_must_wake(struct seai_conn *conn, uint64_t old_position)
{
	struct seai_record_writer *writer = &conn->writer;
	const uint64_t half = SEAI_RECORD_RING_N_UNITS / 2, quarter = half / 2;
	uint64_t want;

	if (!writer->theirs)
		return false;
	seai_fence_light(atomic_load_explicit(&conn->asymmetric, memory_order_relaxed));
	want = atomic_load_explicit(&writer->theirs->want_data, memory_order_relaxed);
	if (want - old_position < writer->position - old_position)
		return true;
	/* Its tail is a line that it writes: looked at four times a round. */
	return SEAI_UNLIKELY(old_position / quarter != writer->position / quarter) &&
	       writer->position - atomic_load_explicit(&writer->theirs->tail, memory_order_relaxed) > half;
}

static void writer_wake(struct seai_conn *conn, uint64_t old_position)
{
	struct seai_control control = { .type = SEAI_CONTROL_WAKE };

	if (SEAI_LIKELY(!writer_must_wake(conn, old_position)))
		return;
	/* A full socket means that the owner has been woken. The lock is held, so that the connection cannot end meanwhile. */
	SEAI_POINT("records: owner not woken");
	(void)seai_control_try_send(conn, &control, NULL, 0);
}

static int writer_keep(struct seai_record_writer *writer, const struct seai_record *records, size_t n_records)
{
	if (writer->n_waiting + n_records > writer->n_waiting_max) {
		size_t n_max = 2 * (writer->n_waiting + n_records) + 64;
		struct seai_record *waiting = realloc(writer->waiting, n_max * sizeof(*waiting));

		if (!waiting)
			return -ENOMEM; /* the block stays held until this process ends: nothing better is left to do */
		writer->waiting = waiting;
		writer->n_waiting_max = n_max;
	}
	SEAI_POINT("records: no room");
	memcpy(writer->waiting + writer->n_waiting, records, n_records * sizeof(*records));
	writer->n_waiting += n_records;
	/* The owner rings when it has read on. */
	atomic_store_explicit(&writer->mine->want_room, writer->tail_cached, memory_order_relaxed);
	return 0;
}

/* Writes what waits, as far as there is room. Lock held. */
static void writer_flush(struct seai_record_writer *writer)
{
	size_t n = 0;

	while (n < writer->n_waiting && writer_room(writer) >= record_n_units(&writer->waiting[n])) {
		writer_publish(writer, &writer->waiting[n], 1, record_n_units(&writer->waiting[n]));
		n++;
	}
	writer->n_waiting -= n;
	memmove(writer->waiting, writer->waiting + n, writer->n_waiting * sizeof(*writer->waiting));
	if (writer->n_waiting)
		atomic_store_explicit(&writer->mine->want_room, writer->tail_cached, memory_order_relaxed);
}

void seai_records_flush(struct seai_conn *conn)
{
	struct seai_record_writer *writer = &conn->writer;

	{
		SEAI_LOCKED(&writer->lock, lock);
		if (writer->mine && writer->n_waiting) {
			uint64_t old = writer->position;

			writer_flush(writer);
			if (writer->n_waiting) {
				/* Full still: arm, and look once more. */
				seai_fence_heavy(atomic_load_explicit(&conn->asymmetric, memory_order_relaxed));
				writer_flush(writer);
			}
			if (writer->position != old)
				writer_wake(conn, old);
		}
	}
}

int seai_records_write(struct seai_conn *conn, const struct seai_record *records, size_t n_records, bool must_be_now)
{
	struct seai_record_writer *writer = &conn->writer;
	unsigned n_units = 0;
	bool must_poke = false;
	uint64_t old;
	int r = 0;

	for (size_t i = 0; i < n_records; i++)
		n_units += record_n_units(&records[i]);
	{
		SEAI_LOCKED(&writer->lock, lock);
		if (SEAI_UNLIKELY(!writer->mine))
			return -EOWNERDEAD;
		old = writer->position;
		if (SEAI_UNLIKELY(writer->n_waiting))
			writer_flush(writer);
		if (SEAI_LIKELY(!writer->n_waiting && writer_room(writer) >= n_units)) {
			writer_publish(writer, records, n_records, n_units);
		} else if (must_be_now) {
			r = -EAGAIN;
		} else {
			r = writer_keep(writer, records, n_records);
			must_poke = r == 0;
		}
		/* Also where only what had waited was published: an owner that asked to be woken is asleep. */
		if (SEAI_LIKELY(writer->position != old))
			writer_wake(conn, old);
	}
	if (SEAI_UNLIKELY(must_poke))
		seai_wire_poke(conn->wire);
	return r;
}

static int group_compare(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const struct seai_records_group *)a)->owner;
	uintptr_t y = (uintptr_t)((const struct seai_records_group *)b)->owner;

	return (x > y) - (x < y);
}

static unsigned records_n_units(const struct seai_record *records, size_t n_records)
{
	unsigned n = 0;

	for (size_t i = 0; i < n_records; i++)
		n += record_n_units(&records[i]);
	return n;
}

int seai_records_write_groups(struct seai_records_group *groups, size_t n_groups)
{
	size_t n_locked;
	int r = 0;

	for (size_t i = 0; i < n_groups; i++)
		if (records_n_units(groups[i].records, groups[i].n_records) > SEAI_RECORD_RING_N_UNITS)
			return -E2BIG;

	if (n_groups == 1) {
		r = seai_records_write(groups[0].owner, groups[0].records, groups[0].n_records, true);
		return r == -EOWNERDEAD ? 0 : r;
	}
	/* All locks in the order of their addresses, so that two threads cannot wait for each other. */
	qsort(groups, n_groups, sizeof(*groups), group_compare);
	for (n_locked = 0; n_locked < n_groups; n_locked++) {
		struct seai_record_writer *writer = &groups[n_locked].owner->writer;

		seai_lock_take(&writer->lock);
		groups[n_locked].position = writer->position;
		if (!writer->mine)
			continue;
		if (writer->n_waiting)
			writer_flush(writer);
		if (writer->n_waiting ||
		    writer_room(writer) < records_n_units(groups[n_locked].records, groups[n_locked].n_records)) {
			n_locked++;
			r = -EAGAIN;
			break;
		}
	}
	for (size_t i = 0; i < n_locked; i++) {
		struct seai_conn *owner = groups[i].owner;
		struct seai_record_writer *writer = &owner->writer;

		if (r == 0 && writer->mine) {
			writer_publish(writer, groups[i].records, groups[i].n_records,
			               records_n_units(groups[i].records, groups[i].n_records));
			SEAI_POINT("records: one owner of several told");
		}
		if (writer->mine && writer->position != groups[i].position)
			writer_wake(owner, groups[i].position);
		seai_lock_release(&writer->lock);
	}
	return r;
}

static struct seai_conn *attached_owner(const struct seai_attached *attached)
{
	return attached ? atomic_load_explicit(&attached->owner, memory_order_relaxed) : NULL;
}

static void records_fill(struct seai_record *record, const struct seai_ref *ref, enum seai_record_op op)
{
	record->op = op;
	record->has_token = ref->has_token;
	record->arena_id = ref->arena_id;
	record->block_id = ref->block_id;
	record->generation = ref->generation;
}

/* References given back, counted under the owner's record lock, or with a locked instruction where there is no owner any more. */
static void attached_give_locked(struct seai_attached *attached, uint64_t n)
{
	/* release: what was read in the arena comes before its unmapping */
	atomic_store_explicit(&attached->n_given, atomic_load_explicit(&attached->n_given, memory_order_relaxed) + n,
	                      memory_order_release);
}

void seai_attached_give(struct sea_session *session, struct seai_attached *attached, uint64_t n)
{
	struct seai_conn *owner = attached_owner(attached);

	/* Looked at before: with the last reference given back it may be gone. What begins to die just now is looked at again by the clock. */
	bool is_dying = atomic_load_explicit(&attached->dying, memory_order_acquire), is_counted = false;

	if (owner) {
		SEAI_LOCKED(&owner->writer.lock, lock);
		/* Its end is noted under this lock before the owner is forgotten: the two ways of counting never meet. */
		is_counted = owner->writer.mine != NULL;
		if (is_counted)
			attached_give_locked(attached, n);
	}
	if (!is_counted)
		atomic_fetch_add_explicit(&attached->n_given, n, memory_order_release);
	if (SEAI_UNLIKELY(is_dying))
		seai_wire_poke(session->wire);
}

/* What comes back unread is work that waits: its sender learns of it now, where a release is read when memory is wanted. */
static void writer_tell_returned(struct seai_conn *owner)
{
	struct seai_control control = { .type = SEAI_CONTROL_WAKE };
	SEAI_LOCKED(&owner->writer.lock, lock);

	if (owner->writer.mine)
		(void)seai_control_try_send(owner, &control, NULL, 0);
}

/* One message with refs of any owners: per owner one batch, so that a death leaves it released or not. The head goes first in its batch. */
static void records_release_one(struct sea_session *session, const struct sea_message *message, bool is_returned)
{
	struct seai_record records[RECORDS_BATCH];

	for (uint32_t i = 0; i < message->n_blocks; i++) {
		const struct seai_ref *ref = &message->refs[i];
		struct seai_conn *owner = attached_owner(ref->attached);
		size_t n = 0;
		bool is_first = true;

		if (!owner || ref->source_plus_1)
			continue;
		/* An owner is handled where it first appears. */
		for (uint32_t j = 0; j < i && is_first; j++)
			if (!message->refs[j].source_plus_1 && attached_owner(message->refs[j].attached) == owner)
				is_first = false;
		if (!is_first)
			continue;
		for (uint32_t j = i; j < message->n_blocks; j++) {
			const struct seai_ref *other = &message->refs[j];

			if (other->source_plus_1 || attached_owner(other->attached) != owner)
				continue;
			records_fill(&records[n++], other, is_returned ? SEAI_RECORD_RETURN : SEAI_RECORD_RELEASE);
			if (n == RECORDS_BATCH) {
				(void)seai_records_write(owner, records, n, false);
				n = 0;
			}
		}
		if (n)
			(void)seai_records_write(owner, records, n, false);
		if (is_returned)
			writer_tell_returned(owner);
	}
	for (uint32_t i = 0; i < message->n_blocks; i++)
		if (message->refs[i].attached && !message->refs[i].source_plus_1)
			seai_attached_give(session, message->refs[i].attached, 1);
}

/* Writes the releases of a run of messages of one block each straight from the messages. -EAGAIN: no room for them. */
static int records_write_run(struct seai_conn *conn, struct seai_attached *attached,
                             struct sea_message *const *messages, size_t n)
{
	struct seai_record_writer *writer = &conn->writer;

	{
		SEAI_LOCKED(&writer->lock, lock);
		if (SEAI_UNLIKELY(!writer->mine))
			return -EOWNERDEAD;
		if (SEAI_UNLIKELY(writer->n_waiting || writer_room(writer) < n))
			return -EAGAIN;
		/* The first unit last, with release: all of them become visible at once. */
		for (size_t i = n; i-- > 0;) {
			const struct seai_ref *ref = &messages[i]->ref;
			uint64_t op = SEAI_RECORD_RELEASE | (ref->has_token ? SEAI_UNIT_TOKEN : 0);

			writer_put_unit(writer, writer->position + i, (uint64_t)ref->arena_id << 32 | ref->block_id,
			                (ref->generation & SEAI_RECORD_GENERATION_MASK) | op << SEAI_UNIT_OP_SHIFT,
			                memory_order_release);
		}
		writer->position += n;
		attached_give_locked(attached, n);
		writer_wake(conn, writer->position - n);
	}
	return 0;
}

void seai_records_release(struct sea_session *session, struct sea_message *const *messages, size_t n_messages)
{
	size_t i = 0;

	while (i < n_messages) {
		struct seai_attached *attached = messages[i]->refs[0].attached;
		struct seai_conn *owner = attached_owner(attached);
		bool is_dying = attached && atomic_load_explicit(&attached->dying, memory_order_acquire);
		size_t n = 0;

		/* The usual case: a run of messages of one block each in one arena. */
		while (i + n < n_messages && n < RECORDS_BATCH && messages[i + n]->n_blocks == 1 &&
		       messages[i + n]->ref.attached == attached && !messages[i + n]->ref.source_plus_1)
			n++;
		if (n == 0 || !owner || records_write_run(owner, attached, messages + i, n) < 0) {
			records_release_one(session, messages[i], false);
			i++;
			continue;
		}
		if (SEAI_UNLIKELY(is_dying))
			seai_wire_poke(session->wire);
		i += n;
	}
}

void seai_records_return(struct sea_session *session, struct sea_message *message)
{
	records_release_one(session, message, true);
}
