/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regions; see sealane/region.h.
 *
 * The odd rule: the place in the queue of the released is reserved when a message is made, so a release cannot fail: what is out and what
 * waits in the queue are together never more than n_blocks_max.
 */
#include "memory/region.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/kernel.h"
#include "base/point.h"
#include "memory/chunks.h"
#include "memory/heap-state.h"
#include "memory/message.h"

#define REGION_FLAGS                                                                                   \
	(SEA_HEAP_PREFAULT | SEA_HEAP_MLOCK | SEA_HEAP_NUMA | SEA_REGION_KEEP_FILE | SEA_REGION_ZERO | \
	 SEA_REGION_READ_ONLY)
#define REGION_N_BLOCKS_MOST (UINT32_C(1) << 28)
#define REGION_N_BYTES_MOST ((uint64_t)1 << 46)
#define REGION_BATCH 64u
/* Between two looks at what is out, at close. */
#define REGION_LOOK_NS (SEAI_NS_PER_MS / 2)

static int region_check_options(const struct sea_region_options *options)
{
	for (size_t i = 0; i < sizeof(options->reserved) / sizeof(options->reserved[0]); i++)
		if (options->reserved[i])
			return -EINVAL;
	if (options->reserved_0 || (options->n_bytes == 0 && !options->kept_name) ||
	    options->n_bytes > REGION_N_BYTES_MOST || (options->path && options->kept_name) ||
	    options->n_blocks_max > REGION_N_BLOCKS_MOST || options->flags & ~REGION_FLAGS || options->linger_ns < -1 ||
	    (options->name && strlen(options->name) > sizeof(((struct sea_region *)NULL)->name) - 1))
		return -EINVAL;
	if (options->flags & SEA_REGION_READ_ONLY && (!options->path || options->flags & SEA_REGION_ZERO))
		return -EINVAL;
	return 0;
}

/* The user's file, made or of the right size. A descriptor, or -errno. */
static int region_open_file(struct sea_region *region, const struct sea_region_options *options, uint64_t n_bytes)
{
	SEAI_AUTO_FREE char *path = NULL;
	SEAI_AUTO_FD int fd = -1;
	struct stat stat;
	size_t n = strlen(options->path);
	bool is_new;

	if (asprintf(&path, "%s%s", options->path,
	             n && options->path[n - 1] == '/' ? (options->name ? options->name : "region") : "") < 0)
		return -ENOMEM;
	if (options->flags & SEA_REGION_READ_ONLY) {
		/* A FIFO in its place must not hold us up. */
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0 || fstat(fd, &stat) < 0)
			return -errno;
		return S_ISREG(stat.st_mode) && (uint64_t)stat.st_size == n_bytes ? seai_take_fd(&fd) : -EBADMSG;
	}
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	is_new = fd >= 0;
	if (fd < 0 && errno == EEXIST)
		fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	if (is_new && !(options->flags & SEA_REGION_KEEP_FILE))
		region->path = SEAI_TAKE(path);
	if (fstat(fd, &stat) < 0)
		return -errno;
	if (!S_ISREG(stat.st_mode) || (stat.st_size && (uint64_t)stat.st_size != n_bytes))
		return -EBADMSG;
	if (stat.st_size == 0 && ftruncate(fd, (off_t)n_bytes) < 0)
		return errno == EFBIG ? -ENOMEM : -errno;
	return seai_take_fd(&fd);
}

/* Memory that the region does not make itself: 0 and a descriptor, or -1 where it does. */
static int region_open_given(struct sea_region *region, const struct sea_region_options *options, uint64_t unit,
                             uint64_t *n_bytes, int *ret_fd)
{
	struct sea_session *session = region->session;
	SEAI_AUTO_FD int fd = -1;
	struct stat stat;
	int r;

	if (!options->path && !options->kept_name)
		return 0;
	if (options->protection != SEA_PROTECTION_SHARED) {
		seai_log(session, SEA_LOG_ERROR,
		         "a region of a file or of kept memory cannot be sealed; it can be shared");
		return -ENOTSUP;
	}
	if (options->path) {
		fd = region_open_file(region, options, *n_bytes);
		if (fd < 0)
			return fd;
	} else {
		r = session->hooks->adopt(session, options->kept_name, options->kept_timeout_ns, &fd);
		if (r < 0)
			return r;
		if (fstat(fd, &stat) < 0)
			return -errno;
		if (stat.st_size <= 0 || (uint64_t)stat.st_size % unit ||
		    (options->n_bytes && *n_bytes != (uint64_t)stat.st_size))
			return -EINVAL;
		*n_bytes = (uint64_t)stat.st_size;
	}
	*ret_fd = seai_take_fd(&fd);
	return 0;
}

