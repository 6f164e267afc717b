/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether `sealane demo` would notice: its checks alone, on parts made here; and the whole of it
 * with a stranger in its session who damages or repeats a timeframe.
 */
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sealane/sealane.h>

#include "../../tools/demo-check.c"

#define SECOND_NS INT64_C(1000000000)
#define N_PARTS 5

/* A timeframe as the sink sees it. */
struct timeframe {
	struct demo_head head;
	struct demo_mark mark;
	unsigned char bytes[N_PARTS][64];
	struct sea_part parts[N_PARTS + 2];
};

static void timeframe_make(struct timeframe *timeframe, uint64_t number, uint32_t incarnation, uint64_t sequence)
{
	XXH3_state_t state;

	timeframe->head =
		(struct demo_head){ .magic = DEMO_HEAD_MAGIC, .timeframe = number, .n_parts = N_PARTS, .sent_ns = 5 };
	timeframe->parts[0] = (struct sea_part){ &timeframe->head, sizeof(timeframe->head) };
	for (unsigned i = 0; i < N_PARTS; i++) {
		size_t n = i == 2 ? 0 : 10 + i;

		memset(timeframe->bytes[i], (int)(number + i), sizeof(timeframe->bytes[i]));
		timeframe->parts[i + 1] = (struct sea_part){ n ? timeframe->bytes[i] : NULL, n };
		timeframe->head.n_bytes += n;
	}
	timeframe->head.hash = demo_hash(&state, &timeframe->head, timeframe->parts + 1, N_PARTS);
	timeframe->mark = (struct demo_mark){
		.magic = DEMO_MARK_MAGIC,
		.incarnation = incarnation,
		.sequence = sequence,
		.timeframe = number,
		.n_bytes = timeframe->head.n_bytes,
		.hash = timeframe->head.hash,
	};
	timeframe->parts[N_PARTS + 1] = (struct sea_part){ &timeframe->mark, sizeof(timeframe->mark) };
}

static int timeframe_check(struct demo_check *check, const struct timeframe *timeframe)
{
	struct demo_head head;
	struct demo_mark mark;

	return demo_check_timeframe(check, timeframe->parts, N_PARTS + 2, &head, &mark);
}

TEST(check_good, "timeframes that are right pass, in any order of their numbers")
{
	struct timeframe timeframe;
	struct demo_check check;

	CHECK_OK(demo_check_init(&check, 3));
	for (unsigned i = 0; i < 3; i++) {
		timeframe_make(&timeframe, 2 - i, 0, i);
		CHECK_OK(timeframe_check(&check, &timeframe));
	}
	CHECK_OK(demo_check_end(&check));
	CHECK_STR_EQ(check.reason, "");
	demo_check_fini(&check);
}

TEST(check_bytes, "any one wrong bit of head or parts is noticed")
{
	struct timeframe timeframe;
	struct demo_check check;
	uint64_t n_bits = 0;

	CHECK_OK(demo_check_init(&check, 3));
	timeframe_make(&timeframe, 1, 0, 0);
	for (unsigned i = 0; i < N_PARTS + 1; i++) {
		unsigned char *bytes = (unsigned char *)timeframe.parts[i].data;

		for (size_t bit = 0; bit < 8 * timeframe.parts[i].n_bytes; bit++) {
			bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
			CHECK_ERR(timeframe_check(&check, &timeframe), -EBADMSG);
			bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
			n_bits++;
		}
	}
	CHECK_EQ(check.n_wrong, n_bits);
	CHECK_OK(timeframe_check(&check, &timeframe));
	demo_check_fini(&check);
}

TEST(check_moved, "a byte that moves from one part to the next is noticed")
{
	struct timeframe timeframe;
	struct demo_check check;

	CHECK_OK(demo_check_init(&check, 1));
	timeframe_make(&timeframe, 0, 0, 0);
	memset(timeframe.bytes, 0, sizeof(timeframe.bytes));
	timeframe.head.hash = demo_hash(check.state, &timeframe.head, timeframe.parts + 1, N_PARTS);
	timeframe.mark.hash = timeframe.head.hash;
	timeframe.parts[1].n_bytes--;
	timeframe.parts[2].n_bytes++;
	CHECK_ERR(timeframe_check(&check, &timeframe), -EBADMSG);
	timeframe.parts[1].n_bytes++;
	timeframe.parts[2].n_bytes--;
	CHECK_OK(timeframe_check(&check, &timeframe));
	demo_check_fini(&check);
}

