/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Properties: the configuration of a device as a store of typed values by key, which a controller may change while it runs.
 *
 *	sea_properties_set_int(properties, "chans.data.0.sndBufSize", 10);
 *	sea_properties_get_int(properties, "chans.data.0.sndBufSize", &n);
 *	sea_properties_parse(properties, "chans.data.0.sndBufSize", "20", NULL);
 *
 * Values are copied in and out. Every call may come from any thread. Not for a hot path: each takes a lock.
 */
#ifndef SEALANE_DEVICE_PROPERTIES_H
#define SEALANE_DEVICE_PROPERTIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sea_properties;

/** Types of values. Integers of FairMQ's other widths are one of the two that hold them; docs/device-options.md has the list. */
enum sea_value_type {
	SEA_VALUE_NONE = 0,          /**< no value; where a type is asked for: any */
	SEA_VALUE_BOOL = 1,          /**< true or false */
	SEA_VALUE_INT = 2,           /**< int64_t */
	SEA_VALUE_UINT = 3,          /**< uint64_t */
	SEA_VALUE_DOUBLE = 4,        /**< double */
	SEA_VALUE_STRING = 5,        /**< a string, terminated */
	SEA_VALUE_BOOL_ARRAY = 6,    /**< an array of bool */
	SEA_VALUE_INT_ARRAY = 7,     /**< an array of int64_t */
	SEA_VALUE_UINT_ARRAY = 8,    /**< an array of uint64_t */
	SEA_VALUE_DOUBLE_ARRAY = 9,  /**< an array of double */
	SEA_VALUE_STRING_ARRAY = 10, /**< an array of strings */
	SEA_VALUE_AS_STRING = 11,    /**< for subscriptions only: every type, as a string */
};

/** A value. What it points to belongs to whoever made it. */
struct sea_value {
	enum sea_value_type type; /**< which member of as is meant */
	uint32_t reserved;        /**< 0 */
	uint64_t n_items;         /**< of an array; else 0 */
	/** The value. */
	union {
		bool boolean;               /**< SEA_VALUE_BOOL */
		int64_t integer;            /**< SEA_VALUE_INT */
		uint64_t uinteger;          /**< SEA_VALUE_UINT */
		double real;                /**< SEA_VALUE_DOUBLE */
		const char *string;         /**< SEA_VALUE_STRING */
		const bool *booleans;       /**< SEA_VALUE_BOOL_ARRAY */
		const int64_t *integers;    /**< SEA_VALUE_INT_ARRAY */
		const uint64_t *uintegers;  /**< SEA_VALUE_UINT_ARRAY */
		const double *reals;        /**< SEA_VALUE_DOUBLE_ARRAY */
		const char *const *strings; /**< SEA_VALUE_STRING_ARRAY */
	} as;
};

/** One property of a bulk update. */
struct sea_property {
	const char *key;        /**< its key */
	struct sea_value value; /**< its new value */
};

/**
 * Is told of a change, or of a match of a query. Called without the lock, on the thread that set or asked: it may call this API.
 * @param value borrowed until the return
 * @param origin where the value comes from, borrowed until the return
 */
typedef void (*sea_property_fn)(const char *key, const struct sea_value *value, const char *origin, void *userdata);

/** The name of a type: "bool", "int64", "uint64", "double", "string", "bool[]" and so on; "none". Any thread. Since 0.3. */
const char *sea_value_type_name(enum sea_value_type type);

/**
 * A value as text: numbers in decimal, true and false, arrays with ", " in between.
 * @param text receives it, cut to fit, always terminated if n_bytes is not 0
 * @return how many bytes it has without the end; more than fit where it was cut. Any thread. Since 0.3.
 */
size_t sea_value_text(const struct sea_value *value, char *text, size_t n_bytes);

/**
 * Makes an empty store.
 * @param ret_properties receives it; the caller frees it
 * @return 0; -ENOMEM. Any thread. Since 0.3.
 */
