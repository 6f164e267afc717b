/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record ring from a holder to an owner. As threads both use one mapping of each side (see sides.h); as
 * processes the holder is killed at random, and what it wrote together is there together or not at all.
 */
#include "test.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "memory/heap-state.h"
#include "memory/ledger-private.h"
#include "memory/message.h"
#include "sides.h"
#include "wire/records.h"
#include "wire/side.h"

#define HOLDER_ID 0xf0u
#define TARGET_ID 0xb0u
#define N_BLOCKS 12u

/* One process as records see it. */
struct party {
	struct sea_session session;
	struct seai_wire wire;
	struct seai_conn conn;
	int side_fd; /* of its side, for the peer */
	int peer_fd; /* the other end of conn.fd */
};

struct owner {
	struct party party;
	struct sea_heap *heap;
	uint32_t holder, target;
	struct seai_block *blocks[N_BLOCKS];
};

static bool hooks_drain(struct sea_session *session)
{
	(void)session;
	return false;
}

static void hooks_nothing(struct sea_session *session)
{
	(void)session;
}

static const struct seai_session_hooks hooks = { .drain = hooks_drain, .arm = hooks_nothing, .poke = hooks_nothing };

static void party_init(struct party *party, uint64_t id)
{
	int ends[2];

	memset(party, 0, sizeof(*party));
	party->session.id = id;
	party->session.hooks = &hooks;
	party->session.wire = &party->wire;
	party->session.done_fd = -1;
	party->wire.session = &party->session;
	party->wire.wake_fd = (int)CHECK_SYS(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	CHECK_SYS(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
	party->conn.fd = ends[0];
	party->peer_fd = ends[1];
	party->conn.pidfd = -1;
	party->conn.wire = &party->wire;
	party->conn.state = SEAI_CONN_OPEN;
	CHECK_OK(seai_records_init(&party->conn, &party->side_fd));
}

static void party_fini(struct party *party)
{
	struct seai_side *mine = party->conn.reader.mine;

	seai_records_stop(&party->conn);
	free(party->conn.writer.waiting);
	seai_side_unmap(mine, SEAI_RECORD_RING_N_UNITS, sizeof(struct seai_unit));
	close(party->side_fd);
	close(party->conn.fd);
	close(party->peer_fd);
	close(party->wire.wake_fd);
}

static void owner_init(struct owner *owner)
{
	struct sea_heap_options options = { .quota_n_bytes = 16 << 20 };

	memset(owner, 0, sizeof(*owner));
	party_init(&owner->party, 1);
	CHECK_OK(seai_ledger_new(&owner->party.session.ledger));
	CHECK_OK(sea_heap_new(&owner->heap, &owner->party.session, &options));
	CHECK_OK(seai_ledger_add_holder(owner->party.session.ledger, HOLDER_ID, &owner->holder));
	CHECK_OK(seai_ledger_add_holder(owner->party.session.ledger, TARGET_ID, &owner->target));
	owner->party.conn.holder = owner->holder;
	SEAI_LOCKED(&owner->party.session.books, books);
	for (unsigned i = 0; i < N_BLOCKS; i++)
		CHECK_OK(seai_heap_allocate(owner->heap, 100, 64, &owner->blocks[i]));
}

static void owner_fini(struct owner *owner)
{
	struct sea_session *session = &owner->party.session;

	{
		SEAI_LOCKED(&session->books, books);
		seai_ledger_drop_holder(session, owner->holder);
		while (session->ledger->settlements)
			seai_ledger_settle(session, session->ledger->settlements, UINT64_MAX);
		seai_ledger_drop_holder(session, owner->target);
		for (unsigned i = 0; i < N_BLOCKS; i++)
			seai_ledger_release_own(session, owner->blocks[i]);
		seai_heap_destroy(owner->heap);
	}
	while (session->retired) {
		struct seai_arena *arena = session->retired;

		session->retired = arena->next;
		seai_arena_destroy(arena);
	}
	party_fini(&owner->party);
	seai_ledger_free(session->ledger);
	free(session->arenas);
}

/* The holder has that many holds of a block, and no more. */
static void owner_give(struct owner *owner, unsigned block, unsigned n)
{
	SEAI_LOCKED(&owner->party.session.books, books);
	while (n--)
		CHECK_OK(seai_ledger_hold(owner->blocks[block], owner->holder, false));
}

static unsigned owner_n_held(struct owner *owner, unsigned block, uint32_t holder)
{
	const struct seai_hold *hold = seai_block_find_hold(owner->blocks[block], holder);

	return hold ? hold->count : 0;
}

static bool owner_drain(struct owner *owner)
{
	struct seai_record_reader *reader = &owner->party.conn.reader;
	uint64_t position = reader->position;
	SEAI_LOCKED(&owner->party.session.books, books);

	seai_records_drain(&owner->party.session);
	CHECK(!reader->is_broken);
	CHECK(!reader->is_stuck);
	return reader->position != position;
}

/* Both in this process: one mapping. */
static void meet(struct owner *owner, struct party *holder)
{
	owner_init(owner);
	party_init(holder, HOLDER_ID);
	seai_records_start_reader(&owner->party.conn, holder->conn.reader.mine);
	holder->conn.writer.theirs = owner->party.conn.reader.mine;
}

static struct seai_record record_of(enum seai_record_op op, const struct seai_block *block, uint64_t position)
{
	bool is_grant = op != SEAI_RECORD_RELEASE && op != SEAI_RECORD_RETURN;

	return (struct seai_record){
		.op = op,
		.arena_id = block->arena->id,
		.block_id = block->id,
		.generation = block->generation & SEAI_RECORD_GENERATION_MASK,
		.target_id = is_grant ? TARGET_ID : 0,
		.link_id = is_grant ? 5 : 0,
		.position = position,
		.published = position,
	};
}

TEST(kinds, "every kind of record arrives with all that it says")
{
	struct owner owner;
	struct party holder;
	struct seai_record records[6];
	const struct seai_grant_log *log;

	meet(&owner, &holder);
	for (unsigned i = 0; i < 6; i++)
		owner_give(&owner, i, 2);
	records[0] = record_of(SEAI_RECORD_RELEASE, owner.blocks[0], 0);
	records[1] = record_of(SEAI_RECORD_RETURN, owner.blocks[1], 0);
	records[2] = record_of(SEAI_RECORD_TRANSFER, owner.blocks[2], 7);
	records[3] = record_of(SEAI_RECORD_SHARE, owner.blocks[3], 7);
	records[4] = record_of(SEAI_RECORD_DROP, owner.blocks[4], UINT64_C(1) << 40);
	records[4].published = 7;
	CHECK(!owner_drain(&owner));
	CHECK_OK(seai_records_write(&holder.conn, records, 5, true));
	CHECK(owner_drain(&owner));
	CHECK(!owner_drain(&owner));
	CHECK_EQ(owner_n_held(&owner, 0, owner.holder), 1);
	CHECK_EQ(owner_n_held(&owner, 1, owner.holder), 1);
	CHECK_EQ(owner_n_held(&owner, 2, owner.holder), 1);
	CHECK_EQ(owner_n_held(&owner, 2, owner.target), 1);
	CHECK_EQ(owner_n_held(&owner, 3, owner.holder), 2);
	CHECK_EQ(owner_n_held(&owner, 3, owner.target), 1);
	CHECK_EQ(owner_n_held(&owner, 4, owner.holder), 1);
	CHECK_EQ(owner_n_held(&owner, 4, owner.target), 0);
	CHECK_EQ(owner.blocks[4]->n_own, 2);
	log = &owner.party.session.ledger->holders[owner.holder].logs[0];
	CHECK_EQ(log->link_id, 5);
	CHECK_EQ(log->n, 3);
	CHECK_EQ(log->grants[(log->first + 2) & (log->n_max - 1)].position, UINT64_C(1) << 40);
	records[5] = (struct seai_record){
		.op = SEAI_RECORD_PUBLISHED, .target_id = TARGET_ID, .link_id = 5, .published = (UINT64_C(1) << 40) + 1
	};
	CHECK_OK(seai_records_write(&holder.conn, &records[5], 1, false));
	CHECK(owner_drain(&owner));
	CHECK_EQ(log->n, 0);
	CHECK_EQ(owner.blocks[4]->n_own, 1);
	CHECK_EQ(owner.party.session.ledger->n_lies, 0);
	party_fini(&holder);
	owner_fini(&owner);
}

TEST(laps, "records of all lengths, through many laps of the ring")
{
	struct owner owner;
	struct party holder;
	uint64_t n_units = 0, position = 0;

	meet(&owner, &holder);
	while (n_units < 40ull * SEAI_RECORD_RING_N_UNITS) {
		struct seai_record records[40];
		size_t n = test_random() % 40 + 1, n_releases = 0;

		for (size_t i = 0; i < n; i++) {
			bool is_release = test_random() % 2;

			records[i] = record_of(is_release ? SEAI_RECORD_RELEASE : SEAI_RECORD_TRANSFER, owner.blocks[0],
			                       position);
			n_units += is_release ? 1 : SEAI_GRANT_N_UNITS;
			n_releases += is_release;
			position += !is_release;
		}
		owner_give(&owner, 0, (unsigned)n);
		CHECK_OK(seai_records_write(&holder.conn, records, n, true));
		while (owner_drain(&owner))
			;
		CHECK_EQ(owner_n_held(&owner, 0, owner.holder), 0);
		CHECK_EQ(owner_n_held(&owner, 0, owner.target), n - n_releases);
		CHECK_EQ(owner.party.conn.reader.position, n_units);
		SEAI_LOCKED(&owner.party.session.books, books);
		for (size_t i = 0; i < n - n_releases; i++)
			seai_ledger_unhold(owner.blocks[0], owner.target, false);
	}
	CHECK_EQ(owner.party.session.ledger->n_lies, 0);
	party_fini(&holder);
	owner_fini(&owner);
}

TEST(full, "where the owner reads nothing, releases wait in order, and grants are refused whole")
{
	enum { N = 3 * SEAI_RECORD_RING_N_UNITS };
	struct owner owner;
	struct party holder;
	struct seai_record records[2];
	struct seai_records_group group = { .owner = &holder.conn, .records = records, .n_records = 2 };

	meet(&owner, &holder);
	owner_give(&owner, 0, N);
	owner_give(&owner, 1, 1);
	records[0] = record_of(SEAI_RECORD_RELEASE, owner.blocks[0], 0);
	for (unsigned i = 0; i < N; i++)
		CHECK_OK(seai_records_write(&holder.conn, records, 1, false));
	CHECK_GT(holder.conn.writer.n_waiting, 0);
	CHECK_EQ(holder.conn.writer.n_waiting, N - holder.conn.writer.position);
	/* A release behind them waits as well, though it would fit at times. */
	records[0] = record_of(SEAI_RECORD_RELEASE, owner.blocks[1], 0);
	CHECK_OK(seai_records_write(&holder.conn, records, 1, false));
	records[0] = record_of(SEAI_RECORD_SHARE, owner.blocks[2], 0);
	records[1] = record_of(SEAI_RECORD_SHARE, owner.blocks[3], 0);
	CHECK_ERR(seai_records_write(&holder.conn, records, 2, true), -EAGAIN);
	CHECK_ERR(seai_records_write_groups(&group, 1), -EAGAIN);
	for (unsigned left = N + 1; left;) {
		CHECK(owner_drain(&owner));
		/* In order: the one that came last is not before any other. */
		if (owner_n_held(&owner, 0, owner.holder))
			CHECK_EQ(owner_n_held(&owner, 1, owner.holder), 1);
		left = owner_n_held(&owner, 0, owner.holder) + owner_n_held(&owner, 1, owner.holder);
		seai_records_flush(&holder.conn);
	}
	CHECK_EQ(holder.conn.writer.n_waiting, 0);
	owner_give(&owner, 2, 1);
	owner_give(&owner, 3, 1);
	CHECK_OK(seai_records_write(&holder.conn, records, 2, true));
	CHECK(owner_drain(&owner));
	CHECK_EQ(owner_n_held(&owner, 2, owner.target), 1);
	CHECK_EQ(owner_n_held(&owner, 3, owner.target), 1);
	CHECK_EQ(owner.party.session.ledger->n_lies, 0);
	/* A connection that has ended takes nothing more, which is no error where it goes to several. */
	seai_records_stop(&holder.conn);
	CHECK_ERR(seai_records_write(&holder.conn, records, 1, false), -EOWNERDEAD);
	CHECK_OK(seai_records_write_groups(&group, 1));
	party_fini(&holder);
	owner_fini(&owner);
}

/* How often the holder has woken the owner since the last call. */
static unsigned n_wakes(const struct party *holder)
{
	struct seai_control control;
	unsigned n = 0;

	while (recv(holder->peer_fd, &control, sizeof(control), MSG_DONTWAIT) > 0)
		n++;
	return n;
}

TEST(wakes, "an owner that reads on is not woken, and one that does not is, before the ring is full")
{
	struct owner owner;
	struct party holder;
	struct seai_record record;

	meet(&owner, &holder);
	record = record_of(SEAI_RECORD_RELEASE, owner.blocks[0], 0);
	owner_give(&owner, 0, 5 * SEAI_RECORD_RING_N_UNITS);
	/* It asks for nothing. */
	atomic_store(&owner.party.conn.reader.mine->want_data, UINT64_MAX);
	for (unsigned i = 0; i < 4 * SEAI_RECORD_RING_N_UNITS; i++) {
		CHECK_OK(seai_records_write(&holder.conn, &record, 1, false));
		if (i % 500 == 499)
			CHECK(owner_drain(&owner));
	}
	CHECK_EQ(n_wakes(&holder), 0);
	while (owner_drain(&owner))
		;
	for (unsigned i = 0; i < SEAI_RECORD_RING_N_UNITS - 1; i++)
		CHECK_OK(seai_records_write(&holder.conn, &record, 1, false));
	CHECK_EQ(holder.conn.writer.n_waiting, 0);
	CHECK_GT(n_wakes(&holder), 0);
	CHECK(owner_drain(&owner));
	/* Who asks is woken by the next one. */
	atomic_store(&owner.party.conn.reader.mine->want_data, owner.party.conn.reader.position);
	CHECK_OK(seai_records_write(&holder.conn, &record, 1, false));
	CHECK_EQ(n_wakes(&holder), 1);
	CHECK(owner_drain(&owner));
	CHECK_EQ(owner_n_held(&owner, 0, owner.holder), 0);
	party_fini(&holder);
	owner_fini(&owner);
}

TEST(groups, "records to several owners are written to all of them or to none")
{
	struct owner owners[2];
	struct party holders[2];
	struct seai_record records[2];
	unsigned n_written = 0;

	for (unsigned i = 0; i < 2; i++) {
		meet(&owners[i], &holders[i]);
		for (unsigned j = 0; j < N_BLOCKS; j++)
			owner_give(&owners[i], j, 1);
		records[i] = record_of(SEAI_RECORD_SHARE, owners[i].blocks[0], 0);
	}
	/* Only the first owner reads. */
	for (;;) {
		struct seai_records_group groups[2] = {
			{ .owner = &holders[0].conn, .records = &records[0], .n_records = 1 },
			{ .owner = &holders[1].conn, .records = &records[1], .n_records = 1 }
		};
		int r = seai_records_write_groups(groups, 2);

		while (owner_drain(&owners[0]))
			;
		if (r < 0) {
			CHECK_EQ(r, -EAGAIN);
			break;
		}
		n_written++;
	}
	CHECK_GE(n_written, SEAI_RECORD_RING_N_UNITS / SEAI_GRANT_N_UNITS / 2);
	while (owner_drain(&owners[1]))
		;
	CHECK_EQ(owner_n_held(&owners[0], 0, owners[0].target), n_written);
	CHECK_EQ(owner_n_held(&owners[1], 0, owners[1].target), n_written);
	for (unsigned i = 0; i < 2; i++) {
		party_fini(&holders[i]);
		owner_fini(&owners[i]);
	}
}

TEST(stuck, "a record that is not covered waits, and when it is given up it is a lie and the next one is read")
{
	struct owner owner;
	struct party holder;
	struct seai_record records[2];

	meet(&owner, &holder);
	owner_give(&owner, 1, 1);
	records[0] = record_of(SEAI_RECORD_RELEASE, owner.blocks[0], 0);
	records[1] = record_of(SEAI_RECORD_RELEASE, owner.blocks[1], 0);
	CHECK_OK(seai_records_write(&holder.conn, records, 2, false));
	{
		SEAI_LOCKED(&owner.party.session.books, books);
		CHECK(!seai_records_drain(&owner.party.session));
		CHECK(owner.party.conn.reader.is_stuck);
		CHECK_EQ(owner_n_held(&owner, 1, owner.holder), 1);
		CHECK(atomic_load(&owner.party.wire.has_stuck));
		seai_records_discard_stuck(&owner.party.session);
		CHECK_EQ(owner.party.session.ledger->n_lies, 1);
	}
	CHECK(owner_drain(&owner));
	CHECK_EQ(owner_n_held(&owner, 1, owner.holder), 0);
	/* Covered while it waits: no lie. */
	CHECK_OK(seai_records_write(&holder.conn, records, 1, false));
	{
		SEAI_LOCKED(&owner.party.session.books, books);
		CHECK(!seai_records_drain(&owner.party.session));
	}
	owner_give(&owner, 0, 1);
	CHECK(owner_drain(&owner));
	CHECK_EQ(owner.party.session.ledger->n_lies, 1);
	party_fini(&holder);
	owner_fini(&owner);
}

TEST(malformed, "units that make no sense end the reading of that ring, and of no other")
{
	for (unsigned round = 0; round < 3; round++) {
		struct owner owner;
		struct party holder;
		struct seai_record record;
		struct seai_unit *units;

		meet(&owner, &holder);
		owner_give(&owner, 0, 1);
		record = record_of(round == 2 ? SEAI_RECORD_SHARE : SEAI_RECORD_RELEASE, owner.blocks[0], 0);
		CHECK_OK(seai_records_write(&holder.conn, &record, 1, true));
		units = (struct seai_unit *)(void *)(holder.conn.writer.mine + 1);
		if (round == 2) /* its continuation is none */
			atomic_store(&units[3].control,
			             UINT64_C(1) << SEAI_UNIT_LAP_SHIFT | UINT64_C(1) << SEAI_UNIT_OP_SHIFT);
		else
			atomic_store(&units[0].control,
			             UINT64_C(1) << SEAI_UNIT_LAP_SHIFT | (round ? UINT64_C(7) : UINT64_C(0))
			                                                          << SEAI_UNIT_OP_SHIFT);
		{
			SEAI_LOCKED(&owner.party.session.books, books);
			CHECK(!seai_records_drain(&owner.party.session));
			CHECK(owner.party.conn.reader.is_broken);
			CHECK(atomic_load(&owner.party.wire.has_stuck));
		}
		CHECK_EQ(owner_n_held(&owner, 0, owner.holder), 1);
		party_fini(&holder);
		owner_fini(&owner);
	}
}

#define N_THREAD_RECORDS 60000u

static void *release_many(void *arg)
{
	struct party *holder = arg;
	struct seai_record *records = holder->session.log_userdata;

	for (unsigned i = 0; i < N_THREAD_RECORDS;) {
		unsigned n = 1 + i % 5;

		if (n > N_THREAD_RECORDS - i)
			n = N_THREAD_RECORDS - i;
		CHECK_OK(seai_records_write(&holder->conn, records, n, false));
		i += n;
	}
	for (;;) {
		seai_records_flush(&holder->conn);
		SEAI_LOCKED(&holder->conn.writer.lock, lock);
		if (holder->conn.writer.n_waiting == 0)
			return NULL;
	}
}

TEST_TIMEOUT(threads, "a writer and a reader at once on one mapping: nothing is lost, however full the ring is", 60)
{
	struct owner owner;
	struct party holder;
	struct seai_record records[5];
	pthread_t thread;

	meet(&owner, &holder);
	owner_give(&owner, 0, N_THREAD_RECORDS);
	for (unsigned i = 0; i < 5; i++)
		records[i] = record_of(SEAI_RECORD_RELEASE, owner.blocks[0], 0);
	holder.session.log_userdata = records;
	CHECK_EQ(pthread_create(&thread, NULL, release_many, &holder), 0);
	while (owner_n_held(&owner, 0, owner.holder))
		if (!owner_drain(&owner))
			sched_yield();
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK(!owner_drain(&owner));
	CHECK_EQ(owner.party.conn.reader.position, N_THREAD_RECORDS);
	CHECK_EQ(owner.party.session.ledger->n_lies, 0);
	party_fini(&holder);
	owner_fini(&owner);
}

/* The names of the owner's blocks, for a process that has not got the ledger. */
struct holder_process {
	int socket_fd;
	struct seai_record records[N_BLOCKS];
};

/* Writes batches of one share per block until it is killed. */
static void share_for_ever(void *arg)
{
	struct holder_process *process = arg;
	struct party holder;
	const struct seai_side *theirs;
	int fd;

	party_init(&holder, HOLDER_ID);
	sides_pass_fd(process->socket_fd, (int)CHECK_SYS(fcntl(holder.side_fd, F_DUPFD_CLOEXEC, 0)));
	fd = sides_take_fd(process->socket_fd);
	CHECK_OK(seai_side_attach(&theirs, fd, 1, 0, SEAI_RECORD_RING_N_UNITS, sizeof(struct seai_unit)));
	holder.conn.writer.theirs = theirs;
	for (uint64_t position = 0;; position++) {
		for (unsigned i = 0; i < N_BLOCKS; i++)
			process->records[i].position = process->records[i].published = position;
		while (seai_records_write(&holder.conn, process->records, N_BLOCKS, true) == -EAGAIN)
			sched_yield();
	}
}

TEST_TIMEOUT(death, "what a killed process wrote together is there together, or not at all", 60)
{
	unsigned n_rounds = test_is_soak() ? 3000 : test_is_sanitized() ? 10 : 60, n_read = 0;

	for (unsigned round = 0; round < n_rounds; round++) {
		struct owner owner;
		struct holder_process process;
		const struct seai_side *theirs;
		int ends[2], fd;
		int64_t until_ns;
		pid_t pid;

		owner_init(&owner);
		for (unsigned i = 0; i < N_BLOCKS; i++) {
			owner_give(&owner, i, 1);
			process.records[i] = record_of(SEAI_RECORD_SHARE, owner.blocks[i], 0);
		}
		CHECK_SYS(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
		process.socket_fd = ends[0];
		pid = test_fork(share_for_ever, &process);
		fd = sides_take_fd(ends[1]);
		CHECK_OK(seai_side_attach(&theirs, fd, HOLDER_ID, 0, SEAI_RECORD_RING_N_UNITS,
		                          sizeof(struct seai_unit)));
		close(fd);
		sides_pass_fd(ends[1], (int)CHECK_SYS(fcntl(owner.party.side_fd, F_DUPFD_CLOEXEC, 0)));
		seai_records_start_reader(&owner.party.conn, theirs);
		/* Every other time not before it has written anything, however late it gets a processor. */
		if (round % 2 == 0)
			CHECK_EVENTUALLY(owner_drain(&owner));
		until_ns = test_now_ns() + (int64_t)(test_random() % 3000000);
		do {
			owner_drain(&owner);
			SEAI_LOCKED(&owner.party.session.books, books);
			for (unsigned i = 0; i < N_BLOCKS; i++)
				for (unsigned n = owner_n_held(&owner, i, owner.target); n > 1000; n--)
					seai_ledger_unhold(owner.blocks[i], owner.target, false);
		} while (test_now_ns() < until_ns);
		CHECK_EQ(test_kill(pid), -SIGKILL);
		/* Counted from zero, so that what is equal is not equal by the cut above. */
		while (owner_drain(&owner))
			;
		CHECK_EQ(owner.party.conn.reader.position % (N_BLOCKS * SEAI_GRANT_N_UNITS), 0);
		n_read += owner.party.conn.reader.position > 0;
		CHECK_EQ(owner.party.session.ledger->n_lies, 0);
		close(ends[0]);
		close(ends[1]);
		owner_fini(&owner);
		seai_side_unmap(theirs, SEAI_RECORD_RING_N_UNITS, sizeof(struct seai_unit));
	}
	CHECK_GT(n_read, 0);
}
