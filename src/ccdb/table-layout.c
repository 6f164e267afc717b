/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of an object table, in the order in which they are written; a reader finds them by their names. */
#include "ccdb/table-layout.h"

const struct seai_object_field_layout seai_object_fields[SEAI_OBJECT_N_FIELDS] = {
	[SEAI_OBJECT_COLUMN] = { "column", "u" },
	[SEAI_OBJECT_PATH] = { "path", "u" },
	[SEAI_OBJECT_UUID] = { "uuid", "u" },
	[SEAI_OBJECT_VALID_FROM] = { "valid_from", "tsm:UTC" },
	[SEAI_OBJECT_VALID_UNTIL] = { "valid_until", "tsm:UTC" },
	[SEAI_OBJECT_CREATED] = { "created", "tsm:UTC" },
	[SEAI_OBJECT_SIZE] = { "size", "L" },
	[SEAI_OBJECT_STATUS] = { "status", "i" },
	[SEAI_OBJECT_PART] = { "part", "i" },
	[SEAI_OBJECT_META] = { "meta", "w:64" },
	[SEAI_OBJECT_HEADERS] = { "headers", "u" },
	[SEAI_OBJECT_REASON] = { "reason", "u" },
};