int sea_properties_new(struct sea_properties **ret_properties);

/** Frees a store, which nobody may be using. @param properties NULL is allowed. @return NULL. Since 0.3. */
struct sea_properties *sea_properties_free(struct sea_properties *properties);

/**
 * Sets a property; it is created where it is missing, and may change its type. Subscribers are told before the return.
 * @param key 1 to 255 bytes
 * @param value copied
 * @param origin where it comes from, for people: "default", "FILE:LINE", "command line", "environment NAME"; NULL: "set at run time"
 * @return 0; -EINVAL a bad key, or a value of no type; -ENOMEM. Any thread. Since 0.3.
 */
int sea_properties_set(struct sea_properties *properties, const char *key, const struct sea_value *value,
                       const char *origin);

/** sea_properties_set() of a truth value, set at run time. Since 0.3. */
int sea_properties_set_bool(struct sea_properties *properties, const char *key, bool value);
/** sea_properties_set() of a signed number, set at run time. Since 0.3. */
int sea_properties_set_int(struct sea_properties *properties, const char *key, int64_t value);
/** sea_properties_set() of an unsigned number, set at run time. Since 0.3. */
int sea_properties_set_uint(struct sea_properties *properties, const char *key, uint64_t value);
/** sea_properties_set() of a real number, set at run time. Since 0.3. */
int sea_properties_set_double(struct sea_properties *properties, const char *key, double value);
/** sea_properties_set() of a string, set at run time. Since 0.3. */
int sea_properties_set_string(struct sea_properties *properties, const char *key, const char *value);

/**
 * Sets a property that is there, to a value of its type.
 * @return 0; -ENOENT it is not there; -EPROTOTYPE it is of another type; else as sea_properties_set(). Any thread. Since 0.3.
 */
int sea_properties_update(struct sea_properties *properties, const char *key, const struct sea_value *value,
                          const char *origin);

/**
 * Sets many properties that are there, all or none: nobody sees some of them new and others old.
 * @param ret_i receives which one was wrong; NULL: not wanted
 * @return 0; -ENOENT, -EPROTOTYPE as sea_properties_update(): nothing was changed. Any thread. Since 0.3.
 */
int sea_properties_update_many(struct sea_properties *properties, const struct sea_property *changes, size_t n_changes,
                               const char *origin, size_t *ret_i);

/**
 * Sets a property that is there from text, read as its type: as of sea_value_text(); arrays also without the blank.
 * @return 0; -ENOENT it is not there; -EINVAL the text is not of its type; -ERANGE a number that does not fit; -ENOMEM.
 *         Any thread. Since 0.3.
 */
int sea_properties_parse(struct sea_properties *properties, const char *key, const char *text, const char *origin);

/**
 * Reads a property.
 * @param ret_value receives a copy, in one piece: free(*ret_value)
 * @return 0; -ENOENT it is not there; -ENOMEM. Any thread. Since 0.3.
 */
int sea_properties_get(struct sea_properties *properties, const char *key, struct sea_value **ret_value);

/** The type of a property; SEA_VALUE_NONE: it is not there. Any thread. Since 0.3. */
enum sea_value_type sea_properties_type(struct sea_properties *properties, const char *key);

/** Reads a truth value. @return 0; -ENOENT; -EPROTOTYPE it is of another type. Any thread. Since 0.3. */
int sea_properties_get_bool(struct sea_properties *properties, const char *key, bool *ret_value);
/** Reads a number, signed or not. @return 0; -ENOENT; -EPROTOTYPE it is no integer; -ERANGE it does not fit. Since 0.3. */
int sea_properties_get_int(struct sea_properties *properties, const char *key, int64_t *ret_value);
/** Reads a number, signed or not. @return 0; -ENOENT; -EPROTOTYPE it is no integer; -ERANGE it does not fit. Since 0.3. */
int sea_properties_get_uint(struct sea_properties *properties, const char *key, uint64_t *ret_value);
/** Reads a real number, or an integer as one. @return 0; -ENOENT; -EPROTOTYPE it is no number. Any thread. Since 0.3. */
int sea_properties_get_double(struct sea_properties *properties, const char *key, double *ret_value);
/**
 * Reads a string.
 * @param ret_value receives a copy: free(*ret_value)
 * @return 0; -ENOENT; -EPROTOTYPE it is no string; -ENOMEM. Any thread. Since 0.3.
 */
