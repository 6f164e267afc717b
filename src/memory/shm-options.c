/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FairMQ's options for shared memory, in one table: what each means here.
 *
 * The odd rule: an option that cannot have its effect says so. Silence would mean that it does.
 */
#include <sealane/shm-options.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/heap.h>
#include <sealane/session.h>

#include "memory/heap-state.h"

#define SHM_INTERVAL_DEFAULT_MS 50
#define NS_PER_MS INT64_C(1000000)

struct said {
	char *text;
	size_t n_bytes;
};

typedef int set_fn(struct sea_shm_options *options, const char *value, struct said *said);

static int say(struct said *said, int r, const char *format, ...) __attribute__((format(printf, 3, 4)));

static int say(struct said *said, int r, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	if (said->n_bytes)
		vsnprintf(said->text, said->n_bytes, format, arguments);
	va_end(arguments);
	return r;
}

static int read_flag(const char *value, bool *ret_flag, struct said *said)
{
	if (strcmp(value, "1") == 0 || strcmp(value, "true") == 0 || strcmp(value, "on") == 0 ||
	    strcmp(value, "yes") == 0)
		*ret_flag = true;
	else if (strcmp(value, "0") == 0 || strcmp(value, "false") == 0 || strcmp(value, "off") == 0 ||
	         strcmp(value, "no") == 0)
		*ret_flag = false;
	else
		return say(said, -EINVAL, "'%s' is neither true nor false", value);
	return 0;
}

/* A whole number from min on; with units K, M, G, T and KiB to TiB where they are allowed. */
static int read_number(const char *value, int64_t min, int64_t max, bool units, int64_t *ret_number, struct said *said)
{
	static const char letters[] = "KMGT";
	const char *letter;
	long long number;
	char *end;

	errno = 0;
	number = strtoll(value, &end, 10);
	letter = units && *end ? strchr(letters, *end) : NULL;
	if (end == value || errno)
		return say(said, -EINVAL, "'%s' is not a number", value);
	if (letter) {
		unsigned shift = 10 * (unsigned)(letter - letters + 1);

		end += strcmp(end + 1, "iB") == 0 ? 3 : 1;
		if (number < 0 || number > INT64_MAX >> shift)
			return say(said, -EINVAL, "'%s' is out of range", value);
		number <<= shift;
	}
	if (*end)
		return say(said, -EINVAL, "'%s' is not a number", value);
	if (number < min || number > max)
		return say(said, -EINVAL, "'%s' is not from %lld to %lld", value, (long long)min, (long long)max);
	*ret_number = number;
	return 0;
}

static int read_size(const char *value, uint64_t *ret_n_bytes, struct said *said)
{
	int64_t number = 0;
	int r = read_number(value, 1, (int64_t)1 << 48, true, &number, said);

	if (r == 0)
		*ret_n_bytes = (uint64_t)number;
	return r;
}

static int set_segment_size(struct sea_shm_options *options, const char *value, struct said *said)
{
	return read_size(value, &options->segment_n_bytes, said);
}

static int set_session_quota(struct sea_shm_options *options, const char *value, struct said *said)
{
	return read_size(value, &options->session_quota_n_bytes, said);
}

static int set_segment_id(struct sea_shm_options *options, const char *value, struct said *said)
{
	int64_t number = 0;
	int r = read_number(value, 0, UINT16_MAX, false, &number, said);

	if (r == 0)
		options->segment_id = (uint32_t)number;
	return r;
}

static int set_segment_name(struct sea_shm_options *options, const char *value, struct said *said)
{
	if (!*value || strlen(value) >= SEAI_HEAP_NAME_N_BYTES)
		return say(said, -EINVAL, "a name has 1 to %u bytes", SEAI_HEAP_NAME_N_BYTES - 1);
	strcpy(options->segment_name, value);
	return 0;
}

static int set_heap_flags(struct sea_shm_options *options, const char *value, uint32_t flags, struct said *said)
{
	bool flag = false;
	int r = read_flag(value, &flag, said);

	if (r == 0 && flag)
		options->heap_flags |= flags;
	return r;
}

static int set_mlock(struct sea_shm_options *options, const char *value, struct said *said)
{
	return set_heap_flags(options, value, SEA_HEAP_MLOCK, said);
}

