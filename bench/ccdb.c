/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ccdb: the CCDB server. Queries at a fixed rate, against a store of half a million objects; and a large download beside a plain sendfile.
 *
 * The odd rule: a query's latency counts from when it should have been sent, not from when it was: a server that stalls delays all that
 * come behind.
 */
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <sealane/ccdb/ccdb.h>

#define N_PATHS 500
#define N_VERSIONS 1000
#define N_VERSIONS_QUICK 20
#define INTERVAL_MS 1000
#define RATE 2000
#define N_QUERIES RATE
#define CONTENT_N_BYTES ((size_t)64 << 20)
#define BUFFER_N_BYTES ((size_t)256 << 10)

enum variant { QUERY, DOWNLOAD };

struct ccdb {
	struct sea_ccdb_store *store;
	struct sea_ccdb_server *server;
	int fd; /* the client's connection; the plain server's file */
	int listen_fd;
	char *buffer;
	uint64_t n_turns;
	uint64_t seed;
};

static unsigned n_versions;
static char content_uuid[SEA_CCDB_STORE_UUID_N_BYTES];

/* The store. ----------------------------------------------------------------------------------- */

static const char *store_directory(void)
{
	static char directory[512];

	snprintf(directory, sizeof directory, "%s/ccdb", bench_config.directory);
	return directory;
}

/* All versions of a path, one after the other, every fiftieth much longer than its interval. */
static void store_fill_path(struct sea_ccdb_store *store, unsigned number)
{
	struct sea_ccdb_put *puts = calloc(n_versions, sizeof *puts);
	struct sea_error error = { 0 };
	char path[64], line[1000];
	int r;

	bench_check(puts != NULL, "no memory");
	snprintf(path, sizeof path, "DET%u/Calib/Object%u", number % 20, number);
	for (unsigned i = 0; i < n_versions; i++)
		puts[i] = (struct sea_ccdb_put){ .path = path,
			                         .valid_from_ms = (int64_t)i * INTERVAL_MS,
			                         .valid_until_ms = (int64_t)(i % 50 == 0 ? i + 50 : i + 1) *
			                                           INTERVAL_MS,
			                         .created_ms = INT64_C(1700000000000) + i,
			                         .data = "calibration",
			                         .n_bytes = 11 };
	r = sea_ccdb_store_put_many(store, puts, n_versions, &error);
	bench_check(r == 0, "filling the store: %s", sea_error_line(&error, line, sizeof line));
	free(puts);
}

static void store_fill_content(struct sea_ccdb_store *store)
{
	struct sea_ccdb_entry *entry;
	struct sea_ccdb_put put = { .path = "Large", .valid_until_ms = 1, .n_bytes = CONTENT_N_BYTES };
	char *data = malloc(CONTENT_N_BYTES);
	int r;

	bench_check(data != NULL, "no memory");
	bench_fill(data, CONTENT_N_BYTES, 1);
	put.data = data;
	r = sea_ccdb_store_put(store, &put, &entry, NULL);
	bench_check(r == 0, "sea_ccdb_store_put: %s", sea_error_text(r));
	memcpy(content_uuid, entry->uuid, sizeof content_uuid);
	sea_ccdb_entry_free(entry);
	free(data);
}

static struct sea_ccdb_store *store_open(void)
{
	const struct sea_ccdb_store_options options = { .no_sync = 1 };
	struct sea_ccdb_store *store;
	struct sea_error error = { 0 };
	char line[1000];
	int r = sea_ccdb_store_open(&store, store_directory(), &options, &error);

	bench_check(r == 0, "%s", sea_error_line(&error, line, sizeof line));
	return store;
}

static void store_fill(void)
{
	struct sea_ccdb_store *store;

	if (n_versions)
		return;
	n_versions = bench_config.quick ? N_VERSIONS_QUICK : N_VERSIONS;
	store = store_open();
	for (unsigned i = 0; i < N_PATHS && atomic_load(&bench_interrupted) == 0; i++)
		store_fill_path(store, i);
	store_fill_content(store);
	sea_ccdb_store_close(store);
}

