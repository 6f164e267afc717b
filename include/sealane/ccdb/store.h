/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store of conditions data: a folder with an SQLite index and the contents of the objects as files by their hash.
 *
 * Each object stands under a path, is valid in [valid from, valid until) and was created at a moment; all times are milliseconds
 * since 1970. Of the objects that are valid at a time, the one created last is the match. Within a path no two objects are
 * created in the same millisecond: who comes second, or comes while the clock stands or steps back, is created one millisecond
 * after the newest there is. So the order of creation is the order in which the index took them.
 *
 * Several processes may use one folder, also at once. What a process killed at any instruction leaves behind is a temporary file,
 * which the next one that opens the store proves dead and removes, and a content that nothing names, which
 * sea_ccdb_store_gc() removes. An object is there when its row is, and that is after its content is on the disk.
 *
 * Threads: a store from any number of threads at once; an upload from one at a time. Not across a fork.
 */
#ifndef SEALANE_CCDB_STORE_H
#define SEALANE_CCDB_STORE_H

#include <stddef.h>
#include <stdint.h>

#include <sealane/ccdb/pair.h>
#include <sealane/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sea_ccdb_store;
struct sea_ccdb_upload;

/** Bytes of a uuid as text, its terminating zero included. */
#define SEA_CCDB_STORE_UUID_N_BYTES 37
/** Bytes of an MD5 as hexadecimal text, its terminating zero included. */
#define SEA_CCDB_MD5_N_BYTES 33
/** Most bytes of a path. */
#define SEA_CCDB_PATH_N_MAX 1024
/** Most elements of a path. */
#define SEA_CCDB_PATH_N_ELEMENTS_MAX 10
/** Most pairs of metadata of an object. */
#define SEA_CCDB_METADATA_N_MAX 64
/** Most bytes of all keys and values of an object together. */
#define SEA_CCDB_METADATA_N_BYTES_MAX 8192
/** The latest time there is: 4 January 3000 or so, far beyond what O2 asks with. */
#define SEA_CCDB_TIME_MAX_MS INT64_C(32503680000000)

/** How to open a store. All zero is a good start; unset members must be zero. */
struct sea_ccdb_store_options {
	int read_only; /**< 1: the folder has to be there, and nothing is changed in it */
	int no_sync; /**< 1: do not wait for the disk, for stores that may be lost with the machine (never with a process) */
	uint64_t reserved[6]; /**< must be 0 */
};

/** An object: what the index knows about it. */
struct sea_ccdb_entry {
	const char *path;                       /**< without slashes at its ends */
	char uuid[SEA_CCDB_STORE_UUID_N_BYTES]; /**< lower case */
	char md5[SEA_CCDB_MD5_N_BYTES];         /**< of the content, lower case */
	int64_t created_ms;                     /**< unique in the path */
	int64_t modified_ms;                    /**< when metadata or validity were changed last; at first created_ms */
	int64_t valid_from_ms;                  /**< inclusive */
	int64_t valid_until_ms;                 /**< exclusive */
	int64_t initial_until_ms;               /**< what valid_until_ms was at first */
	int64_t cache_valid_until_ms;           /**< see sea_ccdb_store_match(); elsewhere valid_until_ms */
	uint64_t n_bytes;                       /**< of the content */
	const char *file_name;                  /**< as uploaded; never NULL */
	const char *content_type;               /**< as uploaded; never NULL */
	const char *uploaded_from;              /**< an address; never NULL, may be "" */
	const char *content;                    /**< name of the content within the store */
	const struct sea_ccdb_pair *metadata;   /**< in the order in which it was given */
	size_t n_metadata;                      /**< pairs of it */
};

/** What to look for. */
struct sea_ccdb_store_query {
	const char *path; /**< for the calls that say so a pattern, else exact; NULL or "" in a pattern: everything */
	int has_time;     /**< 1: time_ms counts */
	int64_t time_ms;  /**< at which the object is valid */
	const char *uuid; /**< NULL: any. Without regard to case */
	const struct sea_ccdb_pair *metadata; /**< all of these the object must have, with these values */
	size_t n_metadata;                    /**< pairs of it */
	int64_t not_before_ms;                /**< created then or later; 0: whenever */
	int64_t not_after_ms;                 /**< created then or earlier; 0: whenever */
	uint64_t reserved[4];                 /**< must be 0 */
};

/** A new object. */
struct sea_ccdb_put {
	const char *path;       /**< 1 to 10 elements, none of digits only, no key=value */
	int64_t valid_from_ms;  /**< 0 to SEA_CCDB_TIME_MAX_MS */
	int64_t valid_until_ms; /**< larger than that */
	const struct sea_ccdb_pair *
		metadata; /**< keys are tokens of HTTP, and none of the object's other headers; values without control characters */
	size_t n_metadata;         /**< pairs of it */
	const char *uuid;          /**< NULL: a new one, time-based */
	const char *file_name;     /**< NULL: "data" */
	const char *content_type;  /**< NULL: application/octet-stream */
	const char *uploaded_from; /**< NULL: "" */
	int64_t created_ms;        /**< 0: now. Else then, or the next free millisecond of the path */
	const void *data;          /**< for sea_ccdb_store_put() and put_many() */
	size_t n_bytes;            /**< of it */
	uint64_t reserved[4];      /**< must be 0 */
};

