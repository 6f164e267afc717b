/* SPDX-License-Identifier: Apache-2.0 */
/* A cache with its server and its session in the test's own process. */
#ifndef SEALANE_TEST_HOUSE_H
#define SEALANE_TEST_HOUSE_H

#include "keys.h"
#include "serving.h"

struct house {
	struct serving serving;
	struct sea_session *session;
	struct sea_ccdb_cache *cache;
	struct sea_ccdb_column columns[8];
	size_t n_columns;
};

/* options: heap may be set before, client.url is not. columns: texts, the last NULL. */
void house_open(struct house *house, struct sea_ccdb_cache_options *options, const char *const *columns);
/* The same with a server that is as these options say; NULL: the defaults. */
void house_open_with(struct house *house, const struct sea_ccdb_server_options *server,
                     struct sea_ccdb_cache_options *options, const char *const *columns);
void house_close(struct house *house);
/* The next answer, or the error that comes instead. */
int house_take(struct house *house, struct sea_message **ret_answer, struct sea_error *error);
/* The next answer, opened. */
struct sea_table *house_table(struct house *house);
void house_put(struct house *house, const struct keys *keys);
struct sea_table *house_ask(struct house *house, const struct keys *keys);
uint64_t house_queries(struct house *house);
/* What the store says: a row has to name that. */
void check_cell(struct house *house, const struct sea_table_object *object, const char *path, int64_t time_ms);
void put_text(struct house *house, const char *path, int64_t from_ms, int64_t until_ms, const char *text);
/* Of what length they are, and what they say, tells objects apart. */
void put_random(struct house *house, const char *path, int64_t range_ms);
void put_big(struct house *house, const char *path, int64_t from_ms, int64_t until_ms, size_t n_bytes);

#endif