/* Ours: side 0 asks, side 1 serves. ------------------------------------------------------------ */

static int connect_to(uint64_t port)
{
	const struct sockaddr_in address = { .sin_family = AF_INET,
		                             .sin_port = htons((uint16_t)port),
		                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	bench_check(fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0, "connect: %s",
	            strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

static struct ccdb *ccdb_new(struct bench_job *job)
{
	struct ccdb *ccdb = calloc(1, sizeof *ccdb);

	bench_check(ccdb != NULL, "no memory");
	ccdb->fd = ccdb->listen_fd = -1;
	ccdb->seed = 88172645463325252u;
	job->state = ccdb;
	return ccdb;
}

static int road_open(struct bench_job *job, int side)
{
	struct ccdb *ccdb = ccdb_new(job);
	int r;

	if (side == 0) {
		bench_await(&job->shared->flag, 1);
		ccdb->fd = connect_to(atomic_load(&job->shared->flag));
		ccdb->buffer = malloc(BUFFER_N_BYTES);
		bench_check(ccdb->buffer != NULL, "no memory");
		return 0;
	}
	ccdb->store = store_open();
	/* The threads stay on this side's core. */
	r = sea_ccdb_server_start(&ccdb->server, ccdb->store, NULL, NULL);
	bench_check(r == 0, "sea_ccdb_server_start: %s", sea_error_text(r));
	atomic_store(&job->shared->flag, sea_ccdb_server_port(ccdb->server));
	return 0;
}

static void road_close(struct bench_job *job, int side)
{
	struct ccdb *ccdb = job->state;

	(void)side;
	if (ccdb->fd >= 0)
		close(ccdb->fd);
	if (ccdb->listen_fd >= 0)
		close(ccdb->listen_fd);
	sea_ccdb_server_stop(ccdb->server);
	sea_ccdb_store_close(ccdb->store);
	free(ccdb->buffer);
	free(ccdb);
}

static void send_all(int fd, const char *text, size_t n)
{
	bench_check(send(fd, text, n, MSG_NOSIGNAL) == (ssize_t)n, "send: %s", strerror(errno));
}

/* Reads a head; what came behind it is moved to the begin of the buffer. @return how much that is */
static size_t read_head(const struct ccdb *ccdb, char *head, size_t n_max)
{
	size_t n = 0;

	for (;;) {
		const ssize_t n_read = recv(ccdb->fd, ccdb->buffer + n, BUFFER_N_BYTES - 1 - n, 0);
		const char *end;

		bench_check(n_read > 0, "recv: %s", n_read < 0 ? strerror(errno) : "closed");
		n += (size_t)n_read;
		ccdb->buffer[n] = 0;
		end = strstr(ccdb->buffer, "\r\n\r\n");
		if (end == NULL)
			continue;
		snprintf(head, n_max, "%.*s", (int)(end - ccdb->buffer), ccdb->buffer);
		n -= (size_t)(end + 4 - ccdb->buffer);
		memmove(ccdb->buffer, end + 4, n);
		return n;
	}
}

static uint64_t next_random(struct ccdb *ccdb)
{
	ccdb->seed ^= ccdb->seed << 13;
	ccdb->seed ^= ccdb->seed >> 7;
	ccdb->seed ^= ccdb->seed << 17;
	return ccdb->seed;
}

static void sleep_until(int64_t at_ns)
{
	const struct timespec at = { .tv_sec = at_ns / 1000000000, .tv_nsec = at_ns % 1000000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {
	}
}

static void turn_queries(struct bench_job *job, uint64_t n)
{
	struct ccdb *ccdb = job->state;
	double *samples = bench_samples(job, n);
	const int64_t start_ns = bench_now() + 1000000;

	for (uint64_t i = 0; i < n; i++) {
		const int64_t due_ns = start_ns + (int64_t)i * (1000000000 / RATE);
		const unsigned number = (unsigned)(next_random(ccdb) % N_PATHS);
		const uint64_t time_ms = next_random(ccdb) % ((uint64_t)n_versions * INTERVAL_MS);
		char text[256], head[2048];
		int n_text = snprintf(
			text, sizeof text,
			"GET /DET%u/Calib/Object%u/%llu HTTP/1.1\r\nHost: bench\r\nIf-Not-After: 3385078236000\r\n\r\n",
			number % 20, number, (unsigned long long)time_ms);

		sleep_until(due_ns);
		send_all(ccdb->fd, text, (size_t)n_text);
		read_head(ccdb, head, sizeof head);
		bench_check(strncmp(head, "HTTP/1.1 303", 12) == 0, "%s\n%s", text, head);
		samples[job->n_sampled++] = (double)(bench_now() - due_ns);
	}
}

static void turn_downloads(struct bench_job *job, uint64_t n)
{
	struct ccdb *ccdb = job->state;

	for (uint64_t i = 0; i < n; i++) {
		char text[256], head[2048];
		const int n_text = snprintf(text, sizeof text, "GET /download/%s HTTP/1.1\r\nHost: bench\r\n\r\n",
		                            content_uuid);
		size_t n_got;

		send_all(ccdb->fd, text, (size_t)n_text);
		n_got = read_head(ccdb, head, sizeof head);
		bench_check(strncmp(head, "HTTP/1.1 200", 12) == 0, "%s", head);
		while (n_got < CONTENT_N_BYTES) {
			const ssize_t n_read = recv(ccdb->fd, ccdb->buffer, BUFFER_N_BYTES, 0);

			bench_check(n_read > 0, "recv: %s", n_read < 0 ? strerror(errno) : "closed");
			n_got += (size_t)n_read;
		}
		bench_check(n_got == CONTENT_N_BYTES, "more came than was promised");
	}
}

static void turn_ours(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	struct ccdb *ccdb = job->state;

	(void)turn;
	ccdb->n_turns++;
	if (side != 0) {
		/* The server works by itself; a look every now and then costs its core nothing. */
		while (atomic_load(&job->shared->done[0].n) < ccdb->n_turns)
			usleep(1000);
		return;
	}
	if (job->variant == QUERY)
		turn_queries(job, n);
	else
		turn_downloads(job, n);
	atomic_store(&job->shared->done[0].n, ccdb->n_turns);
}

static const struct bench_road road_ours = { .name = "sealane", .open = road_open, .close = road_close };

/* The limit: a word goes out, sendfile() comes back. ------------------------------------------- */

static int plain_open(struct bench_job *job, int side)
{
	struct ccdb *ccdb = ccdb_new(job);
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n_bytes = sizeof address;
	struct sea_ccdb_entry *entry;
	int r;

	if (side == 0) {
		bench_await(&job->shared->flag, 1);
		ccdb->fd = connect_to(atomic_load(&job->shared->flag));
		ccdb->buffer = malloc(BUFFER_N_BYTES);
		bench_check(ccdb->buffer != NULL, "no memory");
		return 0;
	}
	ccdb->store = store_open();
	r = sea_ccdb_store_find(ccdb->store, content_uuid, &entry);
	bench_check(r == 0, "sea_ccdb_store_find: %s", sea_error_text(r));
	ccdb->fd = sea_ccdb_store_open_content(ccdb->store, entry);
	bench_check(ccdb->fd >= 0, "sea_ccdb_store_open_content: %s", sea_error_text(ccdb->fd));
	sea_ccdb_entry_free(entry);
	ccdb->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bench_check(ccdb->listen_fd >= 0 && bind(ccdb->listen_fd, (struct sockaddr *)&address, sizeof address) == 0 &&
	                    listen(ccdb->listen_fd, 1) == 0 &&
	                    getsockname(ccdb->listen_fd, (struct sockaddr *)&address, &n_bytes) == 0,
	            "listen: %s", strerror(errno));
	atomic_store(&job->shared->flag, ntohs(address.sin_port));
	r = accept4(ccdb->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	bench_check(r >= 0, "accept: %s", strerror(errno));
	close(ccdb->listen_fd);
	ccdb->listen_fd = r;
	return 0;
}

static void turn_plain(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	struct ccdb *ccdb = job->state;

	(void)turn;
	for (uint64_t i = 0; i < n; i++) {
		char word = 'g';
		size_t n_got = 0;
		off_t at = 0;

		if (side == 0) {
			send_all(ccdb->fd, &word, 1);
			while (n_got < CONTENT_N_BYTES) {
				const ssize_t n_read = recv(ccdb->fd, ccdb->buffer, BUFFER_N_BYTES, 0);

				bench_check(n_read > 0, "recv: %s", n_read < 0 ? strerror(errno) : "closed");
				n_got += (size_t)n_read;
			}
		} else {
			bench_check(recv(ccdb->listen_fd, &word, 1, 0) == 1, "recv: %s", strerror(errno));
			while ((size_t)at < CONTENT_N_BYTES)
				bench_check(sendfile(ccdb->listen_fd, ccdb->fd, &at, CONTENT_N_BYTES - (size_t)at) > 0,
				            "sendfile: %s", strerror(errno));
		}
	}
}

static const struct bench_road road_plain = { .name = "sendfile", .open = plain_open, .close = road_close };

/* Cases. --------------------------------------------------------------------------------------- */

static double value_p99_us(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return sides[0].p99_ns / 1000;
}

static double value_p50_us(const struct bench_job *job, const struct bench_turn *sides)
{
	return bench_value_p50(job, sides) / 1000;
}

/* Share of the server's core that it uses. */
static double value_busy(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return 100.0 * (double)sides[1].cpu_ns / (double)(sides[1].end_ns - sides[1].start_ns);
}

static int case_query(void)
{
	struct bench_job *job;
	struct bench_row row;
	int r;

	if (!bench_wanted("query"))
		return 0;
	job = bench_job_new("sealane", BENCH_OURS, &road_ours, turn_ours);
	job->variant = QUERY;
	job->n_fixed = N_QUERIES;
	r = bench_run(&job, 1);
	if (r == 0) {
		bench_row_init(&row, "ccdb", "query-2000-per-s-p99", "us", value_p99_us, &job, 1);
		row.value_at_most = 1000;
		bench_row_extra(&row, "p50_us", bench_median_of(job, value_p50_us));
		bench_row_extra(&row, "server_cpu_%", bench_median_of(job, value_busy));
		bench_row_extra(&row, "objects", (double)n_versions * N_PATHS);
		if (row.ours != NULL)
			bench_row_print(&row);
	}
	bench_job_free(job);
	return r;
}

static int case_download(void)
{
	struct bench_job *jobs[2];
	struct bench_row row;
	int r;

	if (!bench_wanted("download-64MiB"))
		return 0;
	jobs[0] = bench_job_new("sealane", BENCH_OURS, &road_ours, turn_ours);
	jobs[1] = bench_job_new("sendfile", BENCH_LIMIT, &road_plain, turn_plain);
	for (size_t i = 0; i < 2; i++) {
		jobs[i]->variant = DOWNLOAD;
		jobs[i]->n_fixed = 4;
		jobs[i]->mix = bench_mix_single(CONTENT_N_BYTES);
	}
	r = bench_run(jobs, 2);
	if (r == 0) {
		bench_row_init(&row, "ccdb", "download-64MiB", "GB/s", bench_value_bandwidth, jobs, 2);
		row.ratio_at_least = 0.8;
		if (row.ours != NULL)
			bench_row_print(&row);
	}
	bench_job_free(jobs[0]);
	bench_job_free(jobs[1]);
	return r;
}

int bench_ccdb(void)
{
	bench_print_header("ccdb", "the CCDB server: queries, and a large download");
	store_fill();
	return case_query() != 0 || case_download() != 0 ? -1 : 0;
}