/** What sea_ccdb_store_gc() found. */
struct sea_ccdb_gc {
	uint64_t n_contents;      /**< files that are kept */
	uint64_t n_removed;       /**< files that nothing named */
	uint64_t n_bytes_removed; /**< of those */
};

/** What sea_ccdb_store_total() counts. */
struct sea_ccdb_total {
	uint64_t n_paths;   /**< with at least one object */
	uint64_t n_objects; /**< of them */
	uint64_t n_bytes;   /**< of their contents, each object's counted */
};

/**
 * Opens the store in a folder, which is made where it does not exist, unless read_only is set. Removes what dead processes left in its folder of
 * temporary files.
 *
 * @param ret_store receives it
 * @param options NULL for the defaults
 * @param error may be NULL
 * @return 0; -EINVAL a reserved member that is not 0; -ENOENT read_only and there is none; -ENOTDIR it is no folder; -EACCES, -ENOSPC, -EMFILE from
 *         the file system; -EPROTO its index was made by a newer version; -EBADMSG its index is no index of ours, or damaged; -ENOMEM. Since 0.4.
 */
int sea_ccdb_store_open(struct sea_ccdb_store **ret_store, const char *directory,
                        const struct sea_ccdb_store_options *options, struct sea_error *error);

/** Closes it; no other thread may use it any more, uploads have to be freed before. NULL is allowed. @return NULL. Since 0.4. */
struct sea_ccdb_store *sea_ccdb_store_close(struct sea_ccdb_store *store);

/**
 * The object that is valid at a time: of all that fit the query the one created last.
 *
 * The entry's cache_valid_until_ms says until when (exclusive) the same query with a later time is answered by the same object, as long as nothing is
 * uploaded: the smaller of its valid_until_ms and the first valid_from_ms after the query's time of an object that fits and was created later.
 *
 * @param query path is exact, has_time has to be set
 * @param ret_entry receives it; the caller frees it
 * @return 0; -ENOENT nothing fits; -EINVAL no path or no time; -EBADMSG the index is damaged; -EBUSY another process holds the index for more
 *         than ten seconds; -ENOMEM, -EIO. Since 0.4.
 */
int sea_ccdb_store_match(struct sea_ccdb_store *store, const struct sea_ccdb_store_query *query,
                         struct sea_ccdb_entry **ret_entry);

/** The object of a uuid. @return as sea_ccdb_store_match(); -EINVAL it is no uuid. Since 0.4. */
int sea_ccdb_store_find(struct sea_ccdb_store *store, const char *uuid, struct sea_ccdb_entry **ret_entry);

/**
 * Opens the content of an object for reading; a later removal of the object does not disturb who has it open.
 * @return a descriptor; -ENOENT the object was removed in the meantime; -EBADMSG the file is not of the length that the index has; -EACCES,
 *         -EMFILE, -ENFILE, -EIO. Since 0.4.
 */
int sea_ccdb_store_open_content(struct sea_ccdb_store *store, const struct sea_ccdb_entry *entry);

/** Called for each object, newest first in each path, paths in order; the entry is borrowed. Must not call the store. @return 0 goes on, anything else ends the listing and is returned */
typedef int sea_ccdb_entry_fn(const struct sea_ccdb_entry *entry, void *userdata);

/**
 * Lists objects.
 *
 * A pattern is a path in which `*`, `%` and `.*` stand for any characters, slashes included; without any of these it is exact.
 *
 * @param query path is a pattern; time and everything else are optional
 * @param latest 1: of each path only the newest that fits
 * @param n_max 0: all
 * @return how many there were; what the callback returned; errors as of sea_ccdb_store_match(). Since 0.4.
 */
int64_t sea_ccdb_store_list(struct sea_ccdb_store *store, const struct sea_ccdb_store_query *query, int latest,
                            uint64_t n_max, sea_ccdb_entry_fn *function, void *userdata);

/** A folder directly below a path: what is in it itself, and in all below it. */
struct sea_ccdb_folder {
	const char *name;       /**< its whole path */
	uint64_t n_own;         /**< objects in it itself */
	uint64_t n_bytes_own;   /**< of those */
	uint64_t n_below;       /**< objects in folders below it */
	uint64_t n_bytes_below; /**< of those */
};

/** Called for each folder, in order; it is borrowed. Must not call the store. @return 0 goes on, anything else ends it and is returned */
typedef int sea_ccdb_folder_fn(const struct sea_ccdb_folder *folder, void *userdata);

/**
 * Lists the folders directly below a path.
 * @param path exact; NULL or "": the top. With a wildcard there are none
 * @param sizes 1: counts what is in them, else the numbers are 0
 * @return how many there were; what the callback returned; errors as of sea_ccdb_store_match(). Since 0.4.
 */
