/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Version of the library and what it can do.
 *
 * Processes of different minor versions work together: the handshake carries a
 * range of wire versions and the newest common one is used.
 */
#ifndef SEALANE_VERSION_H
#define SEALANE_VERSION_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Major version of this header. */
#define SEA_VERSION_MAJOR 0
/** Minor version of this header. */
#define SEA_VERSION_MINOR 4
/** Patch level of this header. */
#define SEA_VERSION_PATCH 0
/** Version of this header as one number, 10000 * major + 100 * minor + patch. */
#define SEA_VERSION (10000 * SEA_VERSION_MAJOR + 100 * SEA_VERSION_MINOR + SEA_VERSION_PATCH)

/** The memfd transport with push, pull and pair. */
#define SEA_FEATURE_MEMFD (1u << 0)
/** Orphans: what a dead receiver had not released comes back to its sender. */
#define SEA_FEATURE_ORPHANS (1u << 1)
/** Frames whose memory the kernel seals against the producer as well. */
#define SEA_FEATURE_IMMUTABLE (1u << 2)

/** Metas: names of parts that travel by any road (meta.h). */
#define SEA_FEATURE_META (1u << 3)
/** Shared heaps, whose messages the only holder may change (SEA_PROTECTION_SHARED, SEA_TRANSPORT_SHMEM). */
#define SEA_FEATURE_SHMEM (1u << 4)

/** Regions: user-managed memory with release callbacks (region.h). */
#define SEA_FEATURE_REGIONS (1u << 5)
/** Request and reply, publish and subscribe (SEA_REQ, SEA_REP, SEA_PUB, SEA_SUB). */
#define SEA_FEATURE_PATTERNS (1u << 6)
/** Channels over libzmq (SEA_TRANSPORT_ZEROMQ), where libzmq.so.5 is there. */
#define SEA_FEATURE_ZEROMQ (1u << 7)
/** A poller over channels and descriptors (poller.h). */
#define SEA_FEATURE_POLLER (1u << 8)

/** Version of the library that is loaded, in the form of SEA_VERSION. Any thread. Since 0.1. */
unsigned sea_version(void);

/** What the loaded library can do: a set of SEA_FEATURE_ bits. Any thread. Since 0.1. */
uint64_t sea_features(void);

#ifdef __cplusplus
}
#endif
#endif