/* The heap and its only arena, backed in full. */
static int region_make_memory(struct sea_region *region, const struct sea_region_options *options)
{
	struct sea_session *session = region->session;
	uint64_t unit = options->pages == SEA_PAGES_HUGETLB ? SEAI_HUGE_N_BYTES : SEAI_CHUNK_N_BYTES;
	uint64_t n_bytes = (options->n_bytes + unit - 1) / unit * unit;
	struct sea_heap_options heap_options = {
		.pages = options->pages,
		.flags = options->flags & (SEA_HEAP_MLOCK | SEA_HEAP_NUMA),
		.numa_node = options->numa_node,
		.protection = options->protection,
		.name = options->name && options->name[0] ? options->name : NULL,
	};
	SEAI_AUTO_FD int fd = -1;
	int r = region_open_given(region, options, unit, &n_bytes, &fd);

	if (r < 0)
		return r;
	/* All of it is to be backed now: more than the machine has would call for its out-of-memory killer. */
	if (n_bytes / 2 > seai_default_quota() && fd < 0)
		return -ENOMEM;
	/* And what its head and the generations can take. */
	heap_options.quota_n_bytes = n_bytes + (uint64_t)region->n_blocks_max * sizeof(uint64_t) +
	                             4 * SEAI_HUGE_N_BYTES;
	r = seai_heap_new(&region->heap, session, &heap_options);
	if (r < 0)
		return r;
	SEAI_LOCKED(&session->books, books);
	region->heap->region = region;
	region->heap->is_file = options->path != NULL;
	region->heap->is_read_only = options->flags & SEA_REGION_READ_ONLY;
	/* This one arena, in full, now. */
	r = seai_heap_adopt(region->heap, &fd, n_bytes, SEAI_ARENA_REGION, &region->arena);
	if (r < 0) {
		seai_heap_destroy(region->heap);
		return r;
	}
	region->arena->is_region = true;
	region->arena->region_user_flags = region->user_flags;
	memcpy(region->arena->region_name, region->name, sizeof(region->arena->region_name));
	seai_chunks_take(region->arena, region->arena->data_offset / SEAI_CHUNK_N_BYTES, region->arena->n_chunks_free);
	region->data = (uint8_t *)region->arena->head + region->arena->data_offset;
	region->n_bytes = n_bytes;
	region->next = session->regions;
	session->regions = region;
	if (options->pages == SEA_PAGES_COLLAPSE)
		session->hooks->poke(session);
	return 0;
}

static struct sea_region *region_free(struct sea_region *region)
{
	if (region->released)
		munmap(region->released, region->n_blocks_max * sizeof(*region->released));
	seai_close(region->fd);
	if (region->path)
		(void)unlink(region->path);
	free(region->path);
	free(region);
	return NULL;
}

int sea_region_new(struct sea_region **ret_region, struct sea_session *session,
                   const struct sea_region_options *options)
{
	struct sea_region *region;
	void *ring;
	int r = region_check_options(options);

	if (seai_session_is_forked(session))
		return -EPERM;
	if (r < 0)
		return r;
	region = calloc(1, sizeof(*region));
	if (!region)
		return -ENOMEM;
	region->session = session;
	region->fd = -1;
	region->n_blocks_max = options->n_blocks_max ? options->n_blocks_max : SEA_REGION_N_BLOCKS_DEFAULT;
	region->linger_ns = options->linger_ns ? options->linger_ns : SEA_REGION_LINGER_DEFAULT_NS;
	region->user_flags = options->user_flags;
	region->on_release = options->on_release;
	region->on_release_one = options->on_release ? NULL : options->on_release_one;
	region->userdata = options->userdata;
	snprintf(region->name, sizeof(region->name), "%s", options->name ? options->name : "");
	ring = mmap(NULL, region->n_blocks_max * sizeof(*region->released), PROT_READ | PROT_WRITE,
	            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ring == MAP_FAILED) {
		region_free(region);
		return -ENOMEM;
	}
	region->released = ring;
	r = region_make_memory(region, options);
	if (r < 0) {
		region_free(region);
		return r;
	}
	/* Nobody has a message of it yet. */
	if (options->flags & SEA_REGION_ZERO)
		memset(region->data, 0, region->n_bytes);
	*ret_region = region;
	return 0;
}

/* Whether it is told by calls. */
static bool region_calls(const struct sea_region *region)
{
	return region->on_release || region->on_release_one;
}

/* Whether its owner is told by itself, so that holders have to ring. */
static bool region_is_watched(const struct sea_region *region)
{
	return region_calls(region) || region->fd >= 0;
}

static void region_wake(struct sea_region *region)
{
	if (region_calls(region))
		region->session->hooks->poke(region->session);
	else if (region->fd >= 0)
		(void)!write(region->fd, &(uint64_t){ 1 }, sizeof(uint64_t));
}