TEST(check_repeated, "a timeframe that comes twice is noticed")
{
	struct timeframe timeframe;
	struct demo_check check;

	CHECK_OK(demo_check_init(&check, 1));
	timeframe_make(&timeframe, 0, 0, 0);
	CHECK_OK(timeframe_check(&check, &timeframe));
	timeframe_make(&timeframe, 0, 1, 0);
	CHECK_ERR(timeframe_check(&check, &timeframe), -EBADMSG);
	CHECK_EQ(check.n_repeated, 1);
	CHECK_EQ(check.n_disordered, 0);
	CHECK_ERR(demo_check_end(&check), -EBADMSG);
	demo_check_fini(&check);
}

TEST(check_lost, "a timeframe that never comes is noticed, and so is one that was never sent")
{
	struct timeframe timeframe;
	struct demo_check check;

	CHECK_OK(demo_check_init(&check, 2));
	timeframe_make(&timeframe, 2, 0, 0);
	CHECK_ERR(timeframe_check(&check, &timeframe), -EBADMSG);
	timeframe_make(&timeframe, 0, 0, 0);
	CHECK_OK(timeframe_check(&check, &timeframe));
	CHECK_ERR(demo_check_end(&check), -EBADMSG);
	CHECK_EQ(check.n_missing, 1);
	demo_check_fini(&check);
}

TEST(check_order, "a gap or a step back in a processor's numbers is noticed; a restart begins anew")
{
	struct timeframe timeframe;
	struct demo_check check;

	CHECK_OK(demo_check_init(&check, 9));
	timeframe_make(&timeframe, 0, 0, 0);
	CHECK_OK(timeframe_check(&check, &timeframe));
	timeframe_make(&timeframe, 1, 1, 0);
	CHECK_OK(timeframe_check(&check, &timeframe));
	timeframe_make(&timeframe, 2, 0, 2);
	CHECK_ERR(timeframe_check(&check, &timeframe), -EBADMSG);
	timeframe_make(&timeframe, 3, 0, 1);
	CHECK_ERR(timeframe_check(&check, &timeframe), -EBADMSG);
	CHECK_EQ(check.n_disordered, 2);
	demo_check_fini(&check);
}

/* --- a stranger in the session of a demo --- */

struct demo {
	pid_t pid;
	int output_fd;
	struct sea_session *session;
	struct sea_channel *in, *out;
};

/* The stranger is there first, so that it is among the first to be given a timeframe. */
static void demo_begin(struct demo *demo, struct sea_message **ret_message)
{
	struct sea_session_options options = { .name = "stranger" };
	int fds[2];

	CHECK_SYS(pipe2(fds, O_CLOEXEC));
	demo->pid = fork();
	if (demo->pid == 0) {
		dup2(fds[1], 2);
		dup2(fds[1], 1);
		execl(test_command(), "sealane", "demo", "--session", "stranger", "--no-kill", "--size", "64M",
		      "--part-max", "256K", "--no-calibration", "--no-plot", NULL);
		_exit(127);
	}
	CHECK_SYS(demo->pid);
	close(fds[1]);
	demo->output_fd = fds[0];
	CHECK_OK(sea_session_open(&demo->session, &options));
	CHECK_OK(sea_channel_new(&demo->out, demo->session, SEA_PUSH, NULL));
	CHECK_OK(sea_channel_connect(demo->out, "sink"));
	CHECK_OK(sea_channel_wait_peers(demo->out, 1, 10 * SECOND_NS));
	CHECK_OK(sea_channel_new(&demo->in, demo->session, SEA_PULL, NULL));
	CHECK_OK(sea_channel_connect(demo->in, "source"));
	CHECK_OK(sea_channel_receive(demo->in, ret_message, 15 * SECOND_NS));
}