static int set_mlock_on_creation(struct sea_shm_options *options, const char *value, struct said *said)
{
	return set_heap_flags(options, value, SEA_HEAP_MLOCK | SEA_HEAP_PREFAULT, said);
}

static int set_zero(struct sea_shm_options *options, const char *value, struct said *said)
{
	(void)say(
		said, 0,
		"memory is zero when it comes from the kernel, which it does ahead now; a block is not zeroed when it is used again");
	return set_heap_flags(options, value, SEA_HEAP_PREFAULT, said);
}

static int set_attempts(struct sea_shm_options *options, const char *value, struct said *said)
{
	return read_number(value, -1, INT32_MAX, false, &options->bad_alloc_max_attempts, said);
}

static int set_interval(struct sea_shm_options *options, const char *value, struct said *said)
{
	return read_number(value, 0, INT32_MAX, false, &options->bad_alloc_attempt_interval_ms, said);
}

static int set_throw(struct sea_shm_options *options, const char *value, struct said *said)
{
	bool flag = false;
	int r = read_flag(value, &flag, said);

	if (r == 0)
		options->never_fails = !flag;
	return r;
}

static int set_metadata_size(struct sea_shm_options *options, const char *value, struct said *said)
{
	int64_t number = 0;
	int r = read_number(value, 0, INT32_MAX, false, &number, said);

	(void)options;
	return r < 0 ? r : say(said, 1, "no effect: a queue holds as many messages as it was given anyway");
}

static int set_allocation(struct sea_shm_options *options, const char *value, struct said *said)
{
	(void)options;
	if (strcmp(value, "rbtree_best_fit") == 0 || strcmp(value, "simple_seq_fit") == 0)
		return say(said, 1, "no effect: there is one allocator, of size classes over page runs");
	return say(said, -ENOTSUP, "'%s' is refused: use rbtree_best_fit or simple_seq_fit, or leave it out", value);
}

static int set_monitor(struct sea_shm_options *options, const char *value, struct said *said)
{
	bool flag = false;
	int r = read_flag(value, &flag, said);

	(void)options;
	return r < 0 ? r
	             : say(said, 1,
	                   "no effect: no monitor is needed to clean up; `sealane monitor` shows a session at any time");
}

static int set_no_cleanup(struct sea_shm_options *options, const char *value, struct said *said)
{
	bool flag = false;
	int r = read_flag(value, &flag, said);

	(void)options;
	return r < 0 ? r
	             : say(said, 1,
	                   "no effect: memory lives as long as somebody holds it, and leaves no names to clean up");
}

static int set_shmid(struct sea_shm_options *options, const char *value, struct said *said)
{
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(value, &end, 0);
	if (end == value || *end || errno || *value == '-')
		return say(said, -EINVAL, "'%s' is not a number", value);
	if (number)
		snprintf(options->shmid, sizeof(options->shmid), "shmid-%llx", number);
	else
		options->shmid[0] = 0;
	return 0;
}

