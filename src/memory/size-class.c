/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes of the classes; see size-class.h. A table for slabs; runs are arithmetic. */
#include "memory/size-class.h"

const uint16_t seai_class_slab_n_bytes[SEAI_CLASS_N_SLAB] = {
	64,   128,  192,  256,  320,  384,  448,  512,  640,  768,  896,  1024, 1280,  1536,  1792,  2048,  2560,
	3072, 3584, 4096, 4352, 4672, 4992, 5440, 5952, 6528, 7232, 8192, 9344, 10880, 13056, 16384, 21824, 32768,
};