int sea_properties_get_string(struct sea_properties *properties, const char *key, char **ret_value);

/** Reads a truth value. @return it, or otherwise where it is not there or of another type. Any thread. Since 0.3. */
bool sea_properties_bool_or(struct sea_properties *properties, const char *key, bool otherwise);
/** Reads a number. @return it, or otherwise where it is not there, no integer, or does not fit. Any thread. Since 0.3. */
int64_t sea_properties_int_or(struct sea_properties *properties, const char *key, int64_t otherwise);
/** Reads a number. @return it, or otherwise where it is not there, no integer, or does not fit. Any thread. Since 0.3. */
uint64_t sea_properties_uint_or(struct sea_properties *properties, const char *key, uint64_t otherwise);
/** Reads a real number. @return it, or otherwise where it is not there or no number. Any thread. Since 0.3. */
double sea_properties_double_or(struct sea_properties *properties, const char *key, double otherwise);
/**
 * Reads a string.
 * @return a copy of it, or of otherwise where it is not there or no string: free() it. NULL: no memory, or otherwise is NULL. Since 0.3.
 */
char *sea_properties_string_or(struct sea_properties *properties, const char *key, const char *otherwise);

/**
 * A property of any type as text, as sea_value_text().
 * @return how many bytes it has without the end; -ENOENT it is not there. Any thread. Since 0.3.
 */
int sea_properties_get_text(struct sea_properties *properties, const char *key, char *text, size_t n_bytes);

/**
 * Where the value of a property comes from.
 * @param text receives it, cut to fit
 * @return how many bytes it has without the end; -ENOENT it is not there. Any thread. Since 0.3.
 */
int sea_properties_origin(struct sea_properties *properties, const char *key, char *text, size_t n_bytes);

/** Removes a property. Nobody is told. @return 0; -ENOENT it is not there. Any thread. Since 0.3. */
int sea_properties_delete(struct sea_properties *properties, const char *key);

/**
 * Calls function for each property whose key starts with prefix, in the order of keys, as they all were at one moment.
 * @param prefix NULL or "": all
 * @return how many; -ENOMEM. Any thread. Since 0.3.
 */
int sea_properties_list(struct sea_properties *properties, const char *prefix, sea_property_fn function,
                        void *userdata);

/**
 * Calls function for each property whose whole key matches a POSIX extended regular expression, in the order of keys.
 * @return how many; -EINVAL not a regular expression; -ENOMEM. Any thread. Since 0.3.
 */
int sea_properties_match(struct sea_properties *properties, const char *regex, sea_property_fn function,
                         void *userdata);

/**
 * Has function called for each property of a type that is set or updated, from now on. There is one subscription per (who, type):
 * another one replaces it.
 * @param who a name for the subscriber
 * @param type SEA_VALUE_NONE: any; SEA_VALUE_AS_STRING: any, and the value passed is a string
 * @return 0; -EINVAL; -ENOMEM. Any thread. Since 0.3.
 */
int sea_properties_subscribe(struct sea_properties *properties, const char *who, enum sea_value_type type,
                             sea_property_fn function, void *userdata);

/**
 * Ends a subscription. When it returns its function does not run any more, unless the call was made by a function of a subscription.
 * @return 0; -ENOENT there was none. Any thread. Since 0.3.
 */
int sea_properties_unsubscribe(struct sea_properties *properties, const char *who, enum sea_value_type type);

#ifdef __cplusplus
}
#endif
#endif
