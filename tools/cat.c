/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sealane cat`: prints Arrow tables, of files and of messages.
 *
 * The odd rule: what is no file is a channel, unless it looks like a path; which of them was taken is said where somebody would wait in vain.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sealane/sealane.h>

#include "cat.h"
#include "cleanup.h"
#include "command.h"
#include "endpoint.h"
#include "options.h"
#include "terminal.h"

#define N_PREFIXES_MAX 16
/* A receiver allocates next to nothing. */
#define QUOTA_N_BYTES ((uint64_t)4 << 20)
/* What is read at a time from what cannot be mapped. */
#define READ_N_BYTES ((size_t)1 << 20)

enum { OPT_HEAD = 1, OPT_SCHEMA, OPT_JSON, OPT_COUNT, OPT_PATTERN, OPT_SUBSCRIBE, OPT_SESSION, OPT_QUIET };

static const struct option_spec specs[] = {
	{ OPT_HEAD, 'n', "head", "N", "print at most N rows of each table" },
	{ OPT_SCHEMA, 0, "schema", NULL, "print columns, types and metadata instead of rows" },
	{ OPT_JSON, 0, "json", NULL, "one JSON object per row (with --schema: per table)" },
	{ OPT_COUNT, 'c', "count", "N", "of a channel: end after N messages" },
	{ OPT_PATTERN, 0, "pattern", "PATTERN", "of a channel: pull, pair or sub (default: pull)" },
	{ OPT_SUBSCRIBE, 0, "subscribe", "PREFIX", "with --pattern sub: what begins so; may be given again" },
	{ OPT_SESSION, 's', "session", "NAME", "the session to join (default: $SEALANE_SESSION, else \"default\")" },
	{ OPT_QUIET, 'q', "quiet", NULL, "no notes on standard error about what is not printed" },
	{ 0 },
};

static const struct option_page page = {
	.command = "cat",
	.usage = "FILE|-|CHANNEL... [--head N] [--schema] [--json] [OPTIONS]",
	.summary =
		"Prints Arrow tables: of files (IPC streams and files; - is standard input), and of messages that come "
		"through a channel, every part of which may be a stream. An argument that is no file and has no / is a channel's "
		"address, as of sealane recv: @ADDRESS binds, +ADDRESS connects, which is the default.",
	.specs = specs,
	.epilogue = "Examples:\n"
		    "  sealane cat table.arrow --head 20\n"
		    "  sealane cat table.arrow --json | jq .time\n"
		    "  sealane cat tables --count 1 --schema\n\n"
		    "Exit status: 0 printed; 1 something could not be read, or is malformed; 2 wrong usage.\n",
};

struct cat {
	struct cat_print print;
	struct sea_session *session;
	struct sea_channel *channel;
	enum sea_pattern pattern;
	const char *prefixes[N_PREFIXES_MAX];
	size_t n_prefixes;
	uint64_t n_messages_max;
	const char *session_name;
	struct sea_shm_options shm;
	bool is_quiet;
};

static void cat_fini(struct cat *cat)
{
	if (cat->channel)
		endpoint_channels_close(&cat->channel, 1);
	sea_session_close(cat->session);
}

/* All of a pipe or terminal. */
static int whole_read(int fd, const char *label, char **ret_bytes, size_t *ret_n_bytes)
{
	TOOL_AUTO_FREE char *bytes = NULL;
	size_t n_bytes = 0, n_max = 0;

	for (;;) {
		ssize_t n;

		if (n_max - n_bytes < READ_N_BYTES) {
			char *more;

			n_max = 2 * n_max + READ_N_BYTES;
			more = realloc(bytes, n_max);
			if (!more) {
				terminal_error("cat", "%s: no memory for %zu bytes", label, n_max);
				return -ENOMEM;
			}
			bytes = more;
		}
		n = read(fd, bytes + n_bytes, n_max - n_bytes);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			terminal_error("cat", "%s: %s", label, strerror(errno));
			return -errno;
		}
		if (n == 0)
			break;
		n_bytes += (size_t)n;
	}
	*ret_bytes = bytes;
	*ret_n_bytes = n_bytes;
	bytes = NULL;
	return 0;
}

/* A regular file is mapped, whatever its size; all else is read first. */
static int fd_print(struct cat *cat, int fd, const char *label)
{
	TOOL_AUTO_FREE char *bytes = NULL;
	size_t n_bytes = 0;
	struct stat status;
	void *memory;
	int r;

	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0 && lseek(fd, 0, SEEK_CUR) == 0) {
		memory = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (memory != MAP_FAILED) {
			r = cat_print_stream(&cat->print, label, memory, (uint64_t)status.st_size);
			munmap(memory, (size_t)status.st_size);
			return r;
		}
	}
	r = whole_read(fd, label, &bytes, &n_bytes);
	return r < 0 ? r : cat_print_stream(&cat->print, label, bytes, n_bytes);
}

static int file_print(struct cat *cat, const char *path)
{
	TOOL_AUTO_FD int fd = -1;

	if (strcmp(path, "-") == 0)
		return fd_print(cat, STDIN_FILENO, "standard input");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		terminal_error("cat", "%s: %s", path, strerror(errno));
		return -errno;
	}
	return fd_print(cat, fd, path);
}

/* Whether bytes begin as a stream or file does: only then what is wrong with them is worth an error. */
static bool is_arrow(const struct sea_part *part)
{
	static const unsigned char mark[4] = { 0xff, 0xff, 0xff, 0xff };

	return part->n_bytes >= 8 && (memcmp(part->data, mark, 4) == 0 || memcmp(part->data, "ARROW1", 6) == 0);
}

static int message_print(struct cat *cat, const struct sea_message *message, uint64_t number)
{
	size_t n_parts = sea_message_n_parts(message);
	int result = 0;

	for (size_t i = 0; i < n_parts; i++) {
		struct sea_part part;
		char label[80];
		int r = sea_message_get_part(message, i, &part);

		snprintf(label, sizeof(label), "message %" PRIu64 ", part %zu", number, i);
		if (r < 0)
			terminal_error("cat", "%s: %s", label, sea_error_text(r));
		else if (is_arrow(&part))
			r = cat_print_stream(&cat->print, label, part.data, part.n_bytes);
		else if (!cat->is_quiet)
			fprintf(stderr, "%s: %zu bytes that are no Arrow stream\n", label, part.n_bytes);
		if (r < 0)
			result = r;
	}
	fflush(stdout);
	return result;
}

static int channel_open(struct cat *cat, const char *address)
{
	struct sea_session_options options = { .process_name = "sealane-cat", .quota_n_bytes = QUOTA_N_BYTES };
	struct endpoint endpoint = {
		.pattern = cat->pattern,
		.address = address,
		.prefixes = cat->prefixes,
		.n_prefixes = cat->n_prefixes,
	};
	int r = endpoint_session_open(&cat->session, "cat", cat->session_name, &options, &cat->shm);

	if (r == 0)
		r = endpoint_channel_open(&cat->channel, cat->session, "cat", &endpoint);
	if (r == 0 && !cat->is_quiet)
		fprintf(stderr, "no file %s: receiving from the channel of that name in session %s\n", address,
		        endpoint_session_name(&options));
	return r;
}

static int channel_print(struct cat *cat, const char *address)
{
	int result = 0, r;

	r = endpoint_catch_signals("cat");
	if (r == 0)
		r = channel_open(cat, address);
	for (uint64_t i = 0; r == 0 && i < cat->n_messages_max && !endpoint_stop_signal;) {
		struct sea_message *message = NULL;

		r = sea_channel_receive(cat->channel, &message, ENDPOINT_LOOK_NS);
		if (endpoint_is_again(r)) {
			r = 0;
			continue;
		}
		if (r < 0) {
			terminal_error("cat", "receiving from %s: %s", address, sea_error_text(r));
			break;
		}
		/* A message that is malformed does not end the look at the others. */
		if (message_print(cat, message, i++) < 0)
			result = -EBADMSG;
		sea_message_unref(message);
		if (ferror(stdout))
			break;
	}
	if (cat->channel)
		endpoint_channels_close(&cat->channel, 1);
	cat->session = sea_session_close(cat->session);
	return r < 0 ? r : result;
}

static bool is_channel(const char *argument)
{
	if (strcmp(argument, "-") == 0)
		return false;
	if (argument[0] == '@' || argument[0] == '+' || argument[0] == '>' || endpoint_is_remote(argument))
		return true;
	return access(argument, F_OK) < 0 && errno == ENOENT && !strchr(argument, '/');
}

static void summary_print(const struct cat *cat)
{
	const char *dim = terminal_colour(stdout, TERMINAL_DIM), *plain = terminal_colour(stdout, TERMINAL_PLAIN);

	if (cat->print.as_json || cat->print.only_schema || !terminal_is(stdout))
		return;
	printf("%s%" PRIu64 " row%s in %" PRIu64 " batch%s%s%s\n", dim, cat->print.n_rows,
	       cat->print.n_rows == 1 ? "" : "s", cat->print.n_batches, cat->print.n_batches == 1 ? "" : "es",
	       cat->print.n_rows && cat->print.n_rows == cat->print.head ? ", as many as were asked for" : "", plain);
}

static int prefix_add(struct cat *cat, struct options *options)
{
	if (cat->n_prefixes == N_PREFIXES_MAX)
		return options_wrong(options, "--subscribe: at most %d of them", N_PREFIXES_MAX);
	cat->prefixes[cat->n_prefixes++] = options->value;
	return 0;
}

static int options_take(struct cat *cat, struct options *options)
{
	const struct endpoint_pattern *pattern;
	int id, r = 0;

	while (r == 0 && (id = options_next(options)) != 0) {
		if (id < 0)
			return -1;
		switch (id) {
		case OPT_HEAD: r = options_number(options, 0, UINT64_MAX, &cat->print.head); break;
		case OPT_SCHEMA: cat->print.only_schema = true; break;
		case OPT_JSON: cat->print.as_json = true; break;
		case OPT_COUNT: r = options_number(options, 1, UINT64_MAX, &cat->n_messages_max); break;
		case OPT_PATTERN:
			pattern = endpoint_pattern_find(options, false);
			if (!pattern)
				return -1;
			cat->pattern = pattern->pattern;
			break;
		case OPT_SUBSCRIBE: r = prefix_add(cat, options); break;
		case OPT_SESSION: cat->session_name = options->value; break;
		case OPT_QUIET: cat->is_quiet = true; break;
		default: break;
		}
	}
	return r;
}

int cat_main(int argc, char **argv)
{
	TOOL_CLEANUP(cat_fini)
	struct cat cat = { .print = { .head = UINT64_MAX }, .pattern = SEA_PULL, .n_messages_max = UINT64_MAX };
	struct options options;
	int result = COMMAND_OK;

	options_init(&options, &page, argc, argv);
	options.shm = &cat.shm;
	if (options_take(&cat, &options) < 0)
		return options.exit_code;
	if (options.first == argc)
		options_wrong(&options, "a file, - or a channel is missing");
	else if (cat.session_name && !options_is_session(cat.session_name))
		options_wrong(&options, "--session: '%s' is not a session's name", cat.session_name);
	else if (cat.n_prefixes && cat.pattern != SEA_SUB)
		options_wrong(&options, "--subscribe is for --pattern sub");
	if (options.exit_code != COMMAND_OK)
		return options.exit_code;
	for (int i = options.first; i < argc && !endpoint_stop_signal; i++) {
		int r = is_channel(argv[i]) ? channel_print(&cat, argv[i]) : file_print(&cat, argv[i]);

		if (r < 0)
			result = COMMAND_FAILED;
	}
	summary_print(&cat);
	return result;
}
