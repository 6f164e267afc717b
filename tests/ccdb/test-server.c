/* SPDX-License-Identifier: Apache-2.0 */
/* The server as its clients know it: each sentence of the interface. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "serving.h"

static int64_t number(const struct reply *reply, const char *name)
{
	return strtoll(reply_must(reply, name), NULL, 10);
}

TEST(redirect, "GET of an object is 303 with its places and its headers, and the place has its content")
{
	const char *replicas[] = { "http://other:8080/", "alien:///alice/data/CCDB", "root://eos//ccdb" };
	const struct sea_ccdb_server_options options = { .replicas = replicas, .n_replicas = 3 };
	struct serving serving = serving_start(&options);
	AUTO_REPLY up = serving_upload(&serving, "/TPC/Calib/Gain/1000/2000/ObjectType=o2%3A%3Again/runNumber=5",
	                               "hello", 5);
	AUTO_REPLY reply = serving_ask(&serving, "GET", "/TPC/Calib/Gain/1500", NULL);
	AUTO_REPLY head = serving_ask(&serving, "HEAD", "/TPC/Calib/Gain/1500/", NULL);
	AUTO_REPLY only = serving_ask(&serving, "GET", "/TPC/Calib/Gain/1500?HTTPOnly=true", NULL);
	char uuid[64], wanted[256], path[128];

	CHECK_EQ(up.status, 201);
	snprintf(uuid, sizeof(uuid), "%.36s", reply_must(&up, "ETag") + 1);
	snprintf(wanted, sizeof(wanted), "http://here:1234/download/%s", uuid);
	CHECK_STR_EQ(reply_must(&up, "Location"), wanted);
	CHECK_STR_EQ(reply_header(&up, "Content-Location", 0), wanted);
	CHECK_EQ(number(&up, "Valid-From"), 1000);
	CHECK_STR_EQ(reply_must(&up, "runNumber"), "5");

	CHECK_EQ(reply.status, 303);
	CHECK_EQ(reply.n_body, 0);
	CHECK_STR_EQ(reply_must(&reply, "Location"), wanted);
	CHECK_STR_EQ(reply_header(&reply, "Content-Location", 0), wanted);
	snprintf(wanted, sizeof(wanted), "http://other:8080/download/%s", uuid);
	CHECK_STR_EQ(reply_header(&reply, "Content-Location", 1), wanted);
	snprintf(wanted, sizeof(wanted), "alien:///alice/data/CCDB/TPC/Calib/Gain/%s", uuid);
	CHECK_STR_EQ(reply_header(&reply, "Content-Location", 2), wanted);
	CHECK(reply_header(&reply, "Content-Location", 3) && !reply_header(&reply, "Content-Location", 4));
	CHECK_EQ(number(&reply, "Valid-From"), 1000);
	CHECK_EQ(number(&reply, "Valid-Until"), 2000);
	CHECK_EQ(number(&reply, "Cache-Valid-Until"), 2000);
	CHECK_GT(number(&reply, "Created"), 1600000000000);
	CHECK(!reply_header(&reply, "InitialValidityLimit", 0));
	CHECK_STR_EQ(reply_must(&reply, "ObjectType"), "o2::gain");
	CHECK_STR_EQ(reply_must(&reply, "Cache-Control"), "no-cache");
	CHECK(strstr(reply_must(&reply, "Last-Modified"), " GMT"));
	CHECK(reply_header(&reply, "Date", 0));
	CHECK_EQ(head.status, 303);
	CHECK_STR_EQ(reply_must(&head, "ETag"), reply_must(&reply, "ETag"));
	CHECK(reply_header(&only, "Content-Location", 1) && !reply_header(&only, "Content-Location", 2));

	snprintf(path, sizeof(path), "/download/%s", uuid);
	{
		AUTO_REPLY content = serving_ask(&serving, "GET", path, NULL);
		AUTO_REPLY content_head = serving_ask(&serving, "HEAD", path, NULL);

		CHECK_EQ(content.status, 200);
		CHECK_EQ(content.n_body, 5);
		CHECK_MEM_EQ(content.body, "hello", 5);
		CHECK_STR_EQ(reply_must(&content, "Content-Type"), "application/x-thing");
		CHECK_STR_EQ(reply_must(&content, "Content-Disposition"), "inline;filename=\"a.root\"");
		CHECK_STR_EQ(reply_must(&content, "Content-MD5"), "5d41402abc4b2a76b9719d911017c592");
		CHECK_STR_EQ(reply_must(&content, "Accept-Ranges"), "bytes");
		CHECK_STR_EQ(reply_must(&content, "runNumber"), "5");
		CHECK_EQ(content_head.status, 200);
		CHECK_EQ(number(&content_head, "Content-Length"), 5);
		CHECK_EQ(content_head.n_body, 0);
	}
	serving_stop(&serving);
}

TEST(direct, "GET is 200 with the content where the server or the URL says direct")
{
	const struct sea_ccdb_server_options options = { .direct = 1 };
	struct serving serving = serving_start(NULL);

	serving_put(serving.store, "A/B", 10, 20, "content");
	{
		AUTO_REPLY reply = serving_ask(&serving, "GET", "/A/B/15?direct=true", NULL);

		CHECK_EQ(reply.status, 200);
		CHECK_EQ(reply.n_body, 7);
		CHECK_EQ(number(&reply, "Cache-Valid-Until"), 20);
		CHECK_EQ(number(&reply, "Valid-From"), 10);
	}
	serving_stop(&serving);
	serving = serving_start(&options);
	{
		AUTO_REPLY reply = serving_ask(&serving, "GET", "/A/B/15", "Range: bytes=2-4\r\n");

		CHECK_EQ(reply.status, 206);
		CHECK_EQ(reply.n_body, 3);
		CHECK_MEM_EQ(reply.body, "nte", 3);
	}
	serving_stop(&serving);
}

TEST(borders, "an object is valid from its beginning, which counts, to its end, which does not")
{
	struct serving serving = serving_start(NULL);
	static const struct {
		const char *url;
		int status;
	} cases[] = { { "/A/9", 404 },  { "/A/10", 303 }, { "/A/19", 303 },    { "/A/20", 404 },
		      { "/B/15", 404 }, { "/A", 400 },    { "/A/15/16", 303 }, { "/A/9223372036854775806", 404 } };

	serving_put(serving.store, "A", 10, 20, "x");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_REPLY reply = serving_ask(&serving, "GET", cases[i].url, NULL);

		CHECK_EQ(reply.status, cases[i].status);
		CHECK(reply.status != 404 || strcmp(reply.body, "No matching objects found\n") == 0);
	}
	serving_stop(&serving);
}

TEST(not_modified, "the first If-None-Match alone makes a 304, which says until when the answer holds")
{
	struct serving serving = serving_start(NULL);
	char uuid[64], headers[300];

	snprintf(uuid, sizeof(uuid), "%s", serving_put(serving.store, "A", 0, 1000, "old"));
	{
		AUTO_REPLY reply;

		snprintf(headers, sizeof(headers), "If-None-Match: \"%s\"\r\nIf-None-Match: 500\r\n", uuid);
		reply = serving_ask(&serving, "GET", "/A/100", headers);
		CHECK_EQ(reply.status, 304);
		CHECK_EQ(reply.n_body, 0);
		CHECK_EQ(number(&reply, "Cache-Valid-Until"), 1000);
		CHECK(!reply_header(&reply, "Location", 0));
	}
	{
		AUTO_REPLY reply;

		snprintf(headers, sizeof(headers), "If-None-Match: 500\r\nIf-None-Match: \"%s\"\r\n", uuid);
		reply = serving_ask(&serving, "GET", "/A/100", headers);
		CHECK_EQ(reply.status, 303);
	}
	serving_put(serving.store, "A", 400, 500, "new");
	{
		AUTO_REPLY bare, other, later;

		snprintf(headers, sizeof(headers), "If-None-Match: %s\r\n", uuid);
		bare = serving_ask(&serving, "GET", "/A/100", headers);
		CHECK_EQ(bare.status, 304);
		CHECK_EQ(number(&bare, "Cache-Valid-Until"), 400);
		other = serving_ask(&serving, "GET", "/A/450", headers);
		CHECK_EQ(other.status, 303);
		CHECK_EQ(number(&other, "Cache-Valid-Until"), 500);
		later = serving_ask(&serving, "GET", "/A/500", headers);
		CHECK_EQ(later.status, 304);
		CHECK_EQ(number(&later, "Cache-Valid-Until"), 1000);
	}
	serving_stop(&serving);
}

TEST(constraints, "metadata, uuid, If-Not-After and If-Not-Before choose among what is valid")
{
	static const struct sea_ccdb_pair one[] = { { "run", "1" }, { "pass", "2" } };
	struct serving serving = serving_start(NULL);
	char url[128], first[64];
	struct sea_ccdb_put put = { .path = "A",
		                    .valid_until_ms = 100,
		                    .metadata = one,
		                    .n_metadata = 2,
		                    .created_ms = 1000,
		                    .data = "a",
		                    .n_bytes = 1 };

	CHECK_OK(sea_ccdb_store_put(serving.store, &put, NULL, NULL));
	put.n_metadata = 0;
	put.created_ms = 2000;
	CHECK_OK(sea_ccdb_store_put(serving.store, &put, NULL, NULL));
	{
		AUTO_REPLY plain = serving_ask(&serving, "GET", "/A/5", NULL);
		AUTO_REPLY run = serving_ask(&serving, "GET", "/A/5/run=1", NULL);
		AUTO_REPLY before = serving_ask(&serving, "GET", "/A/run=1/pass=2/5", NULL);
		AUTO_REPLY none = serving_ask(&serving, "GET", "/A/5/run=2", NULL);
		AUTO_REPLY old = serving_ask(&serving, "GET", "/A/5", "If-Not-After: 1999\r\n");
		AUTO_REPLY both = serving_ask(&serving, "GET", "/A/5", "If-Not-After: 1999\r\nIf-Not-Before: 1001\r\n");
		AUTO_REPLY edge = serving_ask(&serving, "GET", "/A/5", "If-Not-After: 1000\r\nIf-Not-Before: 1000\r\n");

		CHECK_EQ(number(&plain, "Created"), 2000);
		CHECK_EQ(number(&run, "Created"), 1000);
		CHECK_EQ(number(&before, "Created"), 1000);
		CHECK_EQ(none.status, 404);
		CHECK_EQ(number(&old, "Created"), 1000);
		CHECK_EQ(both.status, 404);
		CHECK_EQ(edge.status, 303);
		snprintf(first, sizeof(first), "%.36s", reply_must(&run, "ETag") + 1);
	}
	snprintf(url, sizeof(url), "/A/5/%s", first);
	{
		AUTO_REPLY exact = serving_ask(&serving, "GET", url, NULL);

		CHECK_EQ(number(&exact, "Created"), 1000);
	}
	serving_stop(&serving);
}

TEST(ranges, "a single range is 206, a bad one 416, several the whole content")
{
	struct serving serving = serving_start(NULL);
	static const struct {
		const char *range, *body, *content_range;
		int status;
	} cases[] = {
		{ "bytes=0-0", "0", "bytes 0-0/10", 206 },
		{ "bytes=2-5", "2345", "bytes 2-5/10", 206 },
		{ "bytes=7-", "789", "bytes 7-9/10", 206 },
		{ "bytes=-3", "789", "bytes 7-9/10", 206 },
		{ "bytes=5-99", "56789", "bytes 5-9/10", 206 },
		{ "bytes=-99", "0123456789", "bytes 0-9/10", 206 },
		{ "bytes=10-", "", "bytes */10", 416 },
		{ "bytes=5-3", "", "bytes */10", 416 },
		{ "bytes=-0", "", "bytes */10", 416 },
		{ "bytes=x", "", "bytes */10", 416 },
		{ "bytes=99999999999999999999999-", "", "bytes */10", 416 },
		{ "bytes=-", "", "bytes */10", 416 },
		{ "bytes=0-1,3-4", "0123456789", NULL, 200 },
		{ "lines=0-1", "0123456789", NULL, 200 },
	};
	char url[128], headers[128];

	snprintf(url, sizeof(url), "/download/%s", serving_put(serving.store, "A", 0, 10, "0123456789"));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_REPLY reply;

		snprintf(headers, sizeof(headers), "Range: %s\r\n", cases[i].range);
		reply = serving_ask(&serving, "GET", url, headers);
		CHECK_EQ(reply.status, cases[i].status);
		CHECK(reply.is_whole);
		CHECK_EQ(reply.n_body, strlen(cases[i].body));
		CHECK_MEM_EQ(reply.body, cases[i].body, reply.n_body);
		if (cases[i].content_range)
			CHECK_STR_EQ(reply_must(&reply, "Content-Range"), cases[i].content_range);
	}
	serving_stop(&serving);
}

