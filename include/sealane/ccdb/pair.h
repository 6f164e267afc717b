/* SPDX-License-Identifier: Apache-2.0 */
/* A key and its value: metadata of an object, headers of an answer. */
#ifndef SEALANE_CCDB_PAIR_H
#define SEALANE_CCDB_PAIR_H

#ifdef __cplusplus
extern "C" {
#endif

/** A key and its value; whoever has the pair owns the strings, or borrows them, as its function says. */
struct sea_ccdb_pair {
	const char *key;   /**< never NULL */
	const char *value; /**< never NULL, may be "" */
};

#ifdef __cplusplus
}
#endif
#endif
