/* SPDX-License-Identifier: Apache-2.0 */
/* Devices as processes of their own, static, that talk by each pattern over each transport; FairMQ's Protocols suite. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sealane/device/device.h>
#include <sealane/sealane.h>

#include "test.h"

#define N_CHANNELS_MAX 2
#define PATIENCE_NS INT64_C(20000000000)

/* A device: what it does in RUNNING, and its channels, which are `name:type=...` without an address. */
struct role {
	const char *id;
	int (*run)(struct sea_device *device, void *userdata);
	const char *channels[N_CHANNELS_MAX];
	const char *transport; /* filled in */
};

static struct sea_message *make(struct sea_device *device, const char *text)
{
	struct sea_message *message;

	CHECK_OK(sea_device_new_message(device, &message, strlen(text), 0));
	if (text[0])
		memcpy(sea_message_write(message), text, strlen(text));
	return message;
}

static void send_text(struct sea_device *device, const char *name, const char *text)
{
	struct sea_message *message = make(device, text);

	CHECK_OK(sea_device_send_timed(device, name, 0, &message, PATIENCE_NS));
}

static void expect(struct sea_device *device, const char *name, const char *text)
{
	struct sea_message *message;

	CHECK_OK(sea_device_receive_timed(device, name, 0, &message, PATIENCE_NS));
	CHECK_EQ(sea_message_n_parts(message), 1);
	CHECK_EQ(sea_message_size(message), strlen(text));
	if (text[0])
		CHECK_MEM_EQ(sea_message_data(message), text, strlen(text));
	else
		CHECK(!sea_message_data(message));
	sea_message_unref(message);
}

static int pair_left(struct sea_device *device, void *userdata)
{
	(void)userdata;
	for (unsigned i = 0; i < 2; i++) {
		send_text(device, "data", "");
		expect(device, "data", "");
	}
	send_text(device, "data", "testdata1234");
	expect(device, "data", "testdata1234");
	return 0;
}

static int pair_right(struct sea_device *device, void *userdata)
{
	(void)userdata;
	for (unsigned i = 0; i < 2; i++) {
		expect(device, "data", "");
		send_text(device, "data", "");
	}
	expect(device, "data", "testdata1234");
	send_text(device, "data", "testdata1234");
	return 0;
}

static int push(struct sea_device *device, void *userdata)
{
	(void)userdata;
	send_text(device, "data", "");
	send_text(device, "data", "testdata1234");
	return 0;
}

static int pull(struct sea_device *device, void *userdata)
{
	(void)userdata;
	expect(device, "data", "");
	expect(device, "data", "testdata1234");
	return 0;
}

/* Publishes until both subscribers have said that they got it: when a subscription has come is not told over a network. */
static int publish(struct sea_device *device, void *userdata)
{
	unsigned n_acks = 0;

	(void)userdata;
	while (n_acks < 2) {
		struct sea_message *ack;
		int r;

		send_text(device, "data", "testdata1234");
		r = sea_device_receive_timed(device, "control", 0, &ack, 5000000);
		if (r == 0) {
			CHECK_EQ(sea_message_size(ack), 3);
			CHECK_MEM_EQ(sea_message_data(ack), "ack", 3);
			sea_message_unref(ack);
			n_acks++;
		} else {
			CHECK_ERR(r, -ETIMEDOUT);
		}
	}
	return 0;
}

static int subscribe(struct sea_device *device, void *userdata)
{
	(void)userdata;
	expect(device, "data", "testdata1234");
	send_text(device, "control", "ack");
	return 0;
}

static int ask(struct sea_device *device, void *userdata)
{
	(void)userdata;
	send_text(device, "data", "request");
	expect(device, "data", "reply");
	return 0;
}

static int answer(struct sea_device *device, void *userdata)
{
	(void)userdata;
	for (unsigned i = 0; i < 2; i++) {
		expect(device, "data", "request");
		send_text(device, "data", "reply");
	}
	return 0;
}

