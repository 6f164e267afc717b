/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ThreadSanitizer cannot see: an order that a library keeps which was not built with it. Nothing in other builds.
 */
#ifndef SEALANE_BASE_TSAN_H
#define SEALANE_BASE_TSAN_H

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
/* What this thread did up to here is before what another does after seai_tsan_acquire() of the same address. */
#define seai_tsan_release(address) __tsan_release(address)
#define seai_tsan_acquire(address) __tsan_acquire(address)
#else
#define seai_tsan_release(address) ((void)(address))
#define seai_tsan_acquire(address) ((void)(address))
#endif

#endif
