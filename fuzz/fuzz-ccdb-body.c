/* SPDX-License-Identifier: Apache-2.0 */
/* The body of an upload in pieces of any size, and its Content-Type; and the header Range. The same bytes mean the same however they are cut. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ccdb/check.h"
#include "ccdb/multipart.h"
#include "ccdb/range.h"
#include "fuzz.h"

struct taken {
	uint64_t n_bytes;
	uint64_t sum;
};

static int fuzz_take_part(const void *data, size_t n_bytes, void *userdata)
{
	struct taken *taken = userdata;
	const uint8_t *bytes = data;

	for (size_t i = 0; i < n_bytes; i++)
		taken->sum = taken->sum * 31 + bytes[i];
	taken->n_bytes += n_bytes;
	return 0;
}

/* Feeds all in pieces of n_piece bytes. */
static int fuzz_feed(const char *type, const uint8_t *data, size_t n_bytes, size_t n_piece, struct taken *taken)
{
	struct seai_multipart multipart;
	struct sea_error error = { 0 };
	int r = seai_multipart_init(&multipart, type, fuzz_take_part, taken, &error);

	if (r == 0) {
		for (size_t at = 0; at < n_bytes; at += n_piece)
			seai_multipart_feed(&multipart, (const char *)data + at,
			                    n_bytes - at < n_piece ? n_bytes - at : n_piece);
		r = seai_multipart_end(&multipart, &error);
	}
	if (r < 0)
		FUZZ_CHECK(r == -EINVAL && error.text[0] && seai_check_text(error.text));
	else
		FUZZ_CHECK(seai_check_text(multipart.file_name) && seai_check_text(multipart.content_type) &&
		           taken->n_bytes <= n_bytes);
	return r;
}

static void fuzz_range(const char *text, uint64_t n_bytes)
{
	uint64_t first = 0, n_range = 0;
	const int r = seai_range_parse(text, n_bytes, &first, &n_range);

	FUZZ_CHECK(r == 0 || r == 1 || r == -ERANGE);
	if (r == 1)
		FUZZ_CHECK(n_range > 0 && first < n_bytes && n_range <= n_bytes - first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	struct fuzz_input input = { data, n_bytes };
	const uint8_t how = fuzz_take_u8(&input);
	struct taken whole = { 0 }, pieces = { 0 };
	const char *type = "multipart/form-data; boundary=b";
	char *text;

	if ((how & 3) == 0) {
		const uint64_t n_content = fuzz_take_u64(&input);

		text = malloc(input.n_bytes + 7);
		FUZZ_CHECK(text);
		memcpy(text, "bytes=", 6);
		memcpy(text + 6, input.data, input.n_bytes);
		text[input.n_bytes + 6] = 0;
		fuzz_range(text, n_content);
		fuzz_range(text + 6, n_content);
		free(text);
		return 0;
	}
	text = malloc(input.n_bytes + 1);
	FUZZ_CHECK(text);
	memcpy(text, input.data, input.n_bytes);
	text[input.n_bytes] = 0;
	if ((how & 3) == 1)
		type = text;
	FUZZ_CHECK(fuzz_feed(type, input.data, input.n_bytes, SIZE_MAX / 2, &whole) ==
	           fuzz_feed(type, input.data, input.n_bytes, 1 + how / 4, &pieces));
	FUZZ_CHECK(whole.n_bytes == pieces.n_bytes && whole.sum == pieces.sum);
	free(text);
	return 0;
}
