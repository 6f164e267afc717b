/* SPDX-License-Identifier: Apache-2.0 */
/* Changing what a CCDB has: objects that are uploaded, changed, removed. */
#include "ccdb/remote.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t upload_read(char *buffer, size_t size, size_t n, void *userdata)
{
	const ssize_t n_read = read(*(const int *)userdata, buffer, size * n);

	return n_read < 0 ? CURL_READFUNC_ABORT : (size_t)n_read;
}

static int upload_seek(void *userdata, curl_off_t offset, int origin)
{
	return lseek(*(const int *)userdata, offset, origin) < 0 ? CURL_SEEKFUNC_CANTSEEK : CURL_SEEKFUNC_OK;
}

int sea_ccdb_remote_put(struct sea_ccdb_remote *remote, const struct sea_ccdb_address *address, int fd,
                        const char *file_name, struct sea_ccdb_answer **ret_answer, struct sea_error *error)
{
	SEAI_CLEANUP(seai_remote_answer_cleanup) struct seai_remote_answer *answer = seai_remote_answer_new(remote);
	struct stat status;
	curl_mimepart *part;
	curl_mime *mime;
	int r = seai_remote_check(address, false, error);

	if (r < 0 || !answer)
		return r < 0 ? r : sea_error_set(error, -ENOMEM, "", "no memory");
	if (address->until_ms <= address->time_ms)
		return sea_error_set(error, -EINVAL, "validity", "its end is missing, or not after its beginning");
	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
		return sea_error_set(error, -EINVAL, file_name, "is no file");
	seai_remote_prepare(remote, answer, (uint64_t)status.st_size);
	mime = curl_mime_init(remote->curl);
	part = mime ? curl_mime_addpart(mime) : NULL;
	if (!part || curl_mime_name(part, "send") != CURLE_OK || curl_mime_filename(part, file_name) != CURLE_OK ||
	    curl_mime_type(part, "application/octet-stream") != CURLE_OK ||
	    curl_mime_data_cb(part, status.st_size, upload_read, upload_seek, NULL, &fd) != CURLE_OK) {
		curl_mime_free(mime);
		return sea_error_set(error, -ENOMEM, "", "no memory");
	}
	curl_easy_setopt(remote->curl, CURLOPT_MIMEPOST, mime);
	r = seai_remote_perform(remote, answer, seai_remote_url(remote, "", address, NULL, 0), NULL, error);
	curl_easy_reset(remote->curl);
	curl_mime_free(mime);
	if (r == 0 && answer->public.status / 100 != 2)
		r = seai_remote_answer_error(answer, error);
	if (r == 0 && ret_answer)
		*ret_answer = &SEAI_TAKE(answer)->public;
	return r;
}

int sea_ccdb_remote_update(struct sea_ccdb_remote *remote, const struct sea_ccdb_address *address,
                           const struct sea_ccdb_pair *set, size_t n_set, struct sea_error *error)
{
	SEAI_CLEANUP(seai_remote_answer_cleanup) struct seai_remote_answer *answer = seai_remote_answer_new(remote);
	int r = seai_remote_check(address, false, error);

	if (r < 0 || !answer)
		return r < 0 ? r : sea_error_set(error, -ENOMEM, "", "no memory");
	r = seai_remote_ask(remote, "PUT", "", address, set, n_set, NULL, answer, error);
	if (r < 0)
		return r;
	return answer->public.status == 304       ? 0
	       : answer->public.status / 100 == 2 ? 1
	                                          : seai_remote_answer_error(answer, error);
}

int sea_ccdb_remote_remove(struct sea_ccdb_remote *remote, const struct sea_ccdb_address *address,
                           struct sea_error *error)
{
	SEAI_CLEANUP(seai_remote_answer_cleanup) struct seai_remote_answer *answer = seai_remote_answer_new(remote);
	int r = seai_remote_check(address, false, error);

	if (r < 0 || !answer)
		return r < 0 ? r : sea_error_set(error, -ENOMEM, "", "no memory");
	r = seai_remote_ask(remote, "DELETE", "", address, NULL, 0, NULL, answer, error);
	if (r < 0)
		return r;
	return answer->public.status / 100 == 2 ? 0 : seai_remote_answer_error(answer, error);
}

int64_t sea_ccdb_remote_truncate(struct sea_ccdb_remote *remote, const struct sea_ccdb_address *address,
                                 struct sea_error *error)
{
	SEAI_CLEANUP(seai_remote_answer_cleanup) struct seai_remote_answer *answer = seai_remote_answer_new(remote);
	const char *deleted;
	int r = seai_remote_check(address, true, error);

	if (r < 0 || !answer)
		return r < 0 ? r : sea_error_set(error, -ENOMEM, "", "no memory");
	r = seai_remote_ask(remote, "GET", "truncate/", address, NULL, 0, NULL, answer, error);
	if (r < 0)
		return r;
	if (answer->public.status == 304)
		return 0;
	if (answer->public.status / 100 != 2)
		return seai_remote_answer_error(answer, error);
	deleted = sea_ccdb_answer_header(&answer->public, "Deleted");
	return deleted ? (int64_t)strtoll(deleted, NULL, 10) : 0;
}
