/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session that does nothing by itself: its service thread is not started, so that the same input always does
 * the same, and everything happens in the calling thread. And a reader of the fuzzer's bytes.
 */
#ifndef SEALANE_FUZZ_H
#define SEALANE_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "memory/session.h"
#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

struct fuzz_input {
	const uint8_t *data;
	size_t n_bytes;
};

/* Copies the next bytes out; zeros where there are no more. */
void fuzz_take(struct fuzz_input *input, void *ret_bytes, size_t n_bytes);
uint8_t fuzz_take_u8(struct fuzz_input *input);
uint64_t fuzz_take_u64(struct fuzz_input *input);

/* The session of this process, made once, in $SEALANE_RUNTIME_DIR or the default one. */
struct sea_session *fuzz_session(void);

/*
 * A peer of it that has said hello, made of a socket pair: *ret_conn is the session's end, *ret_side the peer's record ring,
 * which the fuzzer may write. Returns the peer's socket.
 */
int fuzz_peer(uint64_t id, struct seai_conn **ret_conn, struct seai_side **ret_side);

/* Does what the service thread does about peers that have ended. */
void fuzz_bury(void);

/* A sealed memfd that stays mapped writable here. */
void *fuzz_memory(size_t n_bytes, int *ret_fd);

#define FUZZ_CHECK(condition) ((condition) ? (void)0 : __builtin_trap())

#endif
