/* SPDX-License-Identifier: Apache-2.0 */
/* See fuzz.h. */
#include "fuzz.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sealane/sealane.h>

#include "wire/side.h"

void fuzz_take(struct fuzz_input *input, void *ret_bytes, size_t n_bytes)
{
	size_t n = n_bytes < input->n_bytes ? n_bytes : input->n_bytes;

	memset(ret_bytes, 0, n_bytes);
	if (n)
		memcpy(ret_bytes, input->data, n);
	input->data += n;
	input->n_bytes -= n;
}

uint8_t fuzz_take_u8(struct fuzz_input *input)
{
	uint8_t value;

	fuzz_take(input, &value, sizeof(value));
	return value;
}

uint64_t fuzz_take_u64(struct fuzz_input *input)
{
	uint64_t value;

	fuzz_take(input, &value, sizeof(value));
	return value;
}

static void fuzz_at_exit(void);

struct sea_session *fuzz_session(void)
{
	static struct sea_session *session;

	if (session)
		return session;
	signal(SIGPIPE, SIG_IGN);
	FUZZ_CHECK(sea_session_open(&session, NULL) == 0);
	/* From here on nothing happens by itself. */
	seai_wire_stop(session->wire);
	atomic_store(&session->wire->stop, false);
	atexit(fuzz_at_exit);
	return session;
}

static void fuzz_at_exit(void)
{
	sea_session_close(fuzz_session());
}

void *fuzz_memory(size_t n_bytes, int *ret_fd)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *memory;

	FUZZ_CHECK(fd >= 0 && ftruncate(fd, (off_t)n_bytes) == 0);
	memory = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	FUZZ_CHECK(memory != MAP_FAILED);
	FUZZ_CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) == 0);
	*ret_fd = fd;
	return memory;
}

int fuzz_peer(uint64_t id, struct seai_conn **ret_conn, struct seai_side **ret_side)
{
	struct sea_session *session = fuzz_session();
	struct seai_wire *wire = session->wire;
	struct seai_control hello = { .magic = SEAI_CONTROL_MAGIC, .type = SEAI_CONTROL_HELLO, .n_fds = 1 };
	char buffer[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct iovec vector = { &hello, sizeof(hello) };
	struct msghdr message = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = buffer,
		.msg_controllen = sizeof(buffer),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	int fd, side_fd;

	*ret_side = fuzz_memory((seai_side_n_bytes(SEAI_RECORD_RING_N_UNITS, sizeof(struct seai_unit)) + 4095) &
	                                ~UINT64_C(4095),
	                        &side_fd);
	(*ret_side)->version = SEAI_WIRE_VERSION_MAX;
	(*ret_side)->n_slots = SEAI_RECORD_RING_N_UNITS;
	(*ret_side)->maker_id = id;
	atomic_store(&(*ret_side)->magic, SEAI_SIDE_MAGIC);
	atomic_store(&(*ret_side)->want_room, UINT64_MAX);
	atomic_store(&(*ret_side)->want_data, UINT64_MAX);
	hello.hello.version_min = SEAI_WIRE_VERSION_MIN;
	hello.hello.version_max = SEAI_WIRE_VERSION_MAX;
	hello.hello.session_id = session->name_hash;
	hello.hello.process_id = id;
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &side_fd, sizeof(int));
	fd = seai_directory_connect(wire, wire->address);
	FUZZ_CHECK(fd >= 0 && sendmsg(fd, &message, MSG_NOSIGNAL) == (ssize_t)sizeof(hello));
	close(side_fd);
	SEAI_LOCKED(&wire->control, control);
	seai_conn_accept_backlog(wire);
	*ret_conn = seai_conn_find(wire, id);
	FUZZ_CHECK(*ret_conn && (*ret_conn)->state == SEAI_CONN_OPEN);
	return fd;
}

void fuzz_bury(void)
{
	struct sea_session *session = fuzz_session();

	{
		SEAI_LOCKED(&session->wire->control, control);
		seai_wire_bury(session->wire);
		seai_wire_ask_settlements(session->wire);
	}
	seai_attachment_reap(session->wire);
}