static void demo_said(const struct demo *demo, const char *what)
{
	char text[16384];
	size_t n = 0;
	ssize_t r;

	while (n < sizeof(text) - 1 && (r = read(demo->output_fd, text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)r;
	text[n] = '\0';
	close(demo->output_fd);
	if (!strstr(text, what))
		FAIL("the demo never says '%s', but: %s", what, text);
}

static void demo_leave(struct demo *demo)
{
	sea_channel_close(demo->in);
	sea_channel_close(demo->out);
	sea_session_close(demo->session);
}

static struct demo_mark mark_make(const struct sea_message *message, const struct sea_part *parts, size_t n_parts)
{
	struct demo_head head;
	XXH3_state_t state;

	(void)message;
	CHECK_OK(demo_head_read(parts, n_parts, &head));
	return (struct demo_mark){
		.magic = DEMO_MARK_MAGIC,
		.processor = 99,
		.timeframe = head.timeframe,
		.n_bytes = head.n_bytes,
		.hash = demo_hash(&state, &head, parts + 1, n_parts - 1),
	};
}

TEST_TIMEOUT(demo_wrong_byte, "a processor that changes one byte of a timeframe makes the demo fail and say so", 60)
{
	struct sea_frame_options options = { 0 };
	struct sea_message *message = NULL;
	struct sea_frame *frame = NULL;
	struct sea_part parts[500];
	struct demo_mark mark;
	struct demo demo;
	void *to = NULL;
	size_t n;

	demo_begin(&demo, &message);
	n = sea_message_n_parts(message);
	CHECK_LT(n, 500);
	options.n_bytes_max[0] = sea_message_n_bytes(message) + 64 * (n + 2) + sizeof(mark);
	CHECK_OK(sea_frame_new(&frame, sea_session_heap(demo.session), &options, SECOND_NS));
	for (size_t i = 0; i < n; i++) {
		CHECK_OK(sea_message_get_part(message, i, &parts[i]));
		CHECK_OK(sea_frame_add(frame, parts[i].n_bytes, 0, &to));
		memcpy(to, parts[i].data, parts[i].n_bytes);
		parts[i].data = to;
	}
	((unsigned char *)to)[parts[n - 1].n_bytes / 2] ^= 4;
	mark = mark_make(message, parts, n);
	CHECK_OK(sea_frame_add(frame, sizeof(mark), 0, &to));
	memcpy(to, &mark, sizeof(mark));
	CHECK_OK(sea_frame_absorb(frame, &message));
	CHECK_OK(sea_frame_seal(&frame, &message));
	CHECK_OK(sea_channel_send(demo.out, &message, 10 * SECOND_NS));
	CHECK_OK(sea_channel_flush(demo.out, 10 * SECOND_NS));
	demo_leave(&demo);
	demo_said(&demo, "has a wrong byte");
	CHECK_EQ(test_wait(demo.pid), 1);
}

TEST_TIMEOUT(demo_repeated, "a processor that forwards a timeframe twice makes the demo fail and say so", 60)
{
	struct sea_message *message = NULL, *copy = NULL;
	struct sea_frame_options options = { .n_bytes_max[0] = 4096 };
	struct sea_frame *frame = NULL;
	struct sea_part parts[500];
	struct demo_mark mark;
	struct demo demo;
	void *to = NULL;
	size_t n;

	demo_begin(&demo, &message);
	n = sea_message_n_parts(message);
	CHECK_LT(n, 500);
	for (size_t i = 0; i < n; i++)
		CHECK_OK(sea_message_get_part(message, i, &parts[i]));
	mark = mark_make(message, parts, n);
	CHECK_OK(sea_frame_new(&frame, sea_session_heap(demo.session), &options, SECOND_NS));
	CHECK_OK(sea_frame_add_message(frame, message));
	CHECK_OK(sea_frame_add(frame, sizeof(mark), 0, &to));
	memcpy(to, &mark, sizeof(mark));
	CHECK_OK(sea_frame_seal(&frame, &copy));
	/* The first time without absorbing what it was made from. */
	CHECK_OK(sea_channel_send(demo.out, &copy, 10 * SECOND_NS));
	mark.sequence = 1;
	CHECK_OK(sea_frame_new(&frame, sea_session_heap(demo.session), &options, SECOND_NS));
	CHECK_OK(sea_frame_add_message(frame, message));
	CHECK_OK(sea_frame_add(frame, sizeof(mark), 0, &to));
	memcpy(to, &mark, sizeof(mark));
	CHECK_OK(sea_frame_absorb(frame, &message));
	CHECK_OK(sea_frame_seal(&frame, &copy));
	CHECK_OK(sea_channel_send(demo.out, &copy, 10 * SECOND_NS));
	CHECK_OK(sea_channel_flush(demo.out, 10 * SECOND_NS));
	demo_leave(&demo);
	demo_said(&demo, "came again");
	CHECK_EQ(test_wait(demo.pid), 1);
}
