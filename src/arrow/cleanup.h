/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ownership of locals, as in the core's base/cleanup.h, which this library does not see: every owning local is declared with its
 * cleanup and leaves the function by a take.
 */
#ifndef SEALANE_ARROW_CLEANUP_H
#define SEALANE_ARROW_CLEANUP_H

#include <stdlib.h>

#define SEAI_CLEANUP(function) __attribute__((cleanup(function)))

/* Moves a pointer out of a variable and leaves NULL behind. */
#define SEAI_TAKE(pointer)                              \
	({                                              \
		__typeof__(pointer) taken_ = (pointer); \
		(pointer) = NULL;                       \
		taken_;                                 \
	})

static inline void seai_cleanup_free(void *pointer_to_pointer)
{
	free(*(void **)pointer_to_pointer);
}

#define SEAI_AUTO_FREE SEAI_CLEANUP(seai_cleanup_free)

#endif
