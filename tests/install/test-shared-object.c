/* SPDX-License-Identifier: Apache-2.0 */
/* Links the shared object alone, as a user does, and looks at it from outside. */
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

#include <sealane/sealane.h>

#include "test.h"

static int find_sealane(struct dl_phdr_info *info, size_t size, void *userdata)
{
	(void)size;
	if (strstr(info->dlpi_name, "libsealane.so.0"))
		*(bool *)userdata = true;
	return 0;
}

TEST(soname, "a program that links the library loads it as libsealane.so.0")
{
	bool found = false;

	CHECK_GT(sea_version(), 0);
	dl_iterate_phdr(find_sealane, &found);
	CHECK(found);
}

TEST(version, "header and library agree on the version")
{
	CHECK_EQ(sea_version(), SEA_VERSION);
}

TEST(internals, "internal functions cannot be reached from outside")
{
	CHECK(dlsym(RTLD_DEFAULT, "sea_session_open"));
	CHECK(!dlsym(RTLD_DEFAULT, "seai_session_lock"));
	CHECK(!dlsym(RTLD_DEFAULT, "seai_arena_new"));
}
