/* SPDX-License-Identifier: Apache-2.0 */
/* Decoded objects: once per version, never gone while in use, never more than allowed. */
#include "tables.h"

#include <sealane/ccdb/decoder.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* What is decoded: a copy of the uuid, and a mark that it is alive. */
struct thing {
	uint32_t alive;
	char uuid[64];
};
#define ALIVE 0x600df00du

static _Atomic int n_decoded, n_destroyed, n_failing;
static int64_t decode_ms;
static char userdata;

static int decode(const struct sea_table_object *object, void **ret_decoded, uint64_t *ret_cost,
                  struct sea_error *error, void *data)
{
	struct thing *thing;

	CHECK(data == &userdata);
	CHECK_EQ(*ret_cost, object->n_bytes);
	if (decode_ms > 0)
		test_sleep_ms(decode_ms);
	if (atomic_load(&n_failing) > 0) {
		atomic_fetch_sub(&n_failing, 1);
		return sea_error_set(error, -EPROTO, object->path, "does not look like one");
	}
	thing = malloc(sizeof(*thing));
	CHECK(thing);
	thing->alive = ALIVE;
	strncpy(thing->uuid, object->uuid, sizeof(thing->uuid) - 1);
	thing->uuid[sizeof(thing->uuid) - 1] = 0;
	atomic_fetch_add(&n_decoded, 1);
	*ret_decoded = thing;
	*ret_cost = 10;
	return 0;
}

static void destroy(void *decoded, void *data)
{
	struct thing *thing = decoded;

	CHECK(data == &userdata);
	CHECK_EQ(thing->alive, ALIVE);
	thing->alive = 0;
	free(thing);
	atomic_fetch_add(&n_destroyed, 1);
}

static struct sea_decoder *decoder_new(uint64_t n_cost_max)
{
	const struct sea_decoder_options options = {
		.decode = decode, .destroy = destroy, .userdata = &userdata, .n_cost_max = n_cost_max
	};
	struct sea_decoder *decoder;

	CHECK_OK(sea_decoder_new(&decoder, &options));
	return decoder;
}

static struct tables *some_tables(void)
{
	const struct tables_options options = {
		.n_columns = 3, .n_versions = 6, .n_groups = 2, .n_batches = 2, .n_rows = 400, .range_ms = 100
	};
	struct tables *tables;

	for (;;) {
		tables = tables_new(&options);
		if (tables->plan.n_objects >= 10)
			break;
		tables_free(tables);
	}
	tables_write(tables);
	return tables;
}

static void check_all(struct sea_decoder *decoder, const struct sea_table *table)
{
	for (int64_t row = 0; row < sea_table_n_rows(table); row++) {
		for (size_t column = 0; column < sea_table_n_columns(table); column++) {
			const struct sea_table_object *object = sea_table_get(table, row, column);
			void *decoded;

			CHECK_OK(sea_decoder_get(decoder, object, &decoded, NULL));
			CHECK_EQ(((struct thing *)decoded)->alive, ALIVE);
			CHECK_STR_EQ(((struct thing *)decoded)->uuid, object->uuid);
		}
	}
}

static void get_all(struct sea_decoder *decoder, const struct sea_table *table)
{
	for (size_t i = 0; i < sea_table_n_objects(table); i++) {
		void *decoded;

		CHECK_OK(sea_decoder_get(decoder, sea_table_get_object(table, i), &decoded, NULL));
	}
}

TEST(decoder_once, "a version is decoded once for all rows and tables, and destroyed once")
{
	struct tables *tables = some_tables();
	struct sea_decoder *decoder = decoder_new(0);
	struct sea_decoder_stats stats;
	const int n = (int)tables->plan.n_objects;

	/* The same versions in other memory each time: as from a cache device that was started again. */
	for (unsigned i = 0; i < 3; i++) {
		struct sea_table *table = tables_open(tables);

		get_all(decoder, table);
		check_all(decoder, table);
		sea_table_close(table);
		CHECK_EQ(n_decoded, n);
		CHECK_EQ(n_destroyed, 0);
	}
	sea_decoder_get_stats(decoder, &stats);
	CHECK_EQ(stats.n_decoded, n);
	CHECK_EQ(stats.n_kept, n);
	CHECK_EQ(stats.n_cost, 10 * n);
	sea_decoder_free(decoder);
	CHECK_EQ(n_destroyed, n);
	tables_free(tables);
}