/* Its process. */
static void role_main(void *userdata)
{
	const struct role *role = userdata;
	char channels[N_CHANNELS_MAX][300];
	const char *argv[20] = { role->id, "--id",    role->id, "--transport", role->transport, "--control",
		                 "static", "--color", "false",  "--severity",  "fatal",         NULL };
	int argc = 11;

	for (unsigned i = 0; i < N_CHANNELS_MAX && role->channels[i]; i++) {
		const char *colon = strchr(role->channels[i], ':');

		/* What was sent last has to arrive although its sender goes at once, on a slow machine as well. */
		snprintf(channels[i], sizeof(channels[i]), "%s,rateLogging=0,linger=20000,address=ipc://%s/%.*s",
		         role->channels[i], test_runtime_dir(), (int)(colon - role->channels[i]), role->channels[i]);
		argv[argc++] = "--channel-config";
		argv[argc++] = channels[i];
	}
	argv[argc] = NULL;
	CHECK_EQ(sea_device_main(argc, (char **)(uintptr_t)argv,
	                         &(struct sea_device_options){ .hooks = { .run = role->run } }),
	         0);
}

/* Ends with 0 where there is a libzmq. */
static void try_zeromq(void *userdata)
{
	struct sea_channel_options options = { .transport = SEA_TRANSPORT_ZEROMQ };
	struct sea_session *session;
	struct sea_channel *channel = NULL;

	CHECK_OK(sea_session_open(&session, NULL));
	*(int *)userdata = sea_channel_new(&channel, session, SEA_PUSH, &options);
	sea_channel_close(channel);
	sea_session_close(session);
}

/* All devices of a topology at once, over each transport. */
static void run_roles(const struct role *roles, unsigned n_roles)
{
	static const char *const transports[] = { "memfd", "shmem", "zeromq" };
	int *zeromq = test_shared(sizeof(*zeromq));

	CHECK_EQ(test_wait(test_fork(try_zeromq, zeromq)), 0);
	for (unsigned i = 0; i < (*zeromq < 0 ? 2 : 3); i++) {
		struct role mine[3];
		pid_t pids[3];

		for (unsigned j = 0; j < n_roles; j++) {
			mine[j] = roles[j];
			mine[j].transport = transports[i];
			pids[j] = test_fork(role_main, &mine[j]);
		}
		for (unsigned j = 0; j < n_roles; j++)
			if (test_wait(pids[j]) != 0)
				FAIL("%s over %s has failed", mine[j].id, mine[j].transport);
	}
}

TEST_TIMEOUT(pair, "a pair of devices hands empty messages and data to and fro", 60)
{
	static const struct role roles[] = {
		{ .id = "left", .run = pair_left, .channels = { "data:type=pair,method=bind" } },
		{ .id = "right", .run = pair_right, .channels = { "data:type=pair,method=connect" } },
	};

	run_roles(roles, 2);
}

TEST_TIMEOUT(push_pull, "one device pushes an empty message and data, another one pulls both, in their sizes", 60)
{
	static const struct role roles[] = {
		{ .id = "push", .run = push, .channels = { "data:type=push,method=bind" } },
		{ .id = "pull", .run = pull, .channels = { "data:type=pull,method=connect" } },
	};

	run_roles(roles, 2);
}

TEST_TIMEOUT(pub_sub, "one device publishes, two are subscribed, and say so over a second channel", 60)
{
	static const struct role roles[] = {
		{ .id = "pub",
		  .run = publish,
		  .channels = { "data:type=pub,method=bind", "control:type=pull,method=bind" } },
		{ .id = "sub-1",
		  .run = subscribe,
		  .channels = { "data:type=sub,method=connect", "control:type=push,method=connect" } },
		{ .id = "sub-2",
		  .run = subscribe,
		  .channels = { "data:type=sub,method=connect", "control:type=push,method=connect" } },
	};

	run_roles(roles, 3);
}

TEST_TIMEOUT(req_rep, "one device answers the requests of two others, each of which gets its answer", 60)
{
	static const struct role roles[] = {
		{ .id = "rep", .run = answer, .channels = { "data:type=rep,method=bind" } },
		{ .id = "req-1", .run = ask, .channels = { "data:type=req,method=connect" } },
		{ .id = "req-2", .run = ask, .channels = { "data:type=req,method=connect" } },
	};

	run_roles(roles, 3);
}
