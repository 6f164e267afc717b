/* SPDX-License-Identifier: Apache-2.0 */
/* Errors that people read. */
#include <errno.h>
#include <string.h>

#include <sealane/error.h>

#include "test.h"

TEST(line, "an error names file, line, column and key")
{
	struct sea_error error = { .line = 12, .column = 7, .file = "topology.json" };
	char line[80];

	CHECK_EQ(sea_error_set(&error, -EINVAL, "devices[0].id", "is %s", "missing"), -EINVAL);
	CHECK_EQ(error.code, -EINVAL);
	CHECK_STR_EQ(sea_error_line(&error, line, sizeof(line)), "topology.json:12:7: devices[0].id: is missing");
	CHECK_EQ(sea_error_set(NULL, -ENOENT, "id", "is missing"), -ENOENT);
	CHECK_EQ(strlen(sea_error_line(&error, line, 20)), 19);
}
