/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DuckDB scans a stream that we export, by the C Stream Interface, and answers SQL over it. Its library is loaded where
 * tests/arrow/interop/install has put it; without it the test is skipped. No header of it is needed: these few functions are declared here.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tables.h"
#include "test.h"

/* As its C interface has them; a result is written and read by the library alone. */
struct duckdb {
	void *library;
	int (*open)(const char *path, void **ret_database);
	void (*close)(void **database);
	int (*connect)(void *database, void **ret_connection);
	void (*disconnect)(void **connection);
	int (*scan)(void *connection, const char *name, void *stream);
	int (*query)(void *connection, const char *sql, void *result);
	void (*destroy)(void *result);
	const char *(*error)(void *result);
	int64_t (*int64)(void *result, uint64_t column, uint64_t row);
	char *(*varchar)(void *result, uint64_t column, uint64_t row);
	void (*free)(void *memory);
	void *database, *connection;
};

static void symbol_load(void *library, const char *name, void *ret_function)
{
	void *symbol = dlsym(library, name);

	if (!symbol)
		SKIP("DuckDB has no %s any more", name);
	memcpy(ret_function, &symbol, sizeof(symbol));
}

static void duckdb_load(struct duckdb *duckdb)
{
	const char *folder = getenv("SEALANE_INTEROP_DIR"), *build = getenv("SEALANE_BUILD_DIR");
	char path[500];

	snprintf(path, sizeof(path), "%s%s/node_modules/@duckdb/node-bindings-linux-x64/libduckdb.so",
	         folder  ? folder
	         : build ? build
	                 : ".",
	         folder ? "" : "/interop");
	if (test_is_sanitized())
		SKIP("DuckDB is not built with sanitizers");
	duckdb->library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!duckdb->library)
		SKIP("%s is missing: tests/arrow/interop/install puts it there", path);
	symbol_load(duckdb->library, "duckdb_open", &duckdb->open);
	symbol_load(duckdb->library, "duckdb_close", &duckdb->close);
	symbol_load(duckdb->library, "duckdb_connect", &duckdb->connect);
	symbol_load(duckdb->library, "duckdb_disconnect", &duckdb->disconnect);
	symbol_load(duckdb->library, "duckdb_arrow_scan", &duckdb->scan);
	symbol_load(duckdb->library, "duckdb_query", &duckdb->query);
	symbol_load(duckdb->library, "duckdb_destroy_result", &duckdb->destroy);
	symbol_load(duckdb->library, "duckdb_result_error", &duckdb->error);
	symbol_load(duckdb->library, "duckdb_value_int64", &duckdb->int64);
	symbol_load(duckdb->library, "duckdb_value_varchar", &duckdb->varchar);
	symbol_load(duckdb->library, "duckdb_free", &duckdb->free);
}

static void count(void *userdata)
{
	++*(int *)userdata;
}

static void sql_run(struct duckdb *duckdb, const char *sql)
{
	uint64_t result[32] = { 0 };

	if (duckdb->query(duckdb->connection, sql, result) != 0)
		FAIL("%s: %s", sql, duckdb->error(result));
	duckdb->destroy(result);
}

/* The first value that a query gives, as text. */
static void sql_check(struct duckdb *duckdb, const char *sql, const char *expected)
{
	uint64_t result[32] = { 0 };
	char *text;

	if (duckdb->query(duckdb->connection, sql, result) != 0)
		FAIL("%s: %s", sql, duckdb->error(result));
	text = duckdb->varchar(result, 0, 0);
	CHECK(text);
	CHECK_STR_EQ(text, expected);
	duckdb->free(text);
	duckdb->destroy(result);
}

/* Exports the stream and has it scanned once, whole: this way of scanning takes columns by their place, so it must ask for all of them. */
static void table_scan(struct duckdb *duckdb, const void *memory, uint64_t n_bytes)
{
	struct sea_arrow_reader *reader;
	struct ArrowArrayStream stream;
	int n_released = 0;

	CHECK_OK(sea_arrow_reader_new(&reader, memory, n_bytes, NULL));
	CHECK_OK(sea_arrow_export_stream(&reader, &stream, count, &n_released, NULL));
	CHECK_EQ(duckdb->scan(duckdb->connection, "scanned", &stream), 0);
	sql_run(duckdb, "create table sealed as select * from scanned");
	sql_run(duckdb, "drop view scanned");
	/* The stream stays ours, the arrays were DuckDB's: all of them are given back. */
	if (stream.release)
		stream.release(&stream);
	CHECK_EQ(n_released, 1);
}

TEST_TIMEOUT(scan, "DuckDB scans an exported stream, finds the values, and gives every array back", 60)
{
	struct duckdb duckdb = { 0 };
	uint64_t n_bytes;
	void *memory;

	duckdb_load(&duckdb);
	/* It has no floats of 16 bits. */
	memory = table_write_without("half", &n_bytes);
	CHECK_EQ(duckdb.open(NULL, &duckdb.database), 0);
	CHECK_EQ(duckdb.connect(duckdb.database, &duckdb.connection), 0);
	table_scan(&duckdb, memory, n_bytes);
	free(memory);
	sql_check(&duckdb, "select count(*)::varchar from sealed", "10");
	sql_check(&duckdb, "select sum(i8)::varchar || '/' || count(i8)::varchar from sealed", "-2/6");
	sql_check(&duckdb, "select string_agg(utf8, ',') from sealed where i8 <> 0",
	          "sealed,gr\xc3\xb6\xc3\x9f"
	          "er,sealed,gr\xc3\xb6\xc3\x9f"
	          "er");
	sql_check(&duckdb, "select string_agg(coalesce(dict, '-'), ',') from (select dict from sealed limit 5)",
	          "blue,-,red,-,green");
	sql_check(&duckdb, "select string_agg(coalesce(ree::varchar, '-'), ',') from (select ree from sealed limit 5)",
	          "100,100,-,7,7");
	sql_check(&duckdb, "select sum(len(list))::varchar from sealed", "10");
	sql_check(&duckdb, "select list(list)::varchar from (select list from sealed limit 5)",
	          "[[10, 20], NULL, [], NULL, [30, 40, 50]]");
	sql_check(&duckdb, "select list(fsl)::varchar from (select fsl from sealed limit 3)",
	          "[[0, 100], NULL, [400, 500]]");
	sql_check(&duckdb, "select max(struct)::varchar from sealed",
	          "{'x': 4.5, 'name': gr\xc3\xb6\xc3\x9f"
	          "er}");
	sql_check(&duckdb, "select sum(octet_length(fsb))::varchar from sealed", "384");
	sql_check(&duckdb, "select max(u64)::varchar from sealed", "18446744073709551488");
	sql_check(&duckdb, "select min(i64)::varchar from sealed", "-9223372036854775808");
	sql_check(&duckdb, "select epoch_ms(max(time))::varchar from sealed", "1700000000127");
	sql_check(&duckdb, "select max(large) from sealed", "sealed");
	duckdb.disconnect(&duckdb.connection);
	duckdb.close(&duckdb.database);
}