int64_t sea_ccdb_store_folders(struct sea_ccdb_store *store, const char *path, int sizes, sea_ccdb_folder_fn *function,
                               void *userdata);

/** Counts everything. @return 0; errors as of sea_ccdb_store_match(). Since 0.4. */
int sea_ccdb_store_total(struct sea_ccdb_store *store, struct sea_ccdb_total *ret_total);

/**
 * Begins an upload: bytes go to a temporary file, in constant memory.
 * @param n_bytes_max more are refused by sea_ccdb_upload_write(); 0: no limit
 * @param ret_upload receives it; the caller frees it
 * @return 0; -EROFS the store is read-only; -ENOSPC, -EACCES, -EMFILE, -EIO, -ENOMEM. Since 0.4.
 */
int sea_ccdb_upload_new(struct sea_ccdb_upload **ret_upload, struct sea_ccdb_store *store, uint64_t n_bytes_max);

/** Adds bytes. @return 0; -E2BIG more than the limit; -ENOSPC, -EDQUOT, -EIO from the disk. After an error it can only be freed. Since 0.4. */
int sea_ccdb_upload_write(struct sea_ccdb_upload *upload, const void *data, size_t n_bytes);

/**
 * Makes the object: its content goes to the disk and into its place, then its row into the index. When this returns 0, everybody sees it, and it is
 * there after a loss of power as well.
 *
 * @param put data and n_bytes are not looked at
 * @param ret_entry receives the object, may be NULL; the caller frees it
 * @param error may be NULL
 * @return 0; -EINVAL a path, time, metadata or uuid that is not allowed, which the error names; -EEXIST an object of that uuid is there;
 *         -ENOSPC, -EIO, -ENOMEM; errors of the index as of sea_ccdb_store_match(). Since 0.4.
 */
int sea_ccdb_upload_commit(struct sea_ccdb_upload *upload, const struct sea_ccdb_put *put,
                           struct sea_ccdb_entry **ret_entry, struct sea_error *error);

/** Ends an upload; what was not committed is gone. NULL is allowed. @return NULL. Since 0.4. */
struct sea_ccdb_upload *sea_ccdb_upload_free(struct sea_ccdb_upload *upload);

/** New, write and commit in one. @return as those. Since 0.4. */
int sea_ccdb_store_put(struct sea_ccdb_store *store, const struct sea_ccdb_put *put, struct sea_ccdb_entry **ret_entry,
                       struct sea_error *error);

/**
 * Puts many objects in one transaction: all of them, or none.
 * @return 0; else as sea_ccdb_store_put(), with the index of the object in the error's key. Since 0.4.
 */
int sea_ccdb_store_put_many(struct sea_ccdb_store *store, const struct sea_ccdb_put *puts, size_t n_puts,
                            struct sea_error *error);

/**
 * Changes the match of a query: its end of validity, its metadata, or both.
 *
 * @param query as for sea_ccdb_store_match()
 * @param valid_until_ms -1: stays. Else larger than its valid_from_ms
 * @param metadata these keys get these values; others stay. A key with the value "" is removed
 * @param ret_entry receives the object as it is now, may be NULL; the caller frees it
 * @param error may be NULL
 * @return 1; 0 it was so already; -ENOENT nothing fits; -EINVAL not allowed, see the error; -EROFS; errors of the index as of sea_ccdb_store_match(). Since 0.4.
 */
int sea_ccdb_store_update(struct sea_ccdb_store *store, const struct sea_ccdb_store_query *query,
                          int64_t valid_until_ms, const struct sea_ccdb_pair *metadata, size_t n_metadata,
                          struct sea_ccdb_entry **ret_entry, struct sea_error *error);

/** Removes the match of a query. @return 0; -ENOENT nothing fits; -EROFS; errors as of sea_ccdb_store_match(). Since 0.4. */
int sea_ccdb_store_remove(struct sea_ccdb_store *store, const struct sea_ccdb_store_query *query);

/** Removes all objects that sea_ccdb_store_list() would list. @return how many; -EINVAL an empty pattern; else as sea_ccdb_store_remove(). Since 0.4. */
int64_t sea_ccdb_store_truncate(struct sea_ccdb_store *store, const struct sea_ccdb_store_query *query);

/**
 * Removes contents that no object names. Waits for uploads that are being committed, and they wait for it.
 * @param ret_gc receives what it did, may be NULL
 * @return 0; -EROFS; -EIO, -ENOMEM; errors of the index as of sea_ccdb_store_match(). Since 0.4.
 */
int sea_ccdb_store_gc(struct sea_ccdb_store *store, struct sea_ccdb_gc *ret_gc);

/** Frees an entry. NULL is allowed. @return NULL. Since 0.4. */
struct sea_ccdb_entry *sea_ccdb_entry_free(struct sea_ccdb_entry *entry);

/** The value of a key in an entry's metadata. @return NULL where it has none; borrowed. Since 0.4. */
const char *sea_ccdb_entry_get(const struct sea_ccdb_entry *entry, const char *key);

#ifdef __cplusplus
}
#endif
#endif
