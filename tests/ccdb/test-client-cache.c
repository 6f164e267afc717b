/* SPDX-License-Identifier: Apache-2.0 */
/* What the client remembers: against a server that follows the rule, with versions that overlap, nest, come and go. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/ccdb/ccdb.h>

#include "script.h"
#include "test.h"

#define NS_PER_S INT64_C(1000000000)
#define PATIENCE (30 * NS_PER_S)
#define N_VERSIONS_MAX 64
#define T_MAX 1000

/* A store that the test changes between requests. Content of a version is "object N". */
struct store {
	unsigned n;
	struct {
		int64_t from, until, created;
		bool is_deleted;
	} versions[N_VERSIONS_MAX];
	bool is_silent;      /* no Cache-Valid-Until */
	bool is_redirecting; /* 303 first */
	_Atomic unsigned n_downloads;
};

/* Which version the rule names; -1: none. */
static int store_find(const struct store *store, int64_t t)
{
	int best = -1;

	for (unsigned i = 0; i < store->n; i++)
		if (!store->versions[i].is_deleted && store->versions[i].from <= t && t < store->versions[i].until &&
		    (best < 0 || store->versions[i].created > store->versions[best].created))
			best = (int)i;
	return best;
}

/* How long that stays so, of what is there now. */
static int64_t store_promise(const struct store *store, int64_t t, int which)
{
	int64_t until = store->versions[which].until;

	for (unsigned i = 0; i < store->n; i++)
		if (!store->versions[i].is_deleted && store->versions[i].created > store->versions[which].created &&
		    store->versions[i].from > t && store->versions[i].from < until)
			until = store->versions[i].from;
	return until;
}

static void store_add(struct store *store, int64_t from, int64_t until)
{
	unsigned i = store->n;

	store->versions[i].from = from;
	store->versions[i].until = until;
	store->versions[i].created = 100 + i;
	store->versions[i].is_deleted = false;
	store->n = i + 1;
}

static bool say_content(int fd, struct store *store, const char *headers, int which)
{
	char content[32];

	snprintf(content, sizeof(content), "object %d", which);
	atomic_fetch_add(&store->n_downloads, 1);
	return script_say(fd, "HTTP/1.1 200 OK\r\n%sContent-Length: %zu\r\nContent-MD5: %s\r\n\r\n%s", headers,
	                  strlen(content), script_md5(content, strlen(content)), content);
}

