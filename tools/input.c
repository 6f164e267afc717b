/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walking below paths. In a folder the files come first, then the folders, each sorted by bytes and
 * not by locale, so that all files of one folder stand together in the list.
 */
#include "input.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"

struct walk {
	struct input_list *list;
	size_t n_skip; /* bytes of each path before its name */
	enum input_filter filter;
	input_error_fn on_error;
	void *userdata;
};

/* What scandir() gave: an array of entries, each allocated for itself. */
struct listing {
	struct dirent **entries;
	int n_entries;
};

static void listing_fini(struct listing *listing)
{
	for (int i = 0; i < listing->n_entries; i++)
		free(listing->entries[i]);
	free(listing->entries);
}

static bool is_library(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	const char *dot = strstr(name, ".so");

	return dot && dot != name && (dot[3] == '\0' || dot[3] == '.');
}

static bool is_wanted(enum input_filter filter, const char *path, const struct stat *st)
{
	switch (filter) {
	case INPUT_LIBRARIES: return st->st_size > 0 && is_library(path);
	case INPUT_NOT_EMPTY: return st->st_size > 0;
	case INPUT_ALL: break;
	}
	return true;
}

/* Takes the path. */
static int list_append(struct input_list *list, char **path, size_t n_skip, uint64_t n_bytes, uint32_t folder,
                       bool is_folder)
{
	if (list->n_files == list->n_files_max) {
		size_t n_max = list->n_files_max ? 2 * list->n_files_max : 256;
		struct input_file *files = reallocarray(list->files, n_max, sizeof(*files));

		if (!files)
			return -ENOMEM;
		list->files = files;
		list->n_files_max = n_max;
	}
	list->files[list->n_files++] = (struct input_file){
		.path = *path,
		.name = *path + n_skip,
		.n_bytes = n_bytes,
		.folder = folder,
		.is_folder = is_folder,
	};
	*path = NULL;
	list->n_bytes += n_bytes;
	return 0;
}

static int name_is_real(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int walk_folder(struct walk *walk, const char *path);

/* One entry of a folder, in the pass that is for its kind. */
static int walk_entry(struct walk *walk, const char *folder_path, const char *name, uint32_t folder, bool for_folders)
{
	TOOL_AUTO_FREE char *path = NULL;
	size_t n = strlen(folder_path);
	bool has_slash = n > 0 && folder_path[n - 1] == '/';
	struct stat st;

	if (asprintf(&path, "%s%s%s", folder_path, has_slash ? "" : "/", name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	if (lstat(path, &st) < 0) {
		if (!for_folders)
			walk->on_error(path, errno, walk->userdata);
		return 0;
	}
	if (S_ISDIR(st.st_mode))
		return for_folders ? walk_folder(walk, path) : 0;
	if (for_folders)
		return 0;
	if (!S_ISREG(st.st_mode)) {
		walk->list->n_left_out++;
		return 0;
	}
	if (!is_wanted(walk->filter, path, &st))
		return 0;
	return list_append(walk->list, &path, walk->n_skip, (uint64_t)st.st_size, folder, false);
}

static int walk_folder(struct walk *walk, const char *path)
{
	TOOL_CLEANUP(listing_fini) struct listing listing = { 0 };
	uint32_t folder;

	listing.n_entries = scandir(path, &listing.entries, name_is_real, compare_names);
	if (listing.n_entries < 0) {
		int error = errno;

		listing.n_entries = 0;
		if (error == ENOMEM)
			return -ENOMEM;
		walk->on_error(path, error, walk->userdata);
		return 0;
	}
	folder = (uint32_t)++walk->list->n_folders;
	if (walk->filter == INPUT_ALL && strlen(path) > walk->n_skip) {
		TOOL_AUTO_FREE char *copy = strdup(path);
		int r = copy ? list_append(walk->list, &copy, walk->n_skip, 0, folder, true) : -ENOMEM;

		if (r < 0)
			return r;
	}
	for (int for_folders = 0; for_folders <= 1; for_folders++) {
		for (int i = 0; i < listing.n_entries; i++) {
			int r = walk_entry(walk, path, listing.entries[i]->d_name, folder, for_folders != 0);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

/*
 * How many bytes of a path stand before the name under which it travels: its last component; nothing
 * of it where that says nothing ("/", ".", "..").
 */
static size_t path_n_skip(const char *path)
{
	size_t n = strlen(path);
	const char *slash = strrchr(path, '/');
	const char *last = slash ? slash + 1 : path;

	if (strcmp(path, "/") == 0)
		return 1;
	if (strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
		return n + 1;
	return (size_t)(last - path);
}

int input_list_add(struct input_list *list, const char *path, enum input_filter filter, input_error_fn on_error,
                   void *userdata)
{
	TOOL_AUTO_FREE char *copy = strdup(path);
	struct walk walk = { .list = list, .filter = filter, .on_error = on_error, .userdata = userdata };
	struct stat st;

	if (!copy)
		return -ENOMEM;
	for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
		copy[n - 1] = '\0';
	if (stat(copy, &st) < 0) {
		on_error(path, errno, userdata);
		return 0;
	}
	walk.n_skip = path_n_skip(copy);
	if (S_ISDIR(st.st_mode))
		return walk_folder(&walk, copy);
	if (!S_ISREG(st.st_mode)) {
		on_error(path, EINVAL, userdata);
		return 0;
	}
	/* What the user named is taken, whatever it is called; but an empty file has no content. */
	if (filter != INPUT_ALL && st.st_size == 0)
		return 0;
	return list_append(list, &copy, walk.n_skip, (uint64_t)st.st_size, (uint32_t)++list->n_folders, false);
}

void input_list_fini(struct input_list *list)
{
	for (size_t i = 0; i < list->n_files; i++)
		free(list->files[i].path);
	free(list->files);
	*list = (struct input_list){ 0 };
}
