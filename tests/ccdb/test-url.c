/* SPDX-License-Identifier: Apache-2.0 */
/* What comes from outside is read: URLs, ranges, dates, uuids, wildcards, the body of an upload in pieces of any size. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ccdb/check.h"
#include "ccdb/multipart.h"
#include "ccdb/range.h"
#include "ccdb/url.h"
#include "test.h"

static struct seai_url *parse(const char *text)
{
	static struct seai_url url;
	struct sea_error error = { 0 };

	if (seai_url_parse(text, &url, &error) < 0)
		FAIL("%s: %s", text, error.text);
	return &url;
}

TEST(grammar,
     "the first number is the time; what stands before it is path or metadata, behind it an end, a uuid, metadata")
{
	struct seai_url *url = parse(
		"//TPC/run=5/Calib/Gain/1000/2000/01234567-89ab-cdef-0123-456789abcdef/a=b=c/d=/?x=1&y&HTTPOnly=true");

	CHECK_STR_EQ(url->path, "TPC/Calib/Gain");
	CHECK_EQ(url->start_ms, 1000);
	CHECK_EQ(url->end_ms, 2000);
	CHECK_STR_EQ(url->uuid, "01234567-89ab-cdef-0123-456789abcdef");
	CHECK_EQ(url->n_metadata, 3);
	CHECK_STR_EQ(url->metadata[0].key, "run");
	CHECK_STR_EQ(url->metadata[1].value, "b=c");
	CHECK_STR_EQ(url->metadata[2].value, "");
	CHECK_EQ(url->n_arguments, 3);
	CHECK(seai_url_flag(url, "HTTPOnly") && !seai_url_flag(url, "y"));
	CHECK_EQ(parse("/A/5")->end_ms, 6);
	CHECK(!parse("/A/5")->has_end);
	CHECK_EQ((int)parse("/")->kind, SEAI_URL_ROOT);
	CHECK_EQ((int)parse("/browse")->kind, SEAI_URL_BROWSE);
	CHECK_EQ((int)parse("/latest/A/5")->kind, SEAI_URL_LATEST);
	CHECK_EQ((int)parse("/monitor/state.json")->kind, SEAI_URL_MONITOR);
	CHECK_STR_EQ(parse("/A%20B/%C3%BC+x/k=a%2Fb/5")->path, "A B/\xc3\xbc+x");
	CHECK_STR_EQ(parse("/A/5/k=a%2Fb")->metadata[0].value, "a/b");
	CHECK_STR_EQ(parse("/A/5?k=a+b%2B")->arguments[0].value, "a b+");
	CHECK(!parse("/A/01234567-89ab-cdef-0123-456789abcdef/5")->uuid);
}

TEST(wildcards, "*, % and .* stand for any characters")
{
	static const struct {
		const char *pattern, *path;
		bool fits;
	} cases[] = {
		{ "A/B", "A/B", true },       { "A/B", "A/B/C", false },   { "A/*", "A/B/C", true },
		{ "A/*", "A", false },        { "*", "A/B", true },        { "A%C", "A/B/C", true },
		{ "A.*C", "A/B/C", true },    { "*B*", "A/B/C", true },    { "*b*", "A/B/C", false },
		{ "A*B*C", "A/C/B/C", true }, { "A*B*C", "A/C/B", false }, { "a.b", "aXb", false },
		{ "**", "", true },           { "*a", "aaab", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (seai_pattern_match(cases[i].pattern, cases[i].path) != cases[i].fits)
			FAIL("%s, %s", cases[i].pattern, cases[i].path);
	CHECK(seai_pattern_is_exact("A.B/C") && !seai_pattern_is_exact("A/.*"));
}

TEST(wildcards_time, "a pattern of many wildcards takes no longer than the product of the lengths")
{
	char pattern[1001], path[1025];

	for (size_t i = 0; i < 500; i++)
		memcpy(pattern + 2 * i, "*a", 2);
	pattern[1000] = 0;
	memset(path, 'a', 1023);
	strcpy(path + 1023, "b");
	for (int i = 0; i < 100; i++)
		CHECK(!seai_pattern_match(pattern, path));
}

TEST(uuids, "a uuid survives its bytes; a new one has the time of its object, is version 1 and never twice the same")
{
	static const uint8_t order[] = { 6, 7, 4, 5, 0, 1, 2, 3 };
	uint8_t bytes[16];
	char text[SEA_CCDB_STORE_UUID_N_BYTES], last[SEA_CCDB_STORE_UUID_N_BYTES] = "";

	CHECK_OK(seai_uuid_parse("01234567-89ab-CDEF-0123-456789abcdef", bytes));
	seai_uuid_format(bytes, text);
	CHECK_STR_EQ(text, "01234567-89ab-cdef-0123-456789abcdef");
	CHECK_ERR(seai_uuid_parse("01234567-89ab-cdef-0123-456789abcdeg", bytes), -EINVAL);
	CHECK_ERR(seai_uuid_parse("0123456789ab-cdef-0123-456789abcdefab", bytes), -EINVAL);
	for (int i = 0; i < 100; i++) {
		uint64_t ticks = 0;

		seai_uuid_new(INT64_C(1700000000000), bytes);
		seai_uuid_format(bytes, text);
		CHECK(strcmp(text, last) != 0);
		for (size_t k = 0; k < sizeof(order); k++)
			ticks = ticks << 8 | (uint64_t)(k == 0 ? bytes[order[k]] & 0x0f : bytes[order[k]]);
		/* In ticks of 100 ns since 1582. */
		CHECK_EQ((ticks - UINT64_C(0x01b21dd213814000)) / 10000, UINT64_C(1700000000000));
		CHECK_EQ(bytes[6] >> 4, 1);
		CHECK_EQ(bytes[8] >> 6, 2);
		memcpy(last, text, sizeof(last));
	}
}

