/* SPDX-License-Identifier: Apache-2.0 */
/* What a table remembers of the decoders that were asked for one of its objects. */
#ifndef SEALANE_CCDB_DECODER_H_INTERNAL
#define SEALANE_CCDB_DECODER_H_INTERNAL

#include <sealane/ccdb/decoder.h>

#include <stdatomic.h>

struct seai_decoder_pin;

/* A list that only grows, until the table's close. All zero is an empty one. */
struct seai_decoder_pins {
	_Atomic(struct seai_decoder_pin *) first;
};

/* Gives back all that a table holds of an object. */
void seai_decoder_unpin(struct seai_decoder_pins *pins);

#endif
