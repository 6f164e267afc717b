/* SPDX-License-Identifier: Apache-2.0 */
/* The other end: uploads, reading, changes, listings, and what they say when a server does wrong. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "serving.h"

static struct sea_ccdb_remote *remote_open(const struct serving *serving)
{
	struct sea_ccdb_remote *remote;

	CHECK_OK(sea_ccdb_remote_new(&remote, sea_ccdb_server_url(serving->server), NULL, NULL));
	return remote;
}

static int file_of(const char *text)
{
	const int fd = (int)CHECK_SYS(memfd_create("test", MFD_CLOEXEC));

	CHECK_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	CHECK_SYS(lseek(fd, 0, SEEK_SET));
	return fd;
}

TEST(round, "an object goes up, is read, listed, changed and removed")
{
	static const struct sea_ccdb_pair metadata[] = { { "k", "a/b c=\"\xc3\xbc\"&?+%" } },
					  set[] = { { "k", "x y" } };
	struct serving serving = serving_start(NULL);
	struct sea_ccdb_remote *remote = remote_open(&serving);
	struct sea_ccdb_address address = { .path = "/A b/\xc3\xbc",
		                            .has_time = 1,
		                            .time_ms = 100,
		                            .until_ms = 200,
		                            .metadata = metadata,
		                            .n_metadata = 1 };
	struct sea_ccdb_address pattern = { .path = "A b/*" };
	struct sea_ccdb_answer *answer;
	struct sea_error error = { 0 };
	const int fd = file_of("the content");

	CHECK_OK(sea_ccdb_remote_put(remote, &address, fd, "f.root", &answer, &error));
	CHECK_EQ(answer->status, 201);
	sea_ccdb_answer_free(answer);
	address.until_ms = 0;
	CHECK_OK(sea_ccdb_remote_get(remote, &address, 0, NULL, NULL, &answer, &error));
	CHECK_STR_EQ(answer->body, "the content");
	CHECK_STR_EQ(sea_ccdb_answer_header(answer, "k"), metadata[0].value);
	CHECK_STR_EQ(sea_ccdb_answer_header(answer, "cache-valid-until"), "200");
	sea_ccdb_answer_free(answer);
	CHECK_OK(sea_ccdb_remote_get(remote, &address, 1, NULL, NULL, &answer, &error));
	CHECK(!answer->body);
	sea_ccdb_answer_free(answer);
	CHECK_OK(sea_ccdb_remote_browse(remote, &pattern, 0, 0, &answer, &error));
	CHECK(strstr(answer->body, "\"path\":\"A b/\xc3\xbc\""));
	sea_ccdb_answer_free(answer);
	address.n_metadata = 0;
	address.until_ms = 300;
	CHECK_EQ(sea_ccdb_remote_update(remote, &address, set, 1, &error), 1);
	CHECK_EQ(sea_ccdb_remote_update(remote, &address, set, 1, &error), 0);
	address.until_ms = 0;
	address.time_ms = 250;
	CHECK_OK(sea_ccdb_remote_get(remote, &address, 0, NULL, NULL, &answer, &error));
	CHECK_STR_EQ(sea_ccdb_answer_header(answer, "k"), "x y");
	sea_ccdb_answer_free(answer);
	CHECK_OK(sea_ccdb_remote_remove(remote, &address, &error));
	CHECK_ERR(sea_ccdb_remote_remove(remote, &address, &error), -ENOENT);
	CHECK(strstr(error.text, "404: No matching objects found") && strstr(error.text, "/A%20b/%C3%BC/250"));
	serving_put(serving.store, "T/a", 0, 1, "x");
	serving_put(serving.store, "T/b", 0, 1, "x");
	pattern.path = "T/*";
	CHECK_EQ(sea_ccdb_remote_truncate(remote, &pattern, &error), 2);
	CHECK_EQ(sea_ccdb_remote_truncate(remote, &pattern, &error), 0);
	close(fd);
	sea_ccdb_remote_free(remote);
	serving_stop(&serving);
}

static int get_fails(const char *fault, int expected, const char *word)
{
	struct sea_ccdb_server_options options = { 0 };
	const struct sea_ccdb_address address = { .path = "A", .has_time = 1, .time_ms = 5 };
	struct sea_ccdb_answer *answer = NULL;
	struct sea_error error = { 0 };
	struct sea_ccdb_remote *remote;
	struct serving serving;
	int r;

	CHECK_OK(sea_ccdb_faults_parse(&options.faults, fault, NULL));
	serving = serving_start(&options);
	remote = remote_open(&serving);
	serving_put(serving.store, "A", 0, 10, "hello hello hello");
	r = sea_ccdb_remote_get(remote, &address, 0, NULL, NULL, &answer, &error);
	if (r != expected || (r < 0 && !strstr(error.text, word)))
		FAIL("%s: %d, %s", fault, r, error.text);
	if (r == 0)
		CHECK_STR_EQ(answer->body, "hello hello hello");
	sea_ccdb_answer_free(answer);
	sea_ccdb_remote_free(remote);
	serving_stop(&serving);
	return r;
}

TEST(faults, "places that are dead or no HTTP are passed over; a body that is cut or too short is an error")
{
	get_fails("alien-first", 0, "");
	get_fails("dead-replica-first", 0, "");
	get_fails("cut=100", -EBADMSG, "/download/");
	get_fails("wrong-length=100", -EBADMSG, "MD5");
	get_fails("5xx=100", -EPROTO, "503");
	get_fails("replace-before-download", -ENOENT, "404");
}

TEST(refused, "addresses that are none are refused before anything is sent, and a server that is not there is told")
{
	struct sea_ccdb_remote *remote;
	struct sea_ccdb_answer *answer;
	struct sea_error error = { 0 };
	struct sea_ccdb_address address = { .path = "A", .has_time = 1, .time_ms = 5 };

	CHECK_ERR(sea_ccdb_remote_new(&remote, "ftp://x", NULL, &error), -EINVAL);
	CHECK_ERR(sea_ccdb_remote_new(&remote, "", NULL, &error), -EINVAL);
	CHECK_OK(sea_ccdb_remote_new(&remote, "127.0.0.1:1/", NULL, &error));
	CHECK_ERR(sea_ccdb_remote_get(remote, &address, 0, NULL, NULL, &answer, &error), -ECONNREFUSED);
	CHECK(strstr(error.text, "http://127.0.0.1:1/A/5"));
	address.path = "A/5/B";
	CHECK_ERR(sea_ccdb_remote_get(remote, &address, 0, NULL, NULL, &answer, &error), -EINVAL);
	address.path = "A";
	address.has_time = 0;
	CHECK_ERR(sea_ccdb_remote_get(remote, &address, 0, NULL, NULL, &answer, &error), -EINVAL);
	sea_ccdb_remote_free(remote);
}
