/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of an object table, for those who write and read it; docs/calibration-tables.md says what they mean. */
#ifndef SEALANE_CCDB_TABLE_LAYOUT_H
#define SEALANE_CCDB_TABLE_LAYOUT_H

enum seai_object_field {
	SEAI_OBJECT_COLUMN,
	SEAI_OBJECT_PATH,
	SEAI_OBJECT_UUID,
	SEAI_OBJECT_VALID_FROM,
	SEAI_OBJECT_VALID_UNTIL,
	SEAI_OBJECT_CREATED,
	SEAI_OBJECT_SIZE,
	SEAI_OBJECT_STATUS,
	SEAI_OBJECT_PART,
	SEAI_OBJECT_META,
	SEAI_OBJECT_HEADERS,
	SEAI_OBJECT_REASON,
	SEAI_OBJECT_N_FIELDS,
};

struct seai_object_field_layout {
	const char *name;
	const char *format; /* as sea_arrow_type_parse() */
};

extern const struct seai_object_field_layout seai_object_fields[SEAI_OBJECT_N_FIELDS];

#endif
