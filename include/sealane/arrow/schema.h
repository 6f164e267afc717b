/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a table is made of: types, fields, schemas. All of it is plain data: a program that writes fills it in as it likes, static
 * arrays and string constants included, and the writer copies what it is given; a schema that was read belongs to its reader.
 *
 * A type is most easily named by its format string of the Arrow C Data Interface: see sea_arrow_type_parse().
 */
#ifndef SEALANE_ARROW_SCHEMA_H
#define SEALANE_ARROW_SCHEMA_H

#include <stddef.h>
#include <stdint.h>

#include <sealane/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Fields may stand in fields so deep. */
#define SEA_ARROW_DEPTH_MAX 64
/** A schema has at most so many fields, those within others included. */
#define SEA_ARROW_FIELDS_MAX 100000

/** The types of Arrow, by the numbers that they have in a stream. */
enum sea_arrow_type_id {
	SEA_ARROW_NONE = 0,               /**< no type */
	SEA_ARROW_NULL = 1,               /**< no values at all */
	SEA_ARROW_INT = 2,                /**< bits 8, 16, 32, 64; is_signed */
	SEA_ARROW_FLOAT = 3,              /**< bits 16, 32, 64 */
	SEA_ARROW_BINARY = 4,             /**< bytes of any number, offsets of 32 bits */
	SEA_ARROW_UTF8 = 5,               /**< text, offsets of 32 bits */
	SEA_ARROW_BOOL = 6,               /**< one bit each */
	SEA_ARROW_DECIMAL = 7,            /**< bits 32, 64, 128, 256; precision, scale */
	SEA_ARROW_DATE = 8,               /**< bits 32: days; bits 64: milliseconds; since 1970 */
	SEA_ARROW_TIME = 9,               /**< of the day; bits 32 (s, ms), 64 (us, ns); unit */
	SEA_ARROW_TIMESTAMP = 10,         /**< 64 bits since 1970; unit, timezone */
	SEA_ARROW_INTERVAL = 11,          /**< of the calendar; unit is enum sea_arrow_interval */
	SEA_ARROW_LIST = 12,              /**< one child: the items; offsets of 32 bits */
	SEA_ARROW_STRUCT = 13,            /**< children side by side */
	SEA_ARROW_UNION = 14,             /**< is_dense, type_ids; each row is of one child */
	SEA_ARROW_FIXED_SIZE_BINARY = 15, /**< size bytes each */
	SEA_ARROW_FIXED_SIZE_LIST = 16,   /**< size items each; one child */
	SEA_ARROW_MAP = 17,               /**< a list of pairs: one child, a struct of key and value; is_sorted */
	SEA_ARROW_DURATION = 18,          /**< 64 bits; unit */
	SEA_ARROW_LARGE_BINARY = 19,      /**< as BINARY, offsets of 64 bits */
	SEA_ARROW_LARGE_UTF8 = 20,        /**< as UTF8, offsets of 64 bits */
	SEA_ARROW_LARGE_LIST = 21,        /**< as LIST, offsets of 64 bits */
	SEA_ARROW_RUN_END_ENCODED = 22,   /**< two children: run ends (int16, int32, int64; not nullable) and values */
	SEA_ARROW_BINARY_VIEW = 23,       /**< bytes in any of several buffers; read only */
	SEA_ARROW_UTF8_VIEW = 24,         /**< text in any of several buffers; read only */
	SEA_ARROW_LIST_VIEW = 25,         /**< lists in any order; read only */
	SEA_ARROW_LARGE_LIST_VIEW = 26,   /**< the same, offsets of 64 bits; read only */
};

/** Of times of the day, timestamps, durations. */
enum sea_arrow_unit {
	SEA_ARROW_SECOND = 0,      /**< s */
	SEA_ARROW_MILLISECOND = 1, /**< ms */
	SEA_ARROW_MICROSECOND = 2, /**< us */
	SEA_ARROW_NANOSECOND = 3,  /**< ns */
};

/** Of intervals. */
enum sea_arrow_interval {
	SEA_ARROW_YEAR_MONTH = 0,     /**< int32: months */
	SEA_ARROW_DAY_TIME = 1,       /**< int32 days, int32 milliseconds */
	SEA_ARROW_MONTH_DAY_NANO = 2, /**< int32 months, int32 days, int64 nanoseconds */
};

/** A type. What a type does not use is 0. */
struct sea_arrow_type {
	enum sea_arrow_type_id id; /**< which members below count stands there */
	int bits;                  /**< width of a value in bits */
	int is_signed;             /**< of INT */
	int unit;                  /**< enum sea_arrow_unit, or enum sea_arrow_interval */
	int precision;             /**< of DECIMAL: digits */
	int scale;                 /**< of DECIMAL: digits behind the point; may be negative */
	int32_t size;              /**< of FIXED_SIZE_BINARY in bytes, of FIXED_SIZE_LIST in items */
	int is_dense;              /**< of UNION */
	int is_sorted;             /**< of MAP */
	const char *timezone;      /**< of TIMESTAMP: "UTC", "Europe/Zurich", "+02:00"; NULL for none */
	const int32_t *type_ids;   /**< of UNION: as many as children, each 0 to 127; NULL: 0, 1, 2, ... */
	size_t n_type_ids;         /**< 0 or the number of children */
};