void seai_region_push(struct sea_region *region, struct seai_block *block)
{
	uint32_t at = region->first + region->n_waiting;

	if (at >= region->n_blocks_max)
		at -= region->n_blocks_max;
	region->released[at] = (struct sea_region_block){
		.data = (uint8_t *)block->arena->head + block->offset,
		.n_bytes = block->n_backed,
		.hint = block->hint,
	};
	region->n_out--;
	region->n_bytes_out -= block->n_backed;
	if (region_is_watched(region))
		region->session->n_watched--;
	SEAI_POINT("region: released, not told");
	if (region->n_waiting++ == 0)
		region_wake(region);
}

/* Moves the oldest releases out. */
static size_t region_pop(struct sea_region *region, struct sea_region_block *blocks, size_t n_max)
{
	size_t n = region->n_waiting < n_max ? region->n_waiting : n_max;

	for (size_t i = 0; i < n; i++) {
		blocks[i] = region->released[region->first];
		region->first = region->first + 1 == region->n_blocks_max ? 0 : region->first + 1;
	}
	region->n_waiting -= (uint32_t)n;
	region->n_released += n;
	return n;
}

/* Calls until nothing waits. Returns whether anything did. Books lock held; dropped for the call. */
static bool region_call(struct sea_region *region)
{
	struct sea_session *session = region->session;
	struct sea_region_block blocks[REGION_BATCH];
	size_t n;

	if (!region_calls(region) || !region->n_waiting || region->is_in_callback)
		return false;
	region->is_in_callback = true;
	while ((n = region_pop(region, blocks, REGION_BATCH)) > 0) {
		seai_lock_release(&session->books);
		if (region->on_release)
			region->on_release(blocks, n, region->userdata);
		else
			for (size_t i = 0; i < n; i++)
				region->on_release_one(blocks[i].data, blocks[i].n_bytes, blocks[i].hint,
				                       region->userdata);
		seai_lock_take(&session->books);
	}
	region->is_in_callback = false;
	return true;
}

void seai_regions_run_callbacks(struct sea_session *session)
{
	struct sea_region *region;
	SEAI_LOCKED(&session->books, books);

	/* The list may change while a callback runs: from its start after each. */
	do {
		for (region = session->regions; region && !region_call(region); region = region->next)
			;
	} while (region);
}

/* A message over a part of the region. Books lock held. NULL: no memory. */
static struct sea_message *region_message(struct sea_region *region, const struct sea_region_block *part)
{
	struct seai_arena *arena = region->arena;
	struct sea_message *message = seai_message_take(region->session);
	struct seai_block *block;

	if (!message)
		return NULL;
	block = seai_arena_take_id(arena);
	block->offset = (uint64_t)((uint8_t *)part->data - (uint8_t *)arena->head);
	block->size_class = SEAI_CLASS_REGION;
	block->n_backed = part->n_bytes;
	block->hint = part->hint;
	seai_block_begin(region->heap, block, part->n_bytes);
	region->n_out++;
	region->n_bytes_out += part->n_bytes;
	message->kind = SEAI_MESSAGE_SINGLE;
	message->flags = arena->is_read_only ? 0 : SEAI_MESSAGE_WRITABLE;
	message->n_parts = 1;
	message->n_blocks = 1;
	message->offset = block->offset;
	message->n_bytes = part->n_bytes;
	message->ref = (struct seai_ref){
		.block = block,
		.base = (const uint8_t *)arena->head,
		.n_bytes = arena->n_bytes,
		.generation = block->generation,
		.block_id = block->id,
		.arena_id = arena->id,
	};
	return message;
}

/* Both ends. */
static bool region_has(const struct sea_region *region, const struct sea_region_block *part)
{
	uintptr_t first = (uintptr_t)region->data, at = (uintptr_t)part->data;

	return at >= first && at - first <= region->n_bytes && part->n_bytes <= region->n_bytes - (at - first);
}

int sea_message_new_in_region_many(struct sea_message **messages, size_t n_messages, struct sea_region *region,
                                   const struct sea_region_block *blocks)
{
	struct sea_session *session = region->session;
	bool must_arm;
	size_t n;

	if (seai_session_is_forked(session))
		return -EPERM;
	if (n_messages == 0 || !region_has(region, &blocks[0]))
		return -EINVAL;
	SEAI_LOCKED(&session->books, books);
	must_arm = region_is_watched(region) && session->n_watched == 0;
	for (n = 0; n < n_messages && n < INT32_MAX; n++) {
		if (region->n_out + region->n_waiting >= region->n_blocks_max ||
		    seai_arena_prepare_ids(region->arena, 1) < 0 || !region_has(region, &blocks[n]))
			break;
		messages[n] = region_message(region, &blocks[n]);
		if (!messages[n])
			break;
		if (region_is_watched(region))
			session->n_watched++;
	}
	/* From here on holders ring when they have given something back. */
	if (n && must_arm)
		session->hooks->arm(session);
	return n ? (int)n : -ENOMEM;
}

