/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of answers, their merging over redirects, numbers, tags, checksums; paths, remaps and locations. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ccdb/client-header.h"
#include "ccdb/client-url.h"
#include "test.h"

/* Feeds lines separated by \n. */
static int feed(struct seai_answer *answer, const char *text)
{
	int result = 0;

	while (*text && result == 0) {
		size_t n = strcspn(text, "\n");

		result = seai_answer_line(answer, text, n);
		text += n + (text[n] == '\n');
	}
	return result;
}

TEST(answer, "a head is taken line by line; interim answers are forgotten, trailers are not looked at")
{
	struct seai_answer answer = { .n_bytes_max = 1000 };

	CHECK_OK(feed(&answer,
	              "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/2 200 \r\nA:  b c \t\r\nEmpty:\r\n\r\nB: late\r\n"));
	CHECK_EQ(answer.status, 200);
	CHECK(answer.is_complete);
	CHECK_EQ(answer.headers.n, 2);
	CHECK_STR_EQ(seai_headers_find(&answer.headers, "a"), "b c");
	CHECK_STR_EQ(seai_headers_find(&answer.headers, "EMPTY"), "");
	CHECK(seai_headers_find(&answer.headers, "B") == NULL);
	seai_answer_fini(&answer);
}

TEST(answer_bad, "a malformed head is refused with what is wrong")
{
	static const struct {
		const char *text;
		int code;
	} heads[] = {
		{ "A: b\n", -EBADMSG },
		{ "HTTP/1.1\n", -EBADMSG },
		{ "HTTP/1.1 20\n", -EBADMSG },
		{ "HTTP/1.1 2000 x\n", -EBADMSG },
		{ "HTTP/1.1 099 x\n", -EBADMSG },
		{ "HTTP/1.1 200 x\nno colon\n", -EBADMSG },
		{ "HTTP/1.1 200 x\n: no name\n", -EBADMSG },
		{ "HTTP/1.1 200 x\na b: c\n", -EBADMSG },
		{ "HTTP/1.1 200 x\n folded: c\n", -EBADMSG },
		{ "HTTP/1.1 200 x\na: b\033[31m\n", -EBADMSG },
		{ "HTTP/1.1 200 x\na: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n",
		  -E2BIG },
	};

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		struct seai_answer answer = { .n_bytes_max = 80 };

		CHECK_ERR(feed(&answer, heads[i].text), heads[i].code);
		CHECK(answer.fault[0]);
		seai_answer_fini(&answer);
	}
}

TEST(merge, "the later answer's header counts, within one the first, but the largest Content-Length")
{
	struct seai_answer first = { 0 }, later = { 0 };
	struct seai_headers all = { 0 };

	CHECK_OK(feed(&first,
	              "HTTP/1.1 303 x\nA: 1\nA: 2\nContent-Length: 7\nContent-Length: 90\nContent-Length: x\nB: b\n"));
	CHECK_OK(feed(&later, "HTTP/1.1 200 x\nC: c\nb: later\nB: too late\n"));
	CHECK_OK(seai_headers_merge(&all, &first.headers));
	CHECK_EQ(all.n, 3);
	CHECK_STR_EQ(seai_headers_find(&all, "Content-Length"), "90");
	CHECK_STR_EQ(seai_headers_find(&all, "A"), "1");
	CHECK_OK(seai_headers_merge(&all, &later.headers));
	CHECK_EQ(all.n, 4);
	CHECK_STR_EQ(all.list[2].value, "later");
	CHECK_STR_EQ(all.list[3].key, "C");
	seai_headers_fini(&all);
	seai_answer_fini(&first);
	seai_answer_fini(&later);
}