TEST(decoder_two, "two decoders of one table do not know of each other")
{
	struct tables *tables = some_tables();
	struct sea_table *table = tables_open(tables);
	struct sea_decoder *one = decoder_new(0), *other = decoder_new(0);
	const struct sea_table_object *object = sea_table_get_object(table, 0);
	void *a, *b, *again;

	CHECK_OK(sea_decoder_get(one, object, &a, NULL));
	CHECK_OK(sea_decoder_get(other, object, &b, NULL));
	CHECK(a != b);
	CHECK_OK(sea_decoder_get(one, object, &again, NULL));
	CHECK(again == a);
	/* What the table uses stays until its close. */
	sea_decoder_free(one);
	CHECK_EQ(((struct thing *)a)->alive, ALIVE);
	CHECK_EQ(n_destroyed, 0);
	sea_table_close(table);
	CHECK_EQ(n_destroyed, 1);
	sea_decoder_free(other);
	CHECK_EQ(n_destroyed, 2);
	tables_free(tables);
}

TEST(decoder_bound, "what is in use is kept beyond the bound, what is not goes, the longest unused first")
{
	struct tables *tables = some_tables();
	struct sea_table *table = tables_open(tables);
	struct sea_decoder *decoder = decoder_new(45);
	const int n = (int)tables->plan.n_objects;
	struct sea_decoder_stats stats;
	struct sea_decoded *held[3];

	get_all(decoder, table);
	CHECK_EQ(n_destroyed, 0);
	CHECK_OK(sea_decoder_hold(decoder, sea_table_get_object(table, 2), &held[0], NULL));
	sea_table_close(table);
	/* Four of 10 each. */
	CHECK_EQ(n_destroyed, n - 4);
	CHECK_EQ(((struct thing *)sea_decoded_get(held[0]))->alive, ALIVE);
	CHECK_STR_EQ(((struct thing *)sea_decoded_get(held[0]))->uuid, tables->objects[2].uuid);
	sea_decoded_release(held[0]);
	sea_decoder_get_stats(decoder, &stats);
	CHECK_EQ(stats.n_kept, 4);
	CHECK_EQ(stats.n_cost, 40);
	CHECK_EQ(stats.n_destroyed, n - 4);
	/* That one was used last: it is the last to go. */
	table = tables_open(tables);
	for (size_t i = 4; i < 7; i++) {
		CHECK_OK(sea_decoder_hold(decoder, sea_table_get_object(table, i), &held[i - 4], NULL));
		sea_decoded_release(held[i - 4]);
	}
	CHECK_EQ(n_decoded, n + 3);
	CHECK_OK(sea_decoder_hold(decoder, sea_table_get_object(table, 2), &held[0], NULL));
	CHECK_EQ(n_decoded, n + 3);
	sea_decoded_release(held[0]);
	sea_table_close(table);
	sea_decoder_free(decoder);
	CHECK_EQ(n_destroyed, n_decoded);
	tables_free(tables);
}

TEST(decoder_nothing, "a decoder that is to keep nothing destroys when the last table closes")
{
	struct tables *tables = some_tables();
	struct sea_table *table = tables_open(tables), *second = tables_open(tables);
	struct sea_decoder *decoder = decoder_new(1);

	get_all(decoder, table);
	get_all(decoder, second);
	CHECK_EQ(n_decoded, (int)tables->plan.n_objects);
	sea_table_close(table);
	CHECK_EQ(n_destroyed, 0);
	check_all(decoder, second);
	sea_table_close(second);
	CHECK_EQ(n_destroyed, (int)tables->plan.n_objects);
	sea_decoder_free(decoder);
	tables_free(tables);
}

TEST(decoder_refused,
     "an object that is not here, has no uuid or another size than the same version had is refused, and says why")
{
	struct sea_decoder *decoder = decoder_new(0);
	struct sea_table_object object = { .path = "A/B", .uuid = "", .reason = "404", .headers = "", .column = "c" };
	struct sea_decoded *held, *other;
	struct sea_error error = { 0 };
	void *decoded;

	CHECK_ERR(sea_decoder_get(decoder, NULL, &decoded, &error), -EINVAL);
	CHECK_ERR(sea_decoder_hold(decoder, &object, &held, &error), -EINVAL);
	CHECK(strstr(error.text, "no uuid"));
	object.uuid = "u";
	object.status = SEA_TABLE_MISSING;
	CHECK_ERR(sea_decoder_hold(decoder, &object, &held, &error), -ENOENT);
	CHECK(strstr(error.text, "404"));
	object.status = SEA_TABLE_OK;
	CHECK_ERR(sea_decoder_get(decoder, &object, &decoded, &error), -EINVAL);
	CHECK_OK(sea_decoder_hold(decoder, &object, &held, &error));
	object.n_bytes = 1;
	CHECK_ERR(sea_decoder_hold(decoder, &object, &other, &error), -EBADMSG);
	sea_decoded_release(held);
	sea_decoder_free(decoder);
	CHECK_EQ(n_decoded, 1);
	CHECK_EQ(n_destroyed, 1);
}

