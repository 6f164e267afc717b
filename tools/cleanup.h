/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ownership of locals in the programs: the same idea as the library's own
 * cleanup header, which programs cannot include because it is not public.
 */
#ifndef SEALANE_TOOLS_CLEANUP_H
#define SEALANE_TOOLS_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TOOL_CLEANUP(function) __attribute__((cleanup(function)))

static inline void tool_cleanup_free(void *pointer_to_pointer)
{
	free(*(void **)pointer_to_pointer);
}

static inline void tool_cleanup_fd(const int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

/* Moves a descriptor out of a variable that would close it. */
static inline int tool_take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static inline void tool_cleanup_file(FILE **file)
{
	if (*file)
		fclose(*file);
}

static inline void tool_cleanup_dir(DIR **directory)
{
	if (*directory)
		closedir(*directory);
}

static inline void tool_cleanup_json(json_t **json)
{
	json_decref(*json);
}

#define TOOL_AUTO_FREE TOOL_CLEANUP(tool_cleanup_free)
#define TOOL_AUTO_FD TOOL_CLEANUP(tool_cleanup_fd)
#define TOOL_AUTO_FILE TOOL_CLEANUP(tool_cleanup_file)
#define TOOL_AUTO_DIR TOOL_CLEANUP(tool_cleanup_dir)
#define TOOL_AUTO_JSON TOOL_CLEANUP(tool_cleanup_json)

#endif
