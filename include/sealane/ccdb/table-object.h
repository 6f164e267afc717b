/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An object of a table: one version of the object of one column. It is a row of the table's object table; the rows of the index
 * table name it.
 *
 * A version's identity is its path and uuid. Never compare objects by the addresses of their bytes: memory is used again.
 */
#ifndef SEALANE_CCDB_TABLE_OBJECT_H
#define SEALANE_CCDB_TABLE_OBJECT_H

#include <stddef.h>
#include <stdint.h>

#include <sealane/meta.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What became of an object. Other numbers above 0 may come in later versions: none of them is an object. */
enum sea_table_status {
	SEA_TABLE_OK = 0,      /**< it is here */
	SEA_TABLE_MISSING = 1, /**< there is none of that path for that time */
	SEA_TABLE_FAILED = 2,  /**< it could not be fetched; the reason says why */
};

/** The object lies in none of the parts of the table's message. */
#define SEA_TABLE_NO_PART (-1)

/**
 * One version of the object of one column. Whoever writes a table fills it in; where it was read it belongs to its table, and is not
 * changed. Texts are never NULL where they were read; NULL is "" where they are written.
 */
struct sea_table_object {
	const void *data;       /**< its first byte, in place; NULL where there are none. Not looked at by a writer */
	uint64_t n_bytes;       /**< its size */
	const char *column;     /**< name of the column that it stands in */
	const char *path;       /**< where it came from */
	const char *uuid;       /**< which version: the server's ETag without quotes; "" if it is not here */
	const char *headers;    /**< of the server's answer, lines of "Name: value\n" */
	const char *reason;     /**< why it is not here, for a person */
	int64_t valid_from_ms;  /**< the first ms since 1970 at which it is valid */
	int64_t valid_until_ms; /**< the first ms at which it is not any more */
	int64_t created_ms;     /**< when it was made: of those that are valid the newest counts */
	int32_t status;         /**< enum sea_table_status */
	int32_t part;           /**< counted from the index table's, so 2 or more; or SEA_TABLE_NO_PART */
	/**
	 * The name of its bytes in shared memory, as whoever built the table has it: on another host, or after
	 * a way over libzmq, it names nothing. Zeros where status is not 0, but its hint: that is the row.
	 */
	struct sea_meta meta;
	uint32_t row;   /**< of the object table: the number that indices are of. Not looked at by a writer */
	uint32_t index; /**< of the column. Not looked at by a writer */
	void *slot;     /**< the table's own: what a decoder knows of it. Not looked at by a writer */
};

#ifdef __cplusplus
}
#endif
#endif