TEST(dates, "dates are as HTTP writes them")
{
	char text[SEAI_DATE_N_BYTES];

	CHECK_STR_EQ(seai_http_date(INT64_C(784111777000), text), "Sun, 06 Nov 1994 08:49:37 GMT");
	CHECK_STR_EQ(seai_http_date(INT64_C(9999999999999), text), "Sat, 20 Nov 2286 17:46:39 GMT");
}

struct taken {
	char bytes[4096];
	size_t n;
};

static int take(const void *data, size_t n_bytes, void *userdata)
{
	struct taken *taken = userdata;

	CHECK(taken->n + n_bytes <= sizeof(taken->bytes));
	memcpy(taken->bytes + taken->n, data, n_bytes);
	taken->n += n_bytes;
	return 0;
}

TEST(pieces, "the body of an upload is the same in pieces of any size")
{
	static const char body[] =
		"--b\r\nContent-Disposition: form-data; name=\"send\"; filename=\"a \\\"b\\\".root\"\r\nX: y\r\n"
		"Content-Type: text/x\r\n\r\n\r\n\r\r\n-\r\n--\r\n--a\r\n--b--\r\nrest";
	static const char content[] = "\r\n\r\r\n-\r\n--\r\n--a";

	for (size_t n = 1; n < sizeof(body); n++) {
		struct seai_multipart multipart;
		struct taken taken = { .n = 0 };
		struct sea_error error = { 0 };

		CHECK_OK(seai_multipart_init(&multipart, "multipart/form-data; boundary=b", take, &taken, &error));
		for (size_t at = 0; at < sizeof(body) - 1; at += n)
			seai_multipart_feed(&multipart, body + at,
			                    sizeof(body) - 1 - at < n ? sizeof(body) - 1 - at : n);
		CHECK_OK(seai_multipart_end(&multipart, &error));
		CHECK_EQ(taken.n, sizeof(content) - 1);
		CHECK_MEM_EQ(taken.bytes, content, taken.n);
		CHECK_STR_EQ(multipart.file_name, "a \"b\".root");
		CHECK_STR_EQ(multipart.content_type, "text/x");
	}
}