TEST(values, "numbers, tags and checksums are what they should be, or nothing")
{
	char uuid[SEA_CCDB_UUID_N_BYTES];
	uint8_t hex[16], base64[16];
	int64_t number;

	CHECK_OK(seai_number_parse("9223372036854775807", &number));
	CHECK_EQ(number, INT64_MAX);
	CHECK_ERR(seai_number_parse("9223372036854775808", &number), -EBADMSG);
	CHECK_ERR(seai_number_parse("", &number), -EBADMSG);
	CHECK_ERR(seai_number_parse("-1", &number), -EBADMSG);
	CHECK_ERR(seai_number_parse("1 ", &number), -EBADMSG);
	CHECK_OK(seai_etag_parse("\"abc-1\"", uuid));
	CHECK_STR_EQ(uuid, "abc-1");
	CHECK_OK(seai_etag_parse("W/\"abc-2\"", uuid));
	CHECK_STR_EQ(uuid, "abc-2");
	CHECK_OK(seai_etag_parse("abc", uuid));
	CHECK_ERR(seai_etag_parse("\"", uuid), -EBADMSG);
	CHECK_ERR(seai_etag_parse("\"\"", uuid), -EBADMSG);
	CHECK_ERR(seai_etag_parse("\"a\", \"b\"", uuid), -EBADMSG);
	CHECK_ERR(seai_etag_parse("\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"", uuid),
	          -EBADMSG);
	CHECK_OK(seai_md5_parse("5D41402abc4b2a76b9719d911017c592", hex));
	CHECK_OK(seai_md5_parse("XUFAKrxLKna5cZ2REBfFkg==", base64));
	CHECK_MEM_EQ(hex, base64, 16);
	CHECK_ERR(seai_md5_parse("5D41402abc4b2a76b9719d911017c59g", hex), -EBADMSG);
	CHECK_ERR(seai_md5_parse("XUFAKrxLKna5cZ2REBfFkg=x", hex), -EBADMSG);
}

TEST(remaps, "a remap names hosts for paths; what is none is refused")
{
	static const char *const bad[] = { "http://a",   "=b",        "http://a=",   "http://a=,",
		                           "http://a=1", "ftp://a=b", "http://a?q=b" };
	struct seai_remap *remap;
	struct sea_error error;

	CHECK_OK(seai_remap_parse(&remap, "http://a:1/p/=X/Y, /Z//W/;b=Q;;file:///s=R", &error));
	CHECK_STR_EQ(seai_remap_find(remap, "X/Y")->list[0].url, "http://a:1/p");
	CHECK(seai_remap_find(remap, "X") == NULL);
	CHECK_STR_EQ(seai_remap_find(remap, "Z/W")->list[0].url, "http://a:1/p");
	CHECK_STR_EQ(seai_remap_find(remap, "Q")->list[0].url, "http://b");
	CHECK_STR_EQ(seai_remap_find(remap, "R")->list[0].url, "/s");
	CHECK(seai_remap_find(remap, "R")->list[0].is_snapshot);
	seai_remap_free(remap);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_ERR(seai_remap_parse(&remap, bad[i], &error), -EINVAL);
	CHECK_OK(seai_remap_parse(&remap, "", &error));
	CHECK(remap == NULL);
}

TEST(locations, "a location is resolved against who named it; only http and https lead anywhere")
{
	static const struct {
		const char *location, *url;
	} locations[] = {
		{ "/download/x", "http://h:1/download/x" },
		{ "http://o/x", "http://o/x" },
		{ "HTTPS://o/x", "https://o/x" },
		{ "//o/x", "http://o/x" },
		{ "y", "http://h:1/a/y" },
		{ "alien:///x", NULL },
		{ "root://h//x?authz=y", NULL },
		{ "file:/x", NULL },
		{ "javascript:x", NULL },
		{ "http://", NULL },
		{ "http://a b/", NULL },
	};

	for (size_t i = 0; i < sizeof(locations) / sizeof(locations[0]); i++) {
		char *url = seai_location_resolve("http://h:1/a/b", locations[i].location);

		if (locations[i].url)
			CHECK_STR_EQ(url, locations[i].url);
		else if (url)
			FAIL("%s leads to %s", locations[i].location, url);
		free(url);
	}
}
