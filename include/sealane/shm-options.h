/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FairMQ's options for shared memory, by FairMQ's names, so that command lines and files made for its `shmem` transport go on
 * working. docs/shm-options.md says of each: honoured, accepted without effect, refused.
 *
 *	struct sea_shm_options shm = { 0 };
 *	sea_shm_option_set(&shm, "shm-segment-size", "2000000000", text, sizeof(text));
 *	sea_shm_options_apply(&shm, &session_options, NULL);
 *	sea_session_open(&session, &session_options);
 *	sea_shm_options_get_heap(&shm, session, &heap);
 *	sea_message_new(&message, heap, n_bytes, 0, sea_shm_options_timeout_ns(&shm));
 */
#ifndef SEALANE_SHM_OPTIONS_H
#define SEALANE_SHM_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sea_session;
struct sea_session_options;
struct sea_heap;
struct sea_heap_options;

/** What was said by options. All zero: nothing was. Set by sea_shm_option_set(); read it as you like. */
struct sea_shm_options {
	uint64_t segment_n_bytes;              /**< shm-segment-size; 0: the default */
	uint64_t session_quota_n_bytes;        /**< session-quota; 0: none */
	int64_t bad_alloc_max_attempts;        /**< -1: for ever; 0 is the same as 1 */
	int64_t bad_alloc_attempt_interval_ms; /**< 0: 50 */
	uint32_t segment_id;                   /**< shm-segment-id */
	uint32_t heap_flags;                   /**< SEA_HEAP_ bits */
	uint32_t never_fails;                  /**< 1: shm-throw-bad-alloc false */
	uint32_t transport;                    /**< enum sea_transport, as the option transport says */
	uint32_t as;                           /**< shm-as: 0 not given, else 1 + enum sea_transport */
	uint32_t reserved_32;                  /**< 0 */
	char session[65];                      /**< session, or made of shmid; empty: not given */
	char shmid[40];                        /**< made of shmid: it wins over session; empty: not given */
	char segment_name[64];                 /**< shm-segment-name; empty: not given */
	uint64_t reserved[8];                  /**< 0 */
};

/**
 * Sets one option.
 *
 * @param name FairMQ's name, without the dashes
 * @param value its value, as on a command line
 * @param ret_message receives a line for people: what has no effect, what is wrong, what to use instead; empty where there is
 *        nothing to say
 * @param n_bytes room in ret_message; 0 with NULL
 * @return 0 it is honoured; 1 it is accepted without effect; -ENOTSUP it is refused; -EINVAL the value is malformed;
 *         -ENOENT no option of that name. Any thread, one at a time per options. Since 0.2.
 */
int sea_shm_option_set(struct sea_shm_options *options, const char *name, const char *value, char *ret_message,
                       size_t n_bytes);

/** The name of option number i, or NULL behind the last. Any thread. Since 0.2. */
const char *sea_shm_option_name(size_t i);

/**
 * Writes what was set into the options of a session and of a heap; what was not set stays as it is.
 *
 * @param session NULL: not wanted. It borrows strings of options, which must stay until the session is open
 * @param heap NULL: not wanted. It borrows as well, until the heap is made
 * Any thread. Since 0.2.
 */
void sea_shm_options_apply(const struct sea_shm_options *options, struct sea_session_options *session,
                           struct sea_heap_options *heap);

/**
 * The heap with shm-segment-id of this process: the session's own for id 0 if nothing else was asked of it, else one that is made
 * at the first call. The session frees it.
 *
 * @param ret_heap receives the heap, borrowed
 * @return 0, or an error of sea_heap_new(). Any thread, one at a time. Since 0.2.
 */
int sea_shm_options_get_heap(const struct sea_shm_options *options, struct sea_session *session,
                             struct sea_heap **ret_heap);

/**
 * How long an allocation may wait: attempts times interval less one, where FairMQ sleeps between tries and this library is woken by the
 * release; 0 as FairMQ's default: fail at once; -1 for ever.
 * @return ns, as timeouts of this library. Any thread. Since 0.2.
 */
int64_t sea_shm_options_timeout_ns(const struct sea_shm_options *options);

#ifdef __cplusplus
}
#endif
#endif