/** A key and a value of a schema or field. */
struct sea_arrow_pair {
	const char *key;   /**< text */
	const char *value; /**< text or bytes; ends with a zero behind n_value where it was read */
	size_t n_value;    /**< bytes of value; 0: strlen(value) */
};

/** A field: one column of a table, or a part of one. */
struct sea_arrow_field {
	const char *name;           /**< "" where there is none; NULL is "" */
	struct sea_arrow_type type; /**< of the values, also where these stand in a dictionary */
	int is_nullable;            /**< whether there may be nulls */
	int index_bits;             /**< 8, 16, 32, 64: the column is indices into a dictionary; 0: it is not */
	int index_is_signed;        /**< of the indices */
	int is_ordered;             /**< the order of the dictionary means something */
	int64_t dictionary_id;      /**< which dictionary of the stream; several fields may share one */
	const struct sea_arrow_field *children; /**< n_children of them */
	size_t n_children;                      /**< as the type says */
	const struct sea_arrow_pair *metadata;  /**< n_metadata of them, in their order */
	size_t n_metadata;                      /**< 0: none */
};

/** A schema: the columns of a table. */
struct sea_arrow_schema {
	const struct sea_arrow_field *fields;  /**< n_fields of them */
	size_t n_fields;                       /**< may be 0 */
	const struct sea_arrow_pair *metadata; /**< n_metadata of them, in their order */
	size_t n_metadata;                     /**< 0: none */
};

/**
 * Reads a format string of the Arrow C Data Interface: "c" "s" "i" "l" int8 to int64, "C" "S" "I" "L" unsigned, "e" "f" "g" float16 to
 * float64, "b" bool, "n" null, "u" utf8, "z" binary, "U" "Z" large ones, "w:64" fixed-size binary, "tsm:UTC" timestamp in ms of UTC ("tss:",
 * "tsu:", "tsn:"), "tdD" "tdm" date, "tts" "ttm" "ttu" "ttn" time, "tDs" "tDm" "tDu" "tDn" duration, "tiM" "tiD" "tin" interval, "d:38,2"
 * decimal, "+s" struct, "+l" list, "+L" large list, "+w:3" fixed-size list, "+m" map, "+r" run-end encoded, "+ud:" "+us:" union, "vu" "vz"
 * "+vl" "+vL" views.
 * @param format must live as long as the type: a timezone is not copied
 * @return 0; -EINVAL no such format; -ENOTSUP a union whose type ids are not 0, 1, 2, ... Any thread. Since 0.4.
 */
int sea_arrow_type_parse(const char *format, struct sea_arrow_type *ret_type);

/**
 * Writes a type's format string.
 * @return its length; -EINVAL no such type; -E2BIG more than n_bytes with the zero at its end. Any thread. Since 0.4.
 */
int sea_arrow_type_format(const struct sea_arrow_type *type, char *format, size_t n_bytes);

/** Bits of one value of a type of fixed width, 1 for bool; 0 for all other types. Any thread. Since 0.4. */
int64_t sea_arrow_type_width(const struct sea_arrow_type *type);

/**
 * A field's type as a person writes it: "int32", "timestamp[ms, UTC]", "dictionary<int8, utf8>", "list<int32>", "struct<x: float64>".
 * @param text receives it, cut to fit, always terminated
 * @return text. Any thread. Since 0.4.
 */
char *sea_arrow_field_text(const struct sea_arrow_field *field, char *text, size_t n_bytes);

/**
 * Makes a nullable field without children and metadata.
 * @param name, format are not copied
 * @return as sea_arrow_type_parse(). Any thread. Since 0.4.
 */
int sea_arrow_field_init(struct sea_arrow_field *field, const char *name, const char *format);

/**
 * Finds a top-level field by name.
 * @return its index, of the first of that name; -ENOENT. Any thread. Since 0.4.
 */
int sea_arrow_schema_find(const struct sea_arrow_schema *schema, const char *name);

/** The value of a key of metadata, of the first of that name; NULL where there is none. Any thread. Since 0.4. */
const struct sea_arrow_pair *sea_arrow_pair_find(const struct sea_arrow_pair *metadata, size_t n_metadata,
                                                 const char *key);

/**
 * Whether a schema is one: each type complete, as many children as it needs, nothing too deep or too many, dictionaries shared by fields of
 * one type only.
 * @param error NULL, or receives what is wrong; its key is the path of the field: "a.item"
 * @return 0; -EINVAL it is not; -E2BIG too deep or too many. Any thread. Since 0.4.
 */
int sea_arrow_schema_check(const struct sea_arrow_schema *schema, struct sea_error *error);

#ifdef __cplusplus
}
#endif
#endif