int sea_message_new_in_region(struct sea_message **ret_message, struct sea_region *region, void *data, size_t n_bytes,
                              uint64_t hint)
{
	const struct sea_region_block block = { data, n_bytes, hint };
	int r = sea_message_new_in_region_many(ret_message, 1, region, &block);

	return r < 0 ? r : 0;
}

int sea_region_take_released(struct sea_region *region, struct sea_region_block *blocks, size_t n_max)
{
	struct sea_session *session = region->session;
	size_t n;

	if (seai_session_is_forked(session))
		return -EPERM;
	if (region_calls(region))
		return -EINVAL;
	SEAI_LOCKED(&session->books, books);
	if (region->n_waiting < n_max)
		session->hooks->drain(session);
	n = region_pop(region, blocks, n_max < INT32_MAX ? n_max : INT32_MAX);
	if (region->n_waiting == 0 && region->fd >= 0) {
		(void)!read(region->fd, &(uint64_t){ 0 }, sizeof(uint64_t));
		if (session->n_watched)
			session->hooks->arm(session);
	}
	return (int)n;
}

int sea_region_fd(struct sea_region *region)
{
	struct sea_session *session = region->session;

	if (seai_session_is_forked(session))
		return -EPERM;
	if (region_calls(region))
		return -EINVAL;
	SEAI_LOCKED(&session->books, books);
	if (region->fd < 0) {
		int fd = eventfd(region->n_waiting > 0, EFD_CLOEXEC | EFD_NONBLOCK);

		if (fd < 0)
			return -errno;
		region->fd = fd;
		session->n_watched += region->n_out;
		if (region->n_out)
			session->hooks->arm(session);
	}
	return region->fd;
}

void *sea_region_data(const struct sea_region *region)
{
	return region->data;
}

uint64_t sea_region_size(const struct sea_region *region)
{
	return region->n_bytes;
}

static void region_fill_stats(const struct sea_region *region, struct sea_region_stats *stats)
{
	*stats = (struct sea_region_stats){
		.n_bytes = region->n_bytes,
		.n_out = region->n_out,
		.n_bytes_out = region->n_bytes_out,
		.n_waiting = region->n_waiting,
		.n_released = region->n_released,
	};
}

int sea_region_get_stats(struct sea_region *region, struct sea_region_stats *ret_stats)
{
	struct sea_session *session = region->session;

	if (seai_session_is_forked(session))
		return -EPERM;
	SEAI_LOCKED(&session->books, books);
	session->hooks->drain(session);
	region_fill_stats(region, ret_stats);
	return 0;
}

/* Whether everything came back and was told of. */
static bool region_is_over(struct sea_region *region)
{
	struct sea_session *session = region->session;
	SEAI_LOCKED(&session->books, books);

	session->hooks->drain(session);
	return region->n_out == 0 && (!region_calls(region) || (region->n_waiting == 0 && !region->is_in_callback));
}

struct sea_region *sea_region_close(struct sea_region *region, struct sea_region_stats *ret_stats)
{
	const struct timespec pause = { .tv_nsec = REGION_LOOK_NS };
	struct sea_session *session;
	struct sea_region **at;
	int64_t until_ns;

	if (!region || seai_session_is_forked(region->session))
		return NULL;
	session = region->session;
	until_ns = seai_now_ns() + region->linger_ns;
	while (!region_is_over(region) && region->linger_ns > 0 && seai_now_ns() < until_ns)
		nanosleep(&pause, NULL);
	seai_lock_take(&session->books);
	/* What came back is told of in any case. */
	while (region_calls(region) && (region->n_waiting || region->is_in_callback)) {
		seai_lock_release(&session->books);
		session->hooks->poke(session);
		nanosleep(&pause, NULL);
		seai_lock_take(&session->books);
	}
	if (ret_stats)
		region_fill_stats(region, ret_stats);
	for (at = &session->regions; *at != region; at = &(*at)->next)
		;
	*at = region->next;
	if (region_is_watched(region))
		session->n_watched -= region->n_out;
	region->heap->region = NULL;
	seai_lock_release(&session->books);
	sea_heap_free(region->heap);
	return region_free(region);
}

void seai_regions_free(struct sea_session *session)
{
	while (session->regions) {
		struct sea_region *region = session->regions;

		session->regions = region->next;
		region->heap->region = NULL;
		region_free(region);
	}
}
