/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots: DIR/<path>/snapshot.root holds for all times. Its identity is made of its content, so that the same file
 * is the same version wherever it lies.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ccdb/client.h"

static int read_file(const char *name, uint64_t n_bytes_max, void **ret_content, size_t *ret_n_bytes,
                     int64_t *ret_changed_ms)
{
	SEAI_AUTO_FD int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	SEAI_AUTO_FREE char *content = NULL;
	struct stat status;
	size_t n_read = 0;

	if (fd < 0)
		return errno == ENOTDIR ? -ENOENT : -errno;
	if (fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EINVAL;
	if ((uint64_t)status.st_size > n_bytes_max)
		return -E2BIG;
	content = malloc((size_t)status.st_size + 1);
	if (!content)
		return -ENOMEM;
	while (n_read < (size_t)status.st_size) {
		ssize_t n = read(fd, content + n_read, (size_t)status.st_size - n_read);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		n_read += (size_t)n;
	}
	*ret_content = SEAI_TAKE(content);
	*ret_n_bytes = n_read;
	*ret_changed_ms = (int64_t)status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1000000;
	return 0;
}

static int add(struct seai_headers *headers, const char *name, const char *value)
{
	return seai_headers_add(headers, name, strlen(name), value, strlen(value));
}

static int snapshot_headers(struct seai_headers *headers, const void *content, size_t n_bytes, int64_t changed_ms)
{
	char md5[MD5_DIGEST_STRING_LENGTH], uuid[64], until[24], length[24], created[24];

	MD5Data(content, n_bytes, md5);
	snprintf(uuid, sizeof(uuid), "\"%.8s-%.4s-%.4s-%.4s-%.12s\"", md5, md5 + 8, md5 + 12, md5 + 16, md5 + 20);
	snprintf(until, sizeof(until), "%" PRId64, INT64_MAX);
	snprintf(length, sizeof(length), "%zu", n_bytes);
	snprintf(created, sizeof(created), "%" PRId64, changed_ms < 0 ? 0 : changed_ms);
	if (add(headers, "ETag", uuid) < 0 || add(headers, "Valid-From", "0") < 0 ||
	    add(headers, "Valid-Until", until) < 0 || add(headers, "Created", created) < 0 ||
	    add(headers, "Content-Length", length) < 0 || add(headers, "Content-MD5", md5) < 0)
		return -ENOMEM;
	return 0;
}

int seai_snapshot_read(struct seai_object **ret_object, const char *dir, const char *path, uint64_t n_bytes_max)
{
	SEAI_CLEANUP(seai_headers_fini) struct seai_headers headers = { 0 };
	SEAI_AUTO_FREE char *name = NULL, *url = NULL;
	SEAI_AUTO_FREE void *content = NULL;
	const char *fault;
	int64_t changed_ms = 0;
	size_t n_bytes = 0;
	int result;

	if (asprintf(&name, "%s/%s/snapshot.root", dir, path) < 0) {
		name = NULL;
		return -ENOMEM;
	}
	if (asprintf(&url, "file://%s", name) < 0) {
		url = NULL;
		return -ENOMEM;
	}
	result = read_file(name, n_bytes_max, &content, &n_bytes, &changed_ms);
	if (result == 0)
		result = snapshot_headers(&headers, content, n_bytes, changed_ms);
	if (result == 0)
		result = seai_object_new(ret_object, path, &headers, url, url, &fault);
	if (result == 0)
		seai_object_own(*ret_object, SEAI_TAKE(content), n_bytes);
	return result;
}
