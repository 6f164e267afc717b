/* SPDX-License-Identifier: Apache-2.0 */
/* A URL of a CCDB, of whatever bytes: an error that says something, or strings that can stand in headers and in the index. */
#include <stdlib.h>
#include <string.h>

#include "ccdb/check.h"
#include "ccdb/url.h"
#include "fuzz.h"

static void fuzz_url(const char *text)
{
	static struct seai_url url;
	struct sea_error error = { 0 };
	const int r = seai_url_parse(text, &url, &error);

	if (r < 0) {
		FUZZ_CHECK(error.code == r && error.text[0] && seai_check_text(error.text));
		return;
	}
	FUZZ_CHECK(strlen(url.path) <= SEA_CCDB_PATH_N_MAX && seai_check_text(url.path));
	FUZZ_CHECK(url.n_metadata <= SEA_CCDB_METADATA_N_MAX && url.n_arguments <= SEA_CCDB_METADATA_N_MAX);
	FUZZ_CHECK(!url.uuid || seai_check_uuid(url.uuid, strlen(url.uuid)));
	FUZZ_CHECK(url.kind != SEAI_URL_DOWNLOAD || url.uuid);
	FUZZ_CHECK(url.kind != SEAI_URL_OBJECT || seai_check_path(url.path, NULL) == 0);
	FUZZ_CHECK(url.start_ms >= 0 && url.end_ms >= 0);
	for (size_t i = 0; i < url.n_metadata; i++)
		FUZZ_CHECK(url.metadata[i].key[0] && !strchr(url.metadata[i].key, '='));
	/* What is allowed as metadata has no end of line, whatever it says. */
	if (seai_check_metadata(url.metadata, url.n_metadata, &error) == 0)
		for (size_t i = 0; i < url.n_metadata; i++)
			FUZZ_CHECK(!strpbrk(url.metadata[i].key, "\r\n: ") && !strpbrk(url.metadata[i].value, "\r\n"));
}

/* A pattern against a path; a pattern without wildcards fits itself alone. */
static void fuzz_pattern(const char *pattern, const char *path)
{
	const bool fits = seai_pattern_match(pattern, path);

	FUZZ_CHECK(seai_pattern_prefix(pattern) <= strlen(pattern));
	if (seai_pattern_is_exact(pattern))
		FUZZ_CHECK(fits == (strcmp(pattern, path) == 0));
	else if (fits)
		FUZZ_CHECK(strncmp(pattern, path, seai_pattern_prefix(pattern)) == 0);
	FUZZ_CHECK(seai_pattern_match("*", path));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	struct fuzz_input input = { data, n_bytes };
	const uint8_t how = fuzz_take_u8(&input);
	char *text = malloc(input.n_bytes + 1), *half;

	FUZZ_CHECK(text);
	memcpy(text, input.data, input.n_bytes);
	text[input.n_bytes] = 0;
	half = memchr(text, 0, input.n_bytes);
	if ((how & 1) && half)
		fuzz_pattern(text, half + 1);
	else
		fuzz_url(text);
	free(text);
	return 0;
}