TEST(put, "PUT changes the end of validity and metadata: 204, 304, 404, 400")
{
	struct serving serving = serving_start(NULL);

	serving_put(serving.store, "A", 10, 20, "x");
	{
		AUTO_REPLY same = serving_ask(&serving, "PUT", "/A/15/20", NULL);
		AUTO_REPLY longer = serving_ask(&serving, "PUT", "/A/15/30?comment=very+good%21&b=2", NULL);
		AUTO_REPLY after = serving_ask(&serving, "GET", "/A/25", NULL);
		AUTO_REPLY none = serving_ask(&serving, "PUT", "/A/55/60", NULL);
		AUTO_REPLY wrong = serving_ask(&serving, "PUT", "/A/15/10", NULL);
		AUTO_REPLY forged = serving_ask(&serving, "PUT", "/A/15?ETag=5", NULL);
		AUTO_REPLY away = serving_ask(&serving, "PUT", "/A/15?comment=", NULL);
		AUTO_REPLY gone = serving_ask(&serving, "GET", "/A/25", NULL);

		CHECK_EQ(same.status, 304);
		CHECK_EQ(longer.status, 204);
		CHECK_EQ(after.status, 303);
		CHECK_EQ(number(&after, "Valid-Until"), 30);
		CHECK_EQ(number(&after, "InitialValidityLimit"), 20);
		CHECK_STR_EQ(reply_must(&after, "comment"), "very good!");
		CHECK_EQ(none.status, 404);
		CHECK_EQ(wrong.status, 400);
		CHECK_EQ(forged.status, 400);
		CHECK_EQ(away.status, 204);
		CHECK(!reply_header(&gone, "comment", 0) && reply_header(&gone, "b", 0));
	}
	serving_stop(&serving);
}

