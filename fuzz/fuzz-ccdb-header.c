/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads of the answers of some redirects, up to four, as a server may send them; what the client makes of them: merged headers, a version, an
 * object, locations. And what a configuration may hold: a remap, a path.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fuzz.h"

/* fuzz.h brings the core's, which is the same. */
#define SEALANE_CCDB_CLEANUP_H
#include "ccdb/client-object.h"
#include "ccdb/client-url.h"

static void check_merged(const struct seai_headers *headers)
{
	for (size_t i = 0; i < headers->n; i++)
		for (size_t j = 0; j < i; j++)
			FUZZ_CHECK(strcasecmp(headers->list[i].key, headers->list[j].key) != 0);
}

static void check_object(const struct seai_headers *headers)
{
	struct seai_object *object;
	const char *name = NULL;
	int result = seai_object_new(&object, "A/B", headers, "http://h/A/B/1/", "http://h/x", &name);

	FUZZ_CHECK(result == 0 || result == -EBADMSG);
	if (result < 0) {
		FUZZ_CHECK(name && *name);
		return;
	}
	FUZZ_CHECK(object->shown.n_headers == headers->n);
	FUZZ_CHECK(object->shown.version.valid_from_ms >= -1 && object->shown.version.created_ms >= -1);
	FUZZ_CHECK(strlen(object->shown.version.uuid) < SEA_CCDB_UUID_N_BYTES);
	if (headers->n)
		FUZZ_CHECK(sea_ccdb_object_header(&object->shown, headers->list[0].key));
	sea_ccdb_object_unref(&object->shown);
}

static void check_values(const struct seai_headers *headers)
{
	uint8_t digest[16];

	for (size_t i = 0; i < headers->n; i++) {
		char *url = seai_location_resolve("http://h:1/a/b", headers->list[i].value);

		FUZZ_CHECK(!url || strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0);
		free(url);
		(void)seai_md5_parse(headers->list[i].value, digest);
	}
}

static void look_at_configuration(const char *text)
{
	struct seai_remap *remap = NULL;
	struct sea_error error;
	char *path;

	if (seai_remap_parse(&remap, text, &error) == 0) {
		(void)seai_remap_find(remap, "A/B");
		seai_remap_free(remap);
	}
	if (seai_path_parse(&path, text, &error) == 0) {
		FUZZ_CHECK(*path && *path != '/' && !strstr(path, "//") && strlen(path) <= SEAI_PATH_N_MAX);
		free(path);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	struct seai_headers all = { 0 };
	const char *text = (const char *)data;
	char *copy = strndup(text, n_bytes);

	look_at_configuration(copy);
	free(copy);
	for (int hop = 0; hop < 4 && n_bytes; hop++) {
		struct seai_answer answer = { .n_bytes_max = 4096 };
		int result = 0;

		while (n_bytes && result == 0 && !(answer.is_complete && answer.status >= 200)) {
			const char *end = memchr(text, '\n', n_bytes);
			size_t n = end ? (size_t)(end - text) + 1 : n_bytes;

			result = seai_answer_line(&answer, text, n);
			text += n;
			n_bytes -= n;
		}
		FUZZ_CHECK(result == 0 || answer.fault[0]);
		if (result == 0) {
			check_values(&answer.headers);
			FUZZ_CHECK(seai_headers_merge(&all, &answer.headers) == 0);
			check_merged(&all);
			check_object(&all);
		}
		seai_answer_fini(&answer);
	}
	seai_headers_fini(&all);
	return 0;
}
