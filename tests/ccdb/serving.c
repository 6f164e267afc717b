/* SPDX-License-Identifier: Apache-2.0 */
/* A server in the test's own process, and a client that sends bytes as they are. */
#include "serving.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

char *serving_path(const char *name)
{
	static char paths[4][512];
	static unsigned n;
	char *path = paths[n++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", test_runtime_dir(), name);
	return path;
}

const char *serving_directory(void)
{
	static char directory[512];

	snprintf(directory, sizeof(directory), "%s/store", test_runtime_dir());
	return directory;
}

struct serving serving_start(const struct sea_ccdb_server_options *options)
{
	/* What a killed process leaves is looked at in tests of their own; here the disk would only cost time. */
	const struct sea_ccdb_store_options store_options = { .no_sync = 1 };
	struct serving serving = { 0 };
	struct sea_error error = { 0 };
	char line[1000];

	if (sea_ccdb_store_open(&serving.store, serving_directory(), &store_options, &error) < 0 ||
	    sea_ccdb_server_start(&serving.server, serving.store, options, &error) < 0)
		FAIL("%s", sea_error_line(&error, line, sizeof(line)));
	return serving;
}

void serving_stop(struct serving *serving)
{
	serving->server = sea_ccdb_server_stop(serving->server);
	serving->store = sea_ccdb_store_close(serving->store);
}

unsigned serving_free_port(void)
{
	for (;;) {
		const unsigned port = 10000 + (unsigned)(test_random() % 20000);
		const struct sockaddr_in address = { .sin_family = AF_INET,
			                             .sin_port = htons((uint16_t)port),
			                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		const int fd = (int)CHECK_SYS(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
		const int r = bind(fd, (const struct sockaddr *)&address, sizeof(address));

		close(fd);
		if (r == 0)
			return port;
		CHECK_EQ(errno, EADDRINUSE);
	}
}

int serving_connect(unsigned port)
{
	const struct sockaddr_in address = { .sin_family = AF_INET,
		                             .sin_port = htons((uint16_t)port),
		                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct timeval patience = { .tv_sec = 60 };
	const int fd = (int)CHECK_SYS(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	CHECK_SYS(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)));
	CHECK_SYS(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)));
	CHECK_SYS(connect(fd, (const struct sockaddr *)&address, sizeof(address)));
	return fd;
}

bool serving_send(int fd, const void *data, size_t n_bytes)
{
	const char *at = data;

	while (n_bytes > 0) {
		const ssize_t n = send(fd, at, n_bytes, MSG_NOSIGNAL);

		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return false;
		CHECK_SYS(n);
		at += n;
		n_bytes -= (size_t)n;
	}
	return true;
}

/* Splits what came; skips interim responses. */
static void reply_parse(struct reply *reply, size_t n_bytes)
{
	char *at = reply->bytes, *end;
	const char *length;

	for (;;) {
		end = strstr(at, "\r\n\r\n");
		if (!end || sscanf(at, "HTTP/1.%*c %d", &reply->status) != 1) {
			reply->status = 0;
			return;
		}
		if (reply->status != 100)
			break;
		at = end + 4;
	}
	end[2] = 0;
	reply->head = at;
	reply->body = end + 4;
	reply->n_body = n_bytes - (size_t)(end + 4 - reply->bytes);
	length = reply_header(reply, "Content-Length", 0);
	reply->is_whole = !length || strtoull(length, NULL, 10) == reply->n_body;
}

static struct reply reply_read(int fd)
{
	size_t n = 0, n_room = 65536;
	struct reply reply = { .bytes = malloc(n_room) };
	ssize_t n_read;

	CHECK(reply.bytes);
	for (;;) {
		n_read = recv(fd, reply.bytes + n, n_room - n - 1, 0);
		if (n_read < 0 && errno == ECONNRESET)
			break;
		CHECK_SYS(n_read);
		if (n_read == 0)
			break;
		n += (size_t)n_read;
		if (n_room - n < 2) {
			n_room *= 2;
			reply.bytes = realloc(reply.bytes, n_room);
			CHECK(reply.bytes);
		}
	}
	reply.bytes[n] = 0;
	reply_parse(&reply, n);
	close(fd);
	return reply;
}

struct reply serving_raw(const struct serving *serving, const void *data, size_t n_bytes)
{
	const int fd = serving_connect(sea_ccdb_server_port(serving->server));

	serving_send(fd, data, n_bytes);
	return reply_read(fd);
}

struct reply serving_ask(const struct serving *serving, const char *method, const char *url, const char *headers)
{
	struct reply reply;
	char *text;
	int n = asprintf(&text, "%s %s HTTP/1.1\r\nHost: here:1234\r\nConnection: close\r\n%s\r\n", method, url,
	                 headers ? headers : "");

	CHECK(n > 0);
	reply = serving_raw(serving, text, (size_t)n);
	free(text);
	return reply;
}

struct reply serving_upload(const struct serving *serving, const char *url, const void *data, size_t n_bytes)
{
	static const char head[] = "--xyz\r\nContent-Disposition: form-data; name=\"send\"; filename=\"a.root\"\r\n"
				   "Content-Type: application/x-thing\r\n\r\n";
	static const char tail[] = "\r\n--xyz--\r\n";
	const int fd = serving_connect(sea_ccdb_server_port(serving->server));
	char *text;
	const int n = asprintf(&text,
	                       "POST %s HTTP/1.1\r\nHost: here:1234\r\nConnection: close\r\n"
	                       "Content-Type: multipart/form-data; boundary=xyz\r\nContent-Length: %zu\r\n\r\n%s",
	                       url, sizeof(head) - 1 + n_bytes + sizeof(tail) - 1, head);

	CHECK(n > 0);
	if (serving_send(fd, text, (size_t)n) && serving_send(fd, data, n_bytes))
		serving_send(fd, tail, sizeof(tail) - 1);
	free(text);
	return reply_read(fd);
}

void reply_free(struct reply *reply)
{
	free(reply->bytes);
}

const char *reply_header(const struct reply *reply, const char *name, unsigned number)
{
	static _Thread_local char value[8192];
	const size_t n_name = strlen(name);

	for (const char *line = reply->head ? strchr(reply->head, '\n') : NULL; line && line[1];
	     line = strchr(line, '\n')) {
		line++;
		if (strncasecmp(line, name, n_name) == 0 && strncmp(line + n_name, ": ", 2) == 0 && number-- == 0) {
			snprintf(value, sizeof(value), "%.*s", (int)strcspn(line + n_name + 2, "\r\n"),
			         line + n_name + 2);
			return value;
		}
	}
	return NULL;
}

const char *reply_must(const struct reply *reply, const char *name)
{
	const char *value = reply_header(reply, name, 0);

	if (!value)
		FAIL("no header %s in:\n%s", name, reply->head ? reply->head : "nothing");
	return value;
}

const char *serving_put(struct sea_ccdb_store *store, const char *path, int64_t from_ms, int64_t until_ms,
                        const char *data)
{
	static char uuid[SEA_CCDB_UUID_N_BYTES];
	const struct sea_ccdb_put put = { .path = path,
		                          .valid_from_ms = from_ms,
		                          .valid_until_ms = until_ms,
		                          .data = data,
		                          .n_bytes = strlen(data) };
	struct sea_ccdb_entry *entry;

	CHECK_OK(sea_ccdb_store_put(store, &put, &entry, NULL));
	memcpy(uuid, entry->uuid, sizeof(uuid));
	sea_ccdb_entry_free(entry);
	return uuid;
}
