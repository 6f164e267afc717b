/* SPDX-License-Identifier: Apache-2.0 */
/* URLs of requests to a CCDB, from addresses; and where a redirection leads to. */
#include "ccdb/remote.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ccdb/check.h"
#include "ccdb/escape.h"

static void print_pairs(FILE *stream, const struct sea_ccdb_pair *pairs, size_t n_pairs, const char *before,
                        const char *between)
{
	for (size_t i = 0; i < n_pairs; i++) {
		fputs(i ? between : before, stream);
		seai_print_escaped(stream, pairs[i].key, "");
		fputc('=', stream);
		seai_print_escaped(stream, pairs[i].value, "");
	}
}

/* <url>/[servlet/]<path>[/<time>[/<until>]][/<uuid>][/<k>=<v>...][?<k>=<v>...] */
char *seai_remote_url(const struct sea_ccdb_remote *remote, const char *servlet, const struct sea_ccdb_address *address,
                      const struct sea_ccdb_pair *set, size_t n_set)
{
	const char *path = address->path ? address->path : "";
	char *text = NULL;
	size_t n_bytes = 0;
	FILE *stream = open_memstream(&text, &n_bytes);

	if (!stream)
		return NULL;
	fprintf(stream, "%s/%s", remote->url, servlet);
	seai_print_escaped(stream, path + strspn(path, "/"), servlet[0] ? "/*" : "/");
	if (address->has_time)
		fprintf(stream, "/%" PRId64, address->time_ms);
	if (address->has_time && address->until_ms > 0)
		fprintf(stream, "/%" PRId64, address->until_ms);
	if (address->uuid)
		fprintf(stream, "/%s", address->uuid);
	print_pairs(stream, address->metadata, address->n_metadata, "/", "/");
	print_pairs(stream, set, n_set, "?", "&");
	if (fclose(stream) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

int seai_remote_check(const struct sea_ccdb_address *address, bool is_pattern, struct sea_error *error)
{
	const char *path = address->path ? address->path : "";

	path += strspn(path, "/");
	if (address->uuid && !seai_check_uuid(address->uuid, strlen(address->uuid)))
		return sea_error_set(error, -EINVAL, "uuid", "%.64s: is none", address->uuid);
	if (is_pattern)
		return seai_check_pattern(path, error);
	if (!address->has_time)
		return sea_error_set(error, -EINVAL, "time", "is missing");
	return seai_check_path(path, error);
}

char *seai_remote_place(const struct sea_ccdb_remote *remote, const char *place)
{
	char *url = NULL;
	int n;

	if (place[0] != '/')
		return strncasecmp(place, "http://", 7) == 0 || strncasecmp(place, "https://", 8) == 0 ? strdup(place)
		                                                                                       : NULL;
	/* The host of the server, without the path that its URL may have. */
	n = asprintf(&url, "%.*s%s",
	             (int)(strcspn(strstr(remote->url, "://") + 3, "/") + 3 +
	                   (size_t)(strstr(remote->url, "://") - remote->url)),
	             remote->url, place);
	return n < 0 ? NULL : url;
}