TEST(delete, "DELETE removes the match, and what it hid is the match again")
{
	struct serving serving = serving_start(NULL);
	char old[64];

	snprintf(old, sizeof(old), "%s", serving_put(serving.store, "A", 0, 100, "old"));
	serving_put(serving.store, "A", 0, 100, "new");
	{
		AUTO_REPLY first = serving_ask(&serving, "DELETE", "/A/5", NULL);
		AUTO_REPLY between = serving_ask(&serving, "GET", "/A/5", NULL);
		AUTO_REPLY second = serving_ask(&serving, "DELETE", "/A/5", NULL);
		AUTO_REPLY third = serving_ask(&serving, "DELETE", "/A/5", NULL);

		CHECK_EQ(first.status, 204);
		CHECK(strncmp(reply_must(&between, "ETag") + 1, old, 36) == 0);
		CHECK_EQ(second.status, 204);
		CHECK_EQ(third.status, 404);
	}
	serving_stop(&serving);
}

TEST(truncate, "truncate removes what its pattern fits, and says how many; else 304")
{
	struct serving serving = serving_start(NULL);

	serving_put(serving.store, "A/B", 0, 1, "1");
	serving_put(serving.store, "A/B", 0, 1, "2");
	serving_put(serving.store, "A/C", 0, 1, "3");
	serving_put(serving.store, "D", 0, 1, "4");
	{
		AUTO_REPLY top = serving_ask(&serving, "GET", "/truncate/", NULL);
		AUTO_REPLY none = serving_ask(&serving, "GET", "/truncate/A", NULL);
		AUTO_REPLY exact = serving_ask(&serving, "GET", "/truncate/A/B", NULL);
		AUTO_REPLY head = serving_ask(&serving, "HEAD", "/truncate/A/*", NULL);
		AUTO_REPLY wild = serving_ask(&serving, "GET", "/truncate/A/*", NULL);
		AUTO_REPLY left = serving_ask(&serving, "GET", "/D/0", NULL);

		CHECK_EQ(top.status, 400);
		CHECK_EQ(none.status, 304);
		CHECK_EQ(exact.status, 204);
		CHECK_STR_EQ(reply_must(&exact, "Deleted"), "2 objects");
		CHECK_EQ(head.status, 405);
		CHECK_STR_EQ(reply_must(&wild, "Deleted"), "1 objects");
		CHECK_EQ(left.status, 303);
	}
	serving_stop(&serving);
}

