/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns of channels, as the wire sees them: enum sea_pattern, with a flag of ours. */
#ifndef SEALANE_WIRE_PATTERN_H
#define SEALANE_WIRE_PATTERN_H

#include <stdbool.h>
#include <stdint.h>

/* With a pattern, also in OPEN: the channel is over libzmq. */
#define SEAI_PATTERN_ZEROMQ 0x100u

/* "push"; "?". */
const char *seai_pattern_name(uint32_t pattern);
/* "over shared memory". */
const char *seai_pattern_transport(uint32_t pattern);
bool seai_pattern_sends(uint32_t pattern);
bool seai_pattern_receives(uint32_t pattern);
/* Whether channels of the two can be linked. */
bool seai_patterns_fit(uint32_t ours, uint32_t theirs);

#endif
