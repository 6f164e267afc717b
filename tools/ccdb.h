/* SPDX-License-Identifier: Apache-2.0 */
/* What the words of `sealane ccdb` share: times, metadata, the remote and its errors. */
#ifndef SEALANE_TOOLS_CCDB_H
#define SEALANE_TOOLS_CCDB_H

#include <stdbool.h>
#include <stdint.h>

#include <sealane/ccdb/ccdb.h>

#include "options.h"

/* The end of validity where none is given: O2's idea of for ever. */
#define CCDB_FOR_EVER_MS INT64_C(9999999999999)
#define CCDB_TIME_N_BYTES 32

int ccdb_serve_main(int argc, char **argv);
int ccdb_put_main(int argc, char **argv);
int ccdb_get_main(int argc, char **argv);
int ccdb_ls_main(int argc, char **argv);
int ccdb_set_main(int argc, char **argv);
int ccdb_rm_main(int argc, char **argv);
int ccdb_truncate_main(int argc, char **argv);
int ccdb_import_main(int argc, char **argv);
int ccdb_gc_main(int argc, char **argv);
int ccdb_cache_main(int argc, char **argv);

/* Milliseconds, "now", or ISO 8601 (UTC where no zone is given): 2026-11-21, 2026-11-21T08:30, 2026-11-21T08:30:00.125+01:00. @return 0; -EINVAL */
int ccdb_time_parse(const char *text, int64_t *ret_ms);
/* As ISO 8601 in UTC, without what is zero; "-" where it is beyond the calendar. @return text */
char *ccdb_time_text(int64_t ms, char text[static CCDB_TIME_N_BYTES]);

/* What --at, --from, --until, --meta, --uuid, --not-before, --not-after have said. */
struct ccdb_target {
	struct sea_ccdb_address address;
	struct sea_ccdb_pair metadata[SEA_CCDB_METADATA_N_MAX];
	char *copies[SEA_CCDB_METADATA_N_MAX]; /* of the keys, which are cut */
};
void ccdb_target_fini(struct ccdb_target *target);

/* Read the value of the option that options_next() returned last. @return 0; -1, which has been said */
int ccdb_option_time(struct options *options, int64_t *ret_ms);
int ccdb_option_meta(struct options *options, struct ccdb_target *target);
/* How many arguments there have to be; names for the message. */
int ccdb_arguments(struct options *options, int n_min, int n_max, const char *names);

/* Opens the remote of a URL. @return NULL, which has been said */
struct sea_ccdb_remote *ccdb_remote(const char *command, const char *url);
/* Says what failed. @return COMMAND_FAILED */
int ccdb_failed(const char *command, const struct sea_error *error);

static inline void ccdb_cleanup_remote(struct sea_ccdb_remote **remote)
{
	sea_ccdb_remote_free(*remote);
}
static inline void ccdb_cleanup_answer(struct sea_ccdb_answer **answer)
{
	sea_ccdb_answer_free(*answer);
}
#define CCDB_AUTO_REMOTE __attribute__((cleanup(ccdb_cleanup_remote)))
#define CCDB_AUTO_ANSWER __attribute__((cleanup(ccdb_cleanup_answer)))
#define CCDB_AUTO_TARGET __attribute__((cleanup(ccdb_target_fini)))

#endif
