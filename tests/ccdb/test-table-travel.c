/* SPDX-License-Identifier: Apache-2.0 */
/* Tables between processes: over sealed and shared memory, and over libzmq. */
#include "tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct travel {
	struct tables *tables;
	enum sea_transport transport;
	const char *address;
	struct test_step received;
};

static struct sea_session *travel_session(const struct travel *travel)
{
	const struct sea_session_options options = { .transport = travel->transport == SEA_TRANSPORT_SHMEM
		                                                          ? SEA_TRANSPORT_SHMEM
		                                                          : SEA_TRANSPORT_MEMFD };
	struct sea_session *session;

	CHECK_OK(sea_session_open(&session, &options));
	return session;
}

static struct sea_channel *travel_channel(const struct travel *travel, struct sea_session *session, bool sends)
{
	const struct sea_channel_options options = { .transport = travel->transport };
	struct sea_channel *channel;
	const int r = sea_channel_new(&channel, session, sends ? SEA_PUSH : SEA_PULL, &options);

	if (r == -ENOTSUP)
		SKIP("there is no libzmq here");
	CHECK_OK(r);
	CHECK_OK(sends ? sea_channel_connect(channel, travel->address) : sea_channel_bind(channel, travel->address));
	return channel;
}

static void sender(void *arg)
{
	struct travel *travel = arg;
	struct sea_session *session = travel_session(travel);
	struct sea_channel *channel = travel_channel(travel, session, true);
	struct sea_message *message = tables_message(travel->tables, session, 2);

	CHECK_OK(sea_channel_send(channel, &message, test_patience_ns()));
	test_step_wait(&travel->received);
	sea_channel_close(channel);
	sea_session_close(session);
}

static void travels(enum sea_transport transport, const char *address, bool dies)
{
	const struct tables_options options = { .n_columns = 4,
		                                .n_versions = 5,
		                                .n_groups = 2,
		                                .n_batches = 3,
		                                .n_rows = 3000,
		                                .range_ms = 200,
		                                .has_absent = true };
	struct travel travel = { .tables = tables_new(&options), .transport = transport, .address = address };
	struct sea_session *session;
	struct sea_channel *channel;
	struct sea_message *message;
	struct sea_table *table;
	struct sea_error error;
	size_t part;
	pid_t pid;

	test_step_init(&travel.received);
	pid = test_fork(sender, &travel);
	session = travel_session(&travel);
	channel = travel_channel(&travel, session, false);
	CHECK_OK(sea_channel_receive(channel, &message, test_patience_ns()));
	if (dies) {
		CHECK_EQ(test_kill(pid), -9);
	} else {
		test_step_signal(&travel.received, 1);
		CHECK_EQ(test_wait(pid), 0);
	}
	CHECK_OK(sea_table_find(message, &part));
	CHECK_EQ(part, 2);
	CHECK_OK(sea_table_open(&table, message, part, NULL, &error));
	sea_message_unref(message);
	/* What was numbered in the other process. */
	message = tables_message(travel.tables, session, 0);
	tables_check(travel.tables, table);
	sea_message_unref(message);
	sea_table_close(table);
	sea_channel_close(channel);
	sea_session_close(session);
	test_step_fini(&travel.received);
	tables_free(travel.tables);
}

TEST(travel_sealed, "a table and its objects go to another process in sealed memory")
{
	travels(SEA_TRANSPORT_MEMFD, "tables", false);
}

TEST(travel_shared, "a table and its objects go to another process in a shared heap")
{
	travels(SEA_TRANSPORT_SHMEM, "tables", false);
}

TEST(travel_zeromq, "a table and its objects go over libzmq, each object once")
{
	char address[200];

	snprintf(address, sizeof(address), "ipc://%s/tables.zmq", test_runtime_dir());
	travels(SEA_TRANSPORT_ZEROMQ, address, false);
}

TEST(travel_death, "a table stays readable after whoever built it was killed")
{
	travels(SEA_TRANSPORT_MEMFD, "tables", true);
}
