/* SPDX-License-Identifier: Apache-2.0 */
/* Runtime directories: opening sessions in them, and looking into them; see directory.h. */
#include <dirent.h>
#include <string.h>

#include "directory.h"
#include "test.h"

int directory_open(struct sea_session **ret_session, const char *runtime_dir, const char *name, uint32_t group_id)
{
	struct sea_session_options options = { .runtime_dir = runtime_dir, .name = name, .group_id = group_id };

	return sea_session_open(ret_session, &options);
}

void directory_check_open(int expected, const char *runtime_dir, const char *name)
{
	struct sea_session *session = NULL;
	int r = directory_open(&session, runtime_dir, name, 0);

	if (r != expected)
		FAIL("opening session \"%s\" in %.60s: %d, not %d", name ? name : "(NULL)", runtime_dir, r, expected);
	sea_session_close(session);
}

unsigned directory_count(const char *path, const char *beginning)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	unsigned n = 0;

	CHECK(dir);
	while ((entry = readdir(dir)))
		n += strncmp(entry->d_name, beginning, strlen(beginning)) == 0;
	closedir(dir);
	return n;
}