TEST(options, "OPTIONS and unknown methods say what is allowed")
{
	struct serving serving = serving_start(NULL);
	AUTO_REPLY options = serving_ask(&serving, "OPTIONS", "/A/5", NULL);
	AUTO_REPLY patch = serving_ask(&serving, "PATCH", "/A/5", NULL);
	AUTO_REPLY post = serving_ask(&serving, "DELETE", "/browse/A", NULL);

	CHECK_EQ(options.status, 200);
	CHECK_STR_EQ(reply_must(&options, "Allow"), "GET, HEAD, POST, PUT, DELETE, OPTIONS");
	CHECK_EQ(patch.status, 405);
	CHECK(reply_header(&patch, "Allow", 0));
	CHECK_EQ(post.status, 405);
	serving_stop(&serving);
}

static json_t *listing(const struct serving *serving, const char *url, const char *headers)
{
	char all[256];
	AUTO_REPLY reply;
	json_t *list;

	snprintf(all, sizeof(all), "Accept: application/json\r\n%s", headers);
	reply = serving_ask(serving, "GET", url, all);
	CHECK_EQ(reply.status, 200);
	CHECK_STR_EQ(reply_must(&reply, "Content-Type"), "application/json");
	list = json_loadb(reply.body, reply.n_body, JSON_REJECT_DUPLICATES, NULL);
	CHECK(list && json_is_array(json_object_get(list, "objects")) &&
	      json_is_array(json_object_get(list, "subfolders")));
	return list;
}

