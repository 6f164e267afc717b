/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the import share. */
#ifndef SEALANE_ARROW_IMPORT_H
#define SEALANE_ARROW_IMPORT_H

#include "arrow/reader.h"

/* Gives a new reader the schema of a foreign library, which is copied. @return 0 or an error of sea_arrow_import_stream(), set */
int seai_import_schema(struct sea_arrow_reader *reader, const struct ArrowSchema *schema, struct sea_error *error);

#endif