static bool say_store(int fd, const struct script_request *request, void *arg)
{
	struct store *store = arg;
	int64_t t = script_time(request->target);
	char headers[512], promise[64] = "";
	unsigned download;
	int which;

	if (sscanf(request->target, "/download/%x", &download) == 1)
		return say_content(fd, store, "", (int)download);
	which = store_find(store, t);
	if (which < 0)
		return script_say(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
	if (!store->is_silent)
		snprintf(promise, sizeof(promise), "Cache-Valid-Until: %lld\r\n",
		         (long long)store_promise(store, t, which));
	snprintf(headers, sizeof(headers),
	         "ETag: \"%s\"\r\nValid-From: %lld\r\nValid-Until: %lld\r\nCreated: %lld\r\n%s",
	         script_uuid((unsigned)which), (long long)store->versions[which].from,
	         (long long)store->versions[which].until, (long long)store->versions[which].created, promise);
	if (strstr(script_header(request->text, "If-None-Match", 0), script_uuid((unsigned)which)))
		return script_say(fd, "HTTP/1.1 304 Not Modified\r\n%s\r\n", promise);
	if (store->is_redirecting)
		return script_say(fd, "HTTP/1.1 303 See Other\r\nLocation: /download/%x\r\nContent-Length: 0\r\n%s\r\n",
		                  (unsigned)which, headers);
	return say_content(fd, store, headers, which);
}

static struct sea_ccdb_client *client_new(const struct script *script, const struct sea_ccdb_client_options *more)
{
	struct sea_ccdb_client_options options = *more;
	struct sea_ccdb_client *client;

	options.url = script->url;
	options.no_environment = true;
	CHECK_OK(sea_ccdb_client_new(&client, &options, NULL));
	return client;
}

/* Which version an answer is, by its content and by its uuid. -1: none. */
static int ask(struct sea_ccdb_client *client, int64_t t, uint32_t flags, bool *ret_was_asked)
{
	struct sea_ccdb_query query = { .path = "A/B", .timestamp_ms = t, .flags = flags };
	struct sea_ccdb_result result;
	struct sea_error error;
	char content[32] = "";
	int which = -1;

	CHECK_OK(sea_ccdb_client_get(client, &query, &result, PATIENCE, &error));
	if (ret_was_asked)
		*ret_was_asked = result.was_asked;
	if (result.status == SEA_CCDB_FAILED)
		FAIL("%lld: %s: %s", (long long)t, error.key, error.text);
	if (result.status == SEA_CCDB_OK) {
		CHECK(result.n_bytes < sizeof(content));
		memcpy(content, result.content, result.n_bytes);
		CHECK_EQ(sscanf(content, "object %d", &which), 1);
		CHECK_STR_EQ(result.version.uuid, script_uuid((unsigned)which));
		CHECK_LE(result.version.valid_from_ms, t);
		CHECK_GT(result.version.valid_until_ms, t);
	}
	sea_ccdb_result_fini(&result);
	return which;
}

TEST(promise,
     "within a promise nobody is asked; outside it is asked with what is known, and the old content serves again")
{
	struct store *store = test_shared(sizeof(*store));
	struct sea_ccdb_client_stats stats;
	struct sea_ccdb_client *client;
	struct script script;
	bool was_asked;

	store_add(store, 0, 1000);
	store_add(store, 500, 600);
	script_start(&script, say_store, store);
	client = client_new(&script, &(struct sea_ccdb_client_options){ 0 });
	CHECK_EQ(ask(client, 100, 0, &was_asked), 0);
	CHECK(was_asked);
	CHECK_EQ(ask(client, 499, 0, &was_asked), 0);
	CHECK(!was_asked);
	CHECK_EQ(ask(client, 99, 0, &was_asked), 0);
	CHECK(was_asked);
	CHECK_EQ(ask(client, 500, 0, &was_asked), 1);
	CHECK(was_asked);
	CHECK_EQ(ask(client, 599, 0, &was_asked), 1);
	CHECK(!was_asked);
	CHECK_EQ(ask(client, 600, 0, &was_asked), 0);
	CHECK(was_asked);
	CHECK_EQ(ask(client, 300, 0, &was_asked), 0);
	CHECK(!was_asked);
	CHECK_EQ(ask(client, 550, 0, &was_asked), 1);
	CHECK(!was_asked);
	CHECK_EQ(atomic_load(&store->n_downloads), 2);
	sea_ccdb_client_get_stats(client, &stats);
	CHECK_EQ(stats.n_hits, 4);
	CHECK_EQ(stats.n_not_modified, 2);
	CHECK_EQ(stats.n_misses, 2);
	CHECK_EQ(stats.n_objects, 2);
	sea_ccdb_client_free(client);
	script_stop(&script);
}

TEST(upload, "asked always, an upload is seen at once, and hides the older one also where that was promised")
{
	struct store *store = test_shared(sizeof(*store));
	struct sea_ccdb_client *client;
	struct script script;

	store_add(store, 0, 1000);
	script_start(&script, say_store, store);
	client = client_new(&script, &(struct sea_ccdb_client_options){ 0 });
	CHECK_EQ(ask(client, 100, 0, NULL), 0);
	store_add(store, 200, 300);
	/* Promised, uploads apart. */
	CHECK_EQ(ask(client, 250, 0, NULL), 0);
	CHECK_EQ(ask(client, 250, SEA_CCDB_ASK_ALWAYS, NULL), 1);
	CHECK_EQ(ask(client, 220, 0, NULL), 1);
	CHECK_EQ(ask(client, 299, 0, NULL), 1);
	CHECK_EQ(ask(client, 300, 0, NULL), 0);
	/* And when it is deleted. */
	store->versions[1].is_deleted = true;
	CHECK_EQ(ask(client, 250, SEA_CCDB_ASK_ALWAYS, NULL), 0);
	CHECK_EQ(ask(client, 260, 0, NULL), 0);
	store->versions[0].is_deleted = true;
	CHECK_EQ(ask(client, 250, SEA_CCDB_ASK_ALWAYS, NULL), -1);
	CHECK_EQ(ask(client, 251, 0, NULL), -1);
	sea_ccdb_client_free(client);
	script_stop(&script);
}

TEST(shorter_promise, "a promise that has become shorter takes back what was promised beyond it")
{
	struct store *store = test_shared(sizeof(*store));
	struct sea_ccdb_client *client;
	struct script script;
	bool was_asked;

	store_add(store, 0, 1000);
	script_start(&script, say_store, store);
	client = client_new(&script, &(struct sea_ccdb_client_options){ 0 });
	CHECK_EQ(ask(client, 100, 0, NULL), 0);
	store_add(store, 500, 600);
	CHECK_EQ(ask(client, 200, SEA_CCDB_ASK_ALWAYS, NULL), 0);
	CHECK_EQ(ask(client, 499, 0, &was_asked), 0);
	CHECK(!was_asked);
	CHECK_EQ(ask(client, 550, 0, NULL), 1);
	CHECK_EQ(ask(client, 650, 0, NULL), 0);
	sea_ccdb_client_free(client);
	script_stop(&script);
}

TEST(never, "asked never, what is known to be valid is enough; what is not known is asked for once")
{
	struct store *store = test_shared(sizeof(*store));
	struct sea_ccdb_client *client;
	struct sea_ccdb_result result;
	struct script script;
	bool was_asked;

	store->is_silent = true;
	store_add(store, 0, 1000);
	script_start(&script, say_store, store);
	client = client_new(&script, &(struct sea_ccdb_client_options){ 0 });
	CHECK_ERR(sea_ccdb_client_try_get(client, &(struct sea_ccdb_query){ .path = "A/B" }, &result), -EAGAIN);
	CHECK_EQ(ask(client, 100, SEA_CCDB_ASK_NEVER, &was_asked), 0);
	CHECK(was_asked);
	CHECK_EQ(ask(client, 1, SEA_CCDB_ASK_NEVER, &was_asked), 0);
	CHECK(!was_asked);
	CHECK_EQ(ask(client, 100, 0, &was_asked), 0);
	CHECK(was_asked);
	CHECK_ERR(sea_ccdb_client_try_get(client, &(struct sea_ccdb_query){ .path = "A/B" }, &result), -EAGAIN);
	CHECK_OK(sea_ccdb_client_try_get(client, &(struct sea_ccdb_query){ .path = "A/B", .flags = SEA_CCDB_ASK_NEVER },
	                                 &result));
	CHECK_EQ(result.status, SEA_CCDB_OK);
	sea_ccdb_result_fini(&result);
	sea_ccdb_client_forget(client, "/A/B/");
	CHECK_EQ(ask(client, 1, SEA_CCDB_ASK_NEVER, &was_asked), 0);
	CHECK(was_asked);
	CHECK_EQ(atomic_load(&store->n_downloads), 2);
	sea_ccdb_client_free(client);
	script_stop(&script);
}

static void random_store(struct store *store, uint64_t seed)
{
	for (unsigned i = 0; i < 40; i++) {
		int64_t from = (int64_t)(seed % T_MAX), n;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		n = (int64_t)(seed >> 33) % (i % 4 ? 60 : T_MAX);
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		store_add(store, from, from + n + 1);
		seed ^= seed >> 29;
	}
}

/* Random questions at a store that does not change: every answer is the rule's. */
static void check_random(bool is_silent, bool is_redirecting, const struct sea_ccdb_client_options *options)
{
	struct store *store = test_shared(sizeof(*store));
	uint64_t seed = test_random();
	struct sea_ccdb_client_stats stats;
	struct sea_ccdb_client *client;
	struct script script;

	random_store(store, seed);
	store->is_silent = is_silent;
	store->is_redirecting = is_redirecting;
	script_start(&script, say_store, store);
	client = client_new(&script, options);
	for (int i = 0; i < 2000; i++) {
		int64_t t = (int64_t)(seed >> 33) % (T_MAX + 100);

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		CHECK_EQ(ask(client, t, 0, NULL), store_find(store, t));
	}
	sea_ccdb_client_get_stats(client, &stats);
	if (!is_silent)
		CHECK_GT(stats.n_hits, 0);
	if (!options->forget_contents && !options->n_memory_bytes_max)
		CHECK_LE(atomic_load(&store->n_downloads), store->n);
	sea_ccdb_client_free(client);
	script_stop(&script);
}

TEST(random, "2000 random times in 40 versions that overlap and nest: every answer is the one that the rule names")
{
	check_random(false, false, &(struct sea_ccdb_client_options){ 0 });
	check_random(false, true, &(struct sea_ccdb_client_options){ 0 });
}

TEST(random_silent, "the same of a server that promises nothing: it is asked each time, and content comes once")
{
	check_random(true, true, &(struct sea_ccdb_client_options){ 0 });
}

TEST(random_small, "the same with room for three objects, and for five versions")
{
	check_random(false, false, &(struct sea_ccdb_client_options){ .n_memory_bytes_max = 30 });
	check_random(true, false, &(struct sea_ccdb_client_options){ .n_versions_max = 5, .forget_contents = true });
}

TEST(random_uploads,
     "uploads and deletions between the questions: asked always, every answer is the rule's at that moment")
{
	struct store *store = test_shared(sizeof(*store));
	uint64_t seed = test_random();
	struct sea_ccdb_client *client;
	struct script script;

	script_start(&script, say_store, store);
	client = client_new(&script, &(struct sea_ccdb_client_options){ 0 });
	for (int i = 0; i < 1500; i++) {
		int64_t t = (int64_t)(seed >> 33) % 200, n = (int64_t)(seed >> 20) % 50 + 1;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		if (i % 25 == 0 && store->n < N_VERSIONS_MAX)
			store_add(store, t, t + n);
		if (i % 40 == 0 && store->n)
			store->versions[(unsigned)(seed >> 33) % store->n].is_deleted ^= true;
		/* What is asked in between, and cached, must not mislead. */
		(void)ask(client, t, 0, NULL);
		CHECK_EQ(ask(client, t, SEA_CCDB_ASK_ALWAYS, NULL), store_find(store, t));
		/* What was just confirmed is known. */
		CHECK_EQ(ask(client, t, 0, NULL), store_find(store, t));
	}
	sea_ccdb_client_free(client);
	script_stop(&script);
}

TEST(without_contents, "a client that keeps no content knows which of the held versions holds when")
{
	struct sea_ccdb_client_options options = { .forget_contents = true };
	struct store *store = test_shared(sizeof(*store));
	const char *held[] = { script_uuid(0), script_uuid(1) };
	struct sea_ccdb_query query = { .path = "A/B" };
	struct sea_ccdb_client_stats stats;
	struct sea_ccdb_client *client;
	struct sea_ccdb_result result;
	struct script script;
	unsigned n;

	store_add(store, 0, 1000);
	store_add(store, 500, 600);
	store->is_redirecting = true;
	script_start(&script, say_store, store);
	client = client_new(&script, &options);
	CHECK_EQ(ask(client, 100, 0, NULL), 0);
	CHECK_EQ(ask(client, 550, 0, NULL), 1);
	sea_ccdb_client_get_stats(client, &stats);
	CHECK_EQ(stats.n_objects, 0);
	CHECK_EQ(stats.n_versions, 2);
	query.held = held;
	query.n_held = 2;
	n = atomic_load(&script.log->n);
	for (int64_t t = 100; t < 600; t += 7) {
		if (t >= 500 && t < 550)
			continue;
		query.timestamp_ms = t;
		CHECK_OK(sea_ccdb_client_try_get(client, &query, &result));
		CHECK_EQ(result.status, SEA_CCDB_NOT_MODIFIED);
		CHECK_STR_EQ(result.version.uuid, held[t >= 500]);
		CHECK_EQ(result.version.guaranteed_until_ms, t < 500 ? 500 : 600);
		CHECK(result.object == NULL);
		sea_ccdb_result_fini(&result);
	}
	CHECK_EQ(atomic_load(&script.log->n), n);
	query.timestamp_ms = 700;
	CHECK_OK(sea_ccdb_client_get(client, &query, &result, PATIENCE, NULL));
	CHECK_EQ(result.status, SEA_CCDB_NOT_MODIFIED);
	CHECK_STR_EQ(result.version.uuid, held[0]);
	CHECK_EQ(result.version.valid_until_ms, 1000);
	sea_ccdb_result_fini(&result);
	/* Who does not hold it gets it, whatever is known. */
	CHECK_EQ(ask(client, 100, 0, NULL), 0);
	CHECK_EQ(atomic_load(&store->n_downloads), 3);
	sea_ccdb_client_free(client);
	script_stop(&script);
}

TEST(held_objects, "an object that somebody holds stays what it is when it is forgotten; what nobody holds goes first")
{
	struct sea_ccdb_client_options options = { .n_memory_bytes_max = 17 };
	struct sea_ccdb_query query = { .path = "A/B", .timestamp_ms = 0 };
	struct store *store = test_shared(sizeof(*store));
	struct sea_ccdb_client *client;
	struct sea_ccdb_result first;
	struct script script;
	bool was_asked;

	for (int i = 0; i < 5; i++)
		store_add(store, i * 10, i * 10 + 10);
	script_start(&script, say_store, store);
	client = client_new(&script, &options);
	CHECK_OK(sea_ccdb_client_get(client, &query, &first, PATIENCE, NULL));
	for (int i = 1; i < 5; i++)
		CHECK_EQ(ask(client, i * 10, 0, NULL), i);
	CHECK_EQ(ask(client, 5, 0, &was_asked), 0);
	CHECK(!was_asked);
	CHECK_EQ(ask(client, 15, 0, NULL), 1);
	CHECK_EQ(atomic_load(&store->n_downloads), 6);
	sea_ccdb_client_free(client);
	CHECK_MEM_EQ(first.content, "object 0", 8);
	sea_ccdb_result_fini(&first);
	script_stop(&script);
}

TEST(scopes, "questions with other metadata or other bounds are other questions, and share content")
{
	struct sea_ccdb_pair metadata[] = { { "run", "1" } };
	struct sea_ccdb_query query = { .path = "A/B", .timestamp_ms = 5, .metadata = metadata, .n_metadata = 1 };
	struct store *store = test_shared(sizeof(*store));
	struct sea_ccdb_client *client;
	struct sea_ccdb_result result;
	struct script script;
	bool was_asked;

	store->is_redirecting = true;
	store_add(store, 0, 10);
	script_start(&script, say_store, store);
	client = client_new(&script, &(struct sea_ccdb_client_options){ 0 });
	CHECK_EQ(ask(client, 5, 0, &was_asked), 0);
	for (int i = 0; i < 2; i++) {
		CHECK_OK(sea_ccdb_client_get(client, &query, &result, PATIENCE, NULL));
		CHECK_EQ(result.status, SEA_CCDB_OK);
		CHECK_EQ(result.was_asked, i == 0);
		CHECK_MEM_EQ(result.content, "object 0", 8);
		sea_ccdb_result_fini(&result);
	}
	query.not_after_ms = 1000;
	CHECK_OK(sea_ccdb_client_get(client, &query, &result, PATIENCE, NULL));
	CHECK(result.was_asked);
	sea_ccdb_result_fini(&result);
	CHECK_EQ(atomic_load(&store->n_downloads), 1);
	sea_ccdb_client_free(client);
	script_stop(&script);
}