static size_t listing_n(const struct serving *serving, const char *url, const char *headers)
{
	json_t *list = listing(serving, url, headers);
	const size_t n = json_array_size(json_object_get(list, "objects"));

	json_decref(list);
	return n;
}

TEST(browse_json, "a listing in JSON has every key, the old and the new")
{
	/* The test's own list: none of the library's can lose a key unseen. */
	char keys[] =
		"path createTime Created lastModified Last-Modified id validFrom Valid-From validUntil Valid-Until "
		"initialValidity InitialValidityLimit MD5 Content-MD5 fileName contentType Content-Type size "
		"Content-Length ETag Content-Disposition UploadedFrom replicas run";
	struct serving serving = serving_start(NULL);
	AUTO_REPLY up = serving_upload(&serving, "/A/B/5/6/run=%22%3C1%3E%22", "x", 1);
	json_t *list, *object, *filtered;
	size_t n_keys = 0;
	char *rest;

	CHECK_EQ(up.status, 201);
	list = listing(&serving, "/browse/A/B", "");
	object = json_array_get(json_object_get(list, "objects"), 0);
	for (char *key = strtok_r(keys, " ", &rest); key; key = strtok_r(NULL, " ", &rest), n_keys++)
		if (!json_object_get(object, key))
			FAIL("no %s", key);
	CHECK_EQ(json_object_size(object), n_keys);
	CHECK_STR_EQ(json_string_value(json_object_get(object, "run")), "\"<1>\"");
	CHECK_STR_EQ(json_string_value(json_object_get(object, "UploadedFrom")), "127.0.0.1");
	CHECK_EQ(json_integer_value(json_object_get(object, "validFrom")), 5);
	filtered = listing(&serving, "/browse/A/B", "X-Filter-Fields: path, id,size\r\n");
	CHECK_EQ(json_object_size(json_array_get(json_object_get(filtered, "objects"), 0)), 3);
	json_decref(list);
	json_decref(filtered);
	serving_stop(&serving);
}

TEST(browse, "browse has all versions, latest the newest of each path; wildcards, limits, times, folders")
{
	struct serving serving = serving_start(NULL);
	json_t *list, *folder;

	serving_put(serving.store, "A/B", 0, 10, "1");
	serving_put(serving.store, "A/B", 5, 20, "22");
	serving_put(serving.store, "A/B/C", 0, 10, "333");
	serving_put(serving.store, "A/B-x/C", 0, 10, "4444");
	serving_put(serving.store, "Z", 0, 10, "5");
	CHECK_EQ(listing_n(&serving, "/browse/A/B", ""), 2);
	CHECK_EQ(listing_n(&serving, "/browse/A/B/", "Browse-Limit: 1\r\n"), 1);
	CHECK_EQ(listing_n(&serving, "/latest/A/B", ""), 1);
	CHECK_EQ(listing_n(&serving, "/browse/A/*", ""), 4);
	CHECK_EQ(listing_n(&serving, "/browse/A/.*", ""), 4);
	CHECK_EQ(listing_n(&serving, "/browse/A/%25", ""), 4);
	CHECK_EQ(listing_n(&serving, "/browse/*C", ""), 2);
	CHECK_EQ(listing_n(&serving, "/latest/*", ""), 4);
	CHECK_EQ(listing_n(&serving, "/browse/A/B/12", ""), 1);
	CHECK_EQ(listing_n(&serving, "/browse/A/B/x=y", ""), 0);
	CHECK_EQ(listing_n(&serving, "/browse/", ""), 0);
	list = listing(&serving, "/browse/A", "");
	CHECK_EQ(json_array_size(json_object_get(list, "subfolders")), 2);
	CHECK_STR_EQ(json_string_value(json_array_get(json_object_get(list, "subfolders"), 0)), "A/B");
	json_decref(list);
	list = listing(&serving, "/browse/A?report=true", "");
	folder = json_array_get(json_object_get(list, "subfolders"), 0);
	CHECK_STR_EQ(json_string_value(json_object_get(folder, "name")), "A/B");
	CHECK_EQ(json_integer_value(json_object_get(folder, "ownFiles")), 2);
	CHECK_EQ(json_integer_value(json_object_get(folder, "ownSize")), 3);
	CHECK_EQ(json_integer_value(json_object_get(folder, "filesInSubfolders")), 1);
	CHECK_EQ(json_integer_value(json_object_get(folder, "sizeOfSubfolders")), 3);
	json_decref(list);
	serving_stop(&serving);
}

