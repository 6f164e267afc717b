/* SPDX-License-Identifier: Apache-2.0 */
/* See pattern.h. */
#include "wire/pattern.h"

#include <sealane/channel.h>

bool seai_pattern_sends(uint32_t pattern)
{
	return pattern != SEA_PULL && pattern != SEA_SUB;
}

bool seai_pattern_receives(uint32_t pattern)
{
	return pattern != SEA_PUSH && pattern != SEA_PUB;
}

bool seai_patterns_fit(uint32_t ours, uint32_t theirs)
{
	static const uint32_t fitting[] = {
		[SEA_PUSH] = SEA_PULL, [SEA_PULL] = SEA_PUSH, [SEA_PAIR] = SEA_PAIR, [SEA_REQ] = SEA_REP,
		[SEA_REP] = SEA_REQ,   [SEA_PUB] = SEA_SUB,   [SEA_SUB] = SEA_PUB,
	};

	return ours < sizeof(fitting) / sizeof(fitting[0]) && fitting[ours] == theirs;
}

const char *seai_pattern_name(uint32_t pattern)
{
	static const char *const names[] = { "?",   "push", "pull", "pair", "req",    "rep",
		                             "pub", "sub",  "xpub", "xsub", "dealer", "router" };

	pattern &= ~SEAI_PATTERN_ZEROMQ;
	return names[pattern < sizeof(names) / sizeof(names[0]) ? pattern : 0];
}

const char *seai_pattern_transport(uint32_t pattern)
{
	return pattern & SEAI_PATTERN_ZEROMQ ? "over libzmq" : "over shared memory";
}