static int set_session(struct sea_shm_options *options, const char *value, struct said *said)
{
	size_t n = strlen(value);

	if (n == 0 || n >= sizeof(options->session) || value[0] == '.' ||
	    strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") != n)
		return say(said, -EINVAL, "'%s' is not 1 to 64 of A-Z a-z 0-9 . _ -, not starting with a dot", value);
	strcpy(options->session, value);
	return 0;
}

static int read_transport(const char *value, uint32_t *ret_transport, struct said *said)
{
	if (strcmp(value, "memfd") == 0)
		*ret_transport = SEA_TRANSPORT_MEMFD;
	else if (strcmp(value, "shmem") == 0)
		*ret_transport = SEA_TRANSPORT_SHMEM;
	else
		return say(said, -ENOTSUP, "'%s' is refused: use memfd or shmem", value);
	return 0;
}

static int set_transport(struct sea_shm_options *options, const char *value, struct said *said)
{
	return read_transport(value, &options->transport, said);
}

static int set_as(struct sea_shm_options *options, const char *value, struct said *said)
{
	uint32_t transport = 0;
	int r = read_transport(value, &transport, said);

	if (r == 0)
		options->as = 1 + transport;
	return r;
}

static const struct shm_option {
	const char *name;
	set_fn *set;
} shm_options[] = {
	{ "shm-segment-size", set_segment_size },
	{ "shm-segment-id", set_segment_id },
	{ "shm-segment-name", set_segment_name },
	{ "shm-mlock-segment", set_mlock },
	{ "shm-mlock-segment-on-creation", set_mlock_on_creation },
	{ "shm-zero-segment", set_zero },
	{ "shm-zero-segment-on-creation", set_zero },
	{ "bad-alloc-max-attempts", set_attempts },
	{ "bad-alloc-attempt-interval", set_interval },
	{ "shm-throw-bad-alloc", set_throw },
	{ "shm-metadata-msg-size", set_metadata_size },
	{ "shm-allocation", set_allocation },
	{ "shm-monitor", set_monitor },
	{ "shm-no-cleanup", set_no_cleanup },
	{ "shmid", set_shmid },
	{ "session", set_session },
	{ "transport", set_transport },
	{ "shm-as", set_as },
	{ "session-quota", set_session_quota },
};
#define SHM_N_OPTIONS (sizeof(shm_options) / sizeof(shm_options[0]))

int sea_shm_option_set(struct sea_shm_options *options, const char *name, const char *value, char *ret_message,
                       size_t n_bytes)
{
	struct said said = { ret_message, n_bytes };

	if (n_bytes)
		ret_message[0] = 0;
	for (size_t i = 0; i < SHM_N_OPTIONS; i++)
		if (strcmp(shm_options[i].name, name) == 0)
			return shm_options[i].set(options, value, &said);
	return say(&said, -ENOENT, "no option of the name %s", name);
}

const char *sea_shm_option_name(size_t i)
{
	return i < SHM_N_OPTIONS ? shm_options[i].name : NULL;
}

void sea_shm_options_apply(const struct sea_shm_options *options, struct sea_session_options *session,
                           struct sea_heap_options *heap)
{
	/* Only what says shmem is affected by what that is to run as. */
	bool shared = options->transport == SEA_TRANSPORT_SHMEM && options->as != 1 + SEA_TRANSPORT_MEMFD;

	if (session) {
		if (options->shmid[0] || options->session[0])
			session->name = options->shmid[0] ? options->shmid : options->session;
		if (options->segment_n_bytes)
			session->quota_n_bytes = options->segment_n_bytes;
		if (options->session_quota_n_bytes)
			session->session_quota_n_bytes = options->session_quota_n_bytes;
		if (shared)
			session->transport = SEA_TRANSPORT_SHMEM;
	}
	if (heap) {
		if (options->segment_n_bytes)
			heap->quota_n_bytes = options->segment_n_bytes;
		if (shared)
			heap->protection = SEA_PROTECTION_SHARED;
		if (options->segment_name[0])
			heap->name = options->segment_name;
		heap->flags |= options->heap_flags;
		heap->segment_id = options->segment_id;
	}
}

int sea_shm_options_get_heap(const struct sea_shm_options *options, struct sea_session *session,
                             struct sea_heap **ret_heap)
{
	struct sea_heap_options heap_options = { 0 };
	struct sea_heap *heap;
	int r;

	if (seai_session_is_forked(session))
		return -EPERM;
	sea_shm_options_apply(options, NULL, &heap_options);
	{
		SEAI_LOCKED(&session->books, books);
		(void)books;
		for (heap = session->heaps; heap; heap = heap->next)
			if (!heap->is_freed && heap->of_options && heap->segment_id == options->segment_id)
				break;
		if (!heap && !options->segment_id && !options->segment_name[0] && !options->heap_flags)
			heap = session->default_heap;
	}
	if (heap) {
		*ret_heap = heap;
		return 0;
	}
	r = sea_heap_new(&heap, session, &heap_options);
	if (r < 0)
		return r;
	heap->of_options = true;
	*ret_heap = heap;
	return 0;
}

int64_t sea_shm_options_timeout_ns(const struct sea_shm_options *options)
{
	int64_t interval_ms = options->bad_alloc_attempt_interval_ms ? options->bad_alloc_attempt_interval_ms
	                                                             : SHM_INTERVAL_DEFAULT_MS;

	if (options->never_fails || options->bad_alloc_max_attempts < 0)
		return -1;
	if (options->bad_alloc_max_attempts <= 1)
		return 0;
	return (options->bad_alloc_max_attempts - 1) * interval_ms * NS_PER_MS;
}