TEST(browse_text, "a listing in text ends with the folders as O2 reads them; one in HTML escapes")
{
	struct serving serving = serving_start(NULL);
	AUTO_REPLY up = serving_upload(&serving, "/A/%3Cb%3E/5/6/k=%3Ci%3E", "x", 1);
	AUTO_REPLY text = serving_ask(&serving, "GET", "/browse/A", NULL);
	AUTO_REPLY html = serving_ask(&serving, "GET", "/browse/A/*", "Accept: text/html,*/*\r\n");

	CHECK_EQ(up.status, 201);
	CHECK(strstr(text.body, "Subfolders:\nA/<b>\n"));
	CHECK(strstr(html.body, "A/&lt;b&gt;") && strstr(html.body, "k=&lt;i&gt;") && !strstr(html.body, "<b>"));
	CHECK(strstr(html.body, "href=\"/latest/A/%3Cb%3E\""));
	serving_stop(&serving);
}

TEST(monitor, "counters are told as text and as JSON")
{
	struct serving serving = serving_start(NULL);
	AUTO_REPLY none = serving_ask(&serving, "GET", "/A/5", NULL);
	struct sea_ccdb_server_stats stats;
	json_t *state;

	serving_put(serving.store, "A", 0, 10, "12345");
	/* A request counts when it is over, which the client may know first. */
	CHECK_EVENTUALLY((sea_ccdb_server_get_stats(serving.server, &stats), stats.n_status[4] == 1));
	{
		AUTO_REPLY text = serving_ask(&serving, "GET", "/monitor", NULL);
		AUTO_REPLY json = serving_ask(&serving, "GET", "/monitor/state.json", NULL);

		CHECK(strstr(text.body, "\nsealane_ccdb_objects 1\n"));
		CHECK(strstr(text.body, "\nsealane_ccdb_answers_4xx_total 1\n"));
		state = json_loadb(json.body, json.n_body, 0, NULL);
		CHECK_EQ(json_array_size(json_object_get(state, "objects")), 1);
		json_decref(state);
	}
	CHECK_EQ(none.status, 404);
	serving_stop(&serving);
}

TEST(read_only, "a server that changes nothing refuses with 403")
{
	const struct sea_ccdb_server_options options = { .read_only = 1 };
	struct serving serving = serving_start(&options);
	AUTO_REPLY post = serving_upload(&serving, "/A/5/6", "x", 1);
	AUTO_REPLY put = serving_ask(&serving, "PUT", "/A/5/6", NULL);
	AUTO_REPLY remove = serving_ask(&serving, "DELETE", "/A/5", NULL);
	AUTO_REPLY truncate = serving_ask(&serving, "GET", "/truncate/A", NULL);

	CHECK_EQ(post.status, 403);
	CHECK_EQ(put.status, 403);
	CHECK_EQ(remove.status, 403);
	CHECK_EQ(truncate.status, 403);
	serving_stop(&serving);
}

TEST(address, "an address that is none, and a port that is taken, are told")
{
	struct serving serving = serving_start(NULL);
	const struct sea_ccdb_server_options taken = { .port = sea_ccdb_server_port(serving.server) };
	const struct sea_ccdb_server_options wrong = { .address = "localhost" };
	struct sea_ccdb_server *server = NULL;
	struct sea_error error = { 0 };

	CHECK_ERR(sea_ccdb_server_start(&server, serving.store, &taken, &error), -EADDRINUSE);
	CHECK(strstr(error.text, "port"));
	CHECK_ERR(sea_ccdb_server_start(&server, serving.store, &wrong, &error), -EINVAL);
	serving_stop(&serving);
}
