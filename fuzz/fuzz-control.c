/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer on the socket: connects, says what the fuzzer wants, with descriptors of all kinds, and goes away. Half of
 * the inputs begin with a good hello, so that what comes after it is reached. A channel is bound that can be opened.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sealane/sealane.h>

#include "fuzz.h"
#include "wire/link.h"
#include "wire/side.h"

#define PEER_ID UINT64_C(0x4444444444444444)

static struct sea_channel *channel;
static int things[6];

static void setup(void)
{
	struct sea_channel_options options = { .sndbuf = 4, .rcvbuf = 4 };
	int ends[2];

	FUZZ_CHECK(sea_channel_new(&channel, fuzz_session(), SEA_PULL, &options) == 0);
	FUZZ_CHECK(sea_channel_bind(channel, "a") == 0);
	FUZZ_CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
	things[0] = ends[0];
	things[1] = ends[1];
	things[2] = eventfd(0, EFD_CLOEXEC);
	things[3] = open("/dev/zero", O_RDWR | O_CLOEXEC);
	(void)fuzz_memory(4096, &things[4]);
	(void)fuzz_memory(1 << 20, &things[5]);
}

static void say(int fd, struct fuzz_input *input)
{
	char buffer[CMSG_SPACE(4 * sizeof(int))] __attribute__((aligned(8))) = { 0 };
	uint8_t raw[sizeof(struct seai_control) + 64] __attribute__((aligned(8)));
	struct seai_control *control = (struct seai_control *)(void *)raw;
	uint8_t how = fuzz_take_u8(input), type = fuzz_take_u8(input), n = fuzz_take_u8(input);
	struct iovec vector = { raw, sizeof(*control) };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
	unsigned n_fds = how & 3;
	struct cmsghdr *header;
	int fds[3];

	memset(raw, 0, sizeof(raw));
	fuzz_take(input, raw + 8, n < sizeof(raw) - 8 ? n : sizeof(raw) - 8);
	if (how & 4)
		vector.iov_len = n < sizeof(raw) ? n : sizeof(raw);
	control->magic = how & 8 ? SEAI_CONTROL_MAGIC + 1 : SEAI_CONTROL_MAGIC;
	control->type = type % 18;
	control->n_fds = (uint16_t)(how & 16 ? n : n_fds);
	if (how & 32) {
		control->open.link_id &= 3;
		control->open.pattern = 1;
		control->open.n_send &= 7;
		control->open.n_receive &= 7;
		memcpy(control->open.address, "c-a", 4);
	}
	if (n_fds) {
		for (unsigned i = 0; i < n_fds; i++)
			fds[i] = things[(type / 18u + i) % 6];
		message.msg_control = buffer;
		message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(header), fds, n_fds * sizeof(int));
	}
	(void)sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	struct fuzz_input input = { data, n_bytes };
	struct seai_wire *wire = fuzz_session()->wire;
	struct sea_message *message;
	struct seai_conn *conn;
	struct seai_side *side = NULL;
	int fd;

	if (!channel)
		setup();
	fd = fuzz_take_u8(&input) & 1 ? fuzz_peer(PEER_ID, &conn, &side) : seai_directory_connect(wire, wire->address);
	FUZZ_CHECK(fd >= 0);
	for (int i = 0; i < 16 && input.n_bytes; i++) {
		say(fd, &input);
		{
			SEAI_LOCKED(&wire->control, control);
			seai_conn_accept_backlog(wire);
			for (conn = wire->conns; conn; conn = conn->next)
				seai_conn_read(conn);
		}
		while (sea_channel_receive(channel, &message, 0) == 0)
			sea_message_unref(message);
	}
	close(fd);
	{
		SEAI_LOCKED(&wire->control, control);
		seai_conn_accept_backlog(wire);
		for (conn = wire->conns; conn; conn = conn->next)
			seai_conn_read(conn);
	}
	fuzz_bury();
	(void)sea_channel_receive(channel, &message, 0);
	{
		SEAI_LOCKED(&wire->control, control);
		seai_link_free_finished(wire);
	}
	FUZZ_CHECK(wire->conns == NULL);
	if (side)
		munmap(side, (seai_side_n_bytes(SEAI_RECORD_RING_N_UNITS, sizeof(struct seai_unit)) + 4095) &
		                     ~UINT64_C(4095));
	return 0;
}