TEST(decoder_fails, "what cannot be decoded says why, is not remembered, and is tried again")
{
	struct tables *tables = some_tables();
	struct sea_table *table = tables_open(tables);
	struct sea_decoder *decoder = decoder_new(0);
	struct sea_decoder_stats stats;
	struct sea_error error = { 0 };
	void *decoded;

	atomic_store(&n_failing, 2);
	CHECK_ERR(sea_decoder_get(decoder, sea_table_get_object(table, 0), &decoded, &error), -EPROTO);
	CHECK_STR_EQ(error.text, "does not look like one");
	CHECK_ERR(sea_decoder_get(decoder, sea_table_get_object(table, 0), &decoded, NULL), -EPROTO);
	CHECK_OK(sea_decoder_get(decoder, sea_table_get_object(table, 0), &decoded, NULL));
	sea_decoder_get_stats(decoder, &stats);
	CHECK_EQ(stats.n_failed, 2);
	CHECK_EQ(stats.n_decoded, 1);
	sea_table_close(table);
	sea_decoder_free(decoder);
	tables_free(tables);
}

/* Many threads. ------------------------------------------------------------------------------ */

struct crowd {
	const struct tables *tables;
	struct sea_decoder *decoder;
	struct sea_table *table;
	uint64_t seed;
};

static void *crowd_run(void *arg)
{
	struct crowd *crowd = arg;
	uint64_t state = crowd->seed;

	for (unsigned i = 0; i < 40; i++) {
		struct sea_table *own = tables_open(crowd->tables);

		for (unsigned k = 0; k < 200; k++) {
			const struct sea_table *of = k % 2 ? own : crowd->table;
			const struct sea_table_object *object;
			struct sea_decoded *held;
			void *decoded;

			state = state * 6364136223846793005u + 1442695040888963407u;
			object = sea_table_get_object(of, (state >> 33) % sea_table_n_objects(of));
			if (k % 5 == 0) {
				CHECK_OK(sea_decoder_hold(crowd->decoder, object, &held, NULL));
				decoded = sea_decoded_get(held);
				CHECK_STR_EQ(((struct thing *)decoded)->uuid, object->uuid);
				sea_decoded_release(held);
				continue;
			}
			CHECK_OK(sea_decoder_get(crowd->decoder, object, &decoded, NULL));
			CHECK_EQ(((struct thing *)decoded)->alive, ALIVE);
			CHECK_STR_EQ(((struct thing *)decoded)->uuid, object->uuid);
		}
		sea_table_close(own);
	}
	return NULL;
}

TEST(decoder_threads, "threads with tables of their own and one in common get what is alive, and all is destroyed once")
{
	struct tables *tables = some_tables();
	struct crowd crowds[4];
	pthread_t threads[4];
	struct sea_decoder *decoder = decoder_new(50);
	struct sea_table *table = tables_open(tables);

	for (size_t i = 0; i < 4; i++) {
		crowds[i] = (struct crowd){ tables, decoder, table, test_random() };
		CHECK_EQ(pthread_create(&threads[i], NULL, crowd_run, &crowds[i]), 0);
	}
	for (size_t i = 0; i < 4; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	sea_table_close(table);
	sea_decoder_free(decoder);
	CHECK_EQ(n_decoded, n_destroyed);
	tables_free(tables);
}

static void *wait_run(void *arg)
{
	struct crowd *crowd = arg;
	void *decoded;

	CHECK_OK(sea_decoder_get(crowd->decoder, sea_table_get_object(crowd->table, 0), &decoded, NULL));
	return decoded;
}

TEST(decoder_waits, "threads that ask for a version which another is decoding wait for it, and none decodes it again")
{
	struct tables *tables = some_tables();
	struct sea_decoder *decoder = decoder_new(0);
	struct sea_table *table = tables_open(tables);
	struct crowd crowd = { tables, decoder, table, 0 };
	pthread_t threads[4];
	void *values[4];

	decode_ms = 50;
	for (size_t i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, wait_run, &crowd), 0);
	for (size_t i = 0; i < 4; i++) {
		CHECK_EQ(pthread_join(threads[i], &values[i]), 0);
		CHECK(values[i] == values[0]);
	}
	CHECK_EQ(n_decoded, 1);
	sea_table_close(table);
	sea_decoder_free(decoder);
	CHECK_EQ(n_destroyed, 1);
	tables_free(tables);
}
