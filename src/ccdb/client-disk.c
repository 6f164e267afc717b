/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of objects: finding, reading, writing; see client-disk.h. */
#define XXH_INLINE_ALL
#include "ccdb/client-disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <md5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "ccdb/client-disk-room.h"

#define MAGIC "SEACCDB1"
/* Of the text of the headers; what is larger was not written by us. */
#define N_TEXT_MAX (1u << 20)
/* Versions of one path that a search looks at. */
#define N_LOOKED_MAX 1024

/* What a file begins with. Native byte order: the magic says so by not being there otherwise. */
struct head {
	char magic[8];
	uint32_t one; /* 1, in the writer's byte order */
	uint32_t n_text;
	uint64_t n_content;
	uint64_t content_hash;
	uint64_t head_hash; /* of this with 0 here, seed of the text's */
	int64_t valid_from_ms;
	int64_t valid_until_ms;
	int64_t created_ms;
	char uuid[SEA_CCDB_UUID_N_BYTES];
};
_Static_assert(sizeof(struct head) == 128, "a layout on disk");

static uint64_t head_hash(const struct head *head, const char *text)
{
	struct head copy = *head;

	copy.head_hash = 0;
	return XXH3_64bits_withSeed(&copy, sizeof(copy), XXH3_64bits(text, head->n_text));
}

/* "<MD5 of the path>", and with a uuid "/<MD5 of the uuid>". */
static void disk_name(char name[72], const char *path, const char *uuid)
{
	char hex[MD5_DIGEST_STRING_LENGTH];

	MD5Data((const uint8_t *)path, strlen(path), hex);
	memcpy(name, hex, 33);
	if (uuid) {
		MD5Data((const uint8_t *)uuid, strlen(uuid), hex);
		name[32] = '/';
		memcpy(name + 33, hex, 33);
	}
}

static int make_folder(const char *path)
{
	if (mkdir(path, 0777) == 0)
		return 0;
	return errno == EEXIST ? 0 : -errno;
}

/* With those above it. */
static int make_folders(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		int result;

		*slash = '\0';
		result = make_folder(path);
		*slash = '/';
		/* A folder above that may not be written is there already, or the last one says what is wrong. */
		if (result < 0 && result != -EACCES && result != -EROFS && result != -EPERM)
			return result;
	}
	return make_folder(path);
}

int seai_disk_open(struct seai_disk **ret_disk, const char *dir, uint64_t n_bytes_max, struct sea_error *error)
{
	struct seai_disk *disk = calloc(1, sizeof(*disk));
	SEAI_AUTO_FREE char *path = NULL;
	struct stat status;
	int result;

	if (!disk || asprintf(&path, "%s/sealane-ccdb-1", dir) < 0) {
		free(disk);
		path = NULL;
		return sea_error_set(error, -ENOMEM, "disk_dir", "no memory");
	}
	result = make_folders(path);
	disk->fd = result < 0 ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (disk->fd < 0 || fstat(disk->fd, &status) < 0) {
		result = result < 0 ? result : -errno;
		seai_disk_close(disk);
		return sea_error_set(error, result, "disk_dir", "%s cannot be used: %s", path, strerror(-result));
	}
	disk->owner = status.st_uid;
	disk->n_bytes_max = n_bytes_max;
	/* The first one kept looks how much is there. */
	disk->n_written = n_bytes_max;
	*ret_disk = disk;
	return 0;
}

struct seai_disk *seai_disk_close(struct seai_disk *disk)
{
	if (disk) {
		seai_close(disk->fd);
		free(disk);
	}
	return NULL;
}

uint64_t seai_disk_n_damaged(const struct seai_disk *disk)
{
	return disk->n_damaged;
}

static int read_all(int fd, void *bytes, size_t n_bytes, uint64_t at)
{
	for (size_t n_read = 0; n_read < n_bytes;) {
		ssize_t n = pread(fd, (char *)bytes + n_read, n_bytes - n_read, (off_t)(at + n_read));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		n_read += (size_t)n;
	}
	return 0;
}

/* Opens a file that this user, or the folder's owner, has put here, and reads its head. -EBADMSG: it is not what we write. */
static int disk_open_file(struct seai_disk *disk, const char *name, int *ret_fd, struct head *ret_head, char **ret_text)
{
	SEAI_AUTO_FD int fd = openat(disk->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	SEAI_AUTO_FREE char *text = NULL;
	struct stat status;
	struct head head;

	if (fd < 0)
		return -ENOENT;
	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) ||
	    (status.st_uid != geteuid() && status.st_uid != disk->owner))
		return -ENOENT;
	if ((uint64_t)status.st_size < sizeof(head) || read_all(fd, &head, sizeof(head), 0) < 0 ||
	    memcmp(head.magic, MAGIC, sizeof(head.magic)) != 0 || head.one != 1 || head.n_text > N_TEXT_MAX ||
	    head.n_content > INT64_MAX - sizeof(head) - N_TEXT_MAX ||
	    (uint64_t)status.st_size != sizeof(head) + head.n_text + head.n_content ||
	    memchr(head.uuid, '\0', sizeof(head.uuid)) == NULL)
		return -EBADMSG;
	text = calloc(1, head.n_text + 1u);
	if (!text)
		return -ENOMEM;
	if (read_all(fd, text, head.n_text, sizeof(head)) < 0 || head_hash(&head, text) != head.head_hash)
		return -EBADMSG;
	*ret_fd = seai_take_fd(&fd);
	*ret_head = head;
	*ret_text = SEAI_TAKE(text);
	return 0;
}

static void disk_drop_damaged(struct seai_disk *disk, const char *name)
{
	disk->n_damaged++;
	unlinkat(disk->fd, name, 0);
}

int seai_disk_find(struct seai_disk *disk, const char *path, int64_t t_ms, int64_t not_before_ms, int64_t not_after_ms,
                   struct sea_ccdb_version *ret_version)
{
	struct sea_ccdb_version best = { .created_ms = -1 };
	struct dirent *entry;
	char folder[72];
	DIR *dir;
	int fd;

	disk_name(folder, path, NULL);
	fd = openat(disk->fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		seai_close(fd);
		return -ENOENT;
	}
	for (int n = 0; n < N_LOOKED_MAX && (entry = readdir(dir));) {
		SEAI_AUTO_FD int file = -1;
		SEAI_AUTO_FREE char *text = NULL;
		struct head head;
		char name[72];
		int result;

		if (strlen(entry->d_name) != 32)
			continue;
		n++;
		snprintf(name, sizeof(name), "%.32s/%.32s", folder, entry->d_name);
		result = disk_open_file(disk, name, &file, &head, &text);
		if (result == -EBADMSG)
			disk_drop_damaged(disk, name);
		if (result < 0 || head.valid_from_ms > t_ms || t_ms >= head.valid_until_ms ||
		    head.created_ms < not_before_ms || head.created_ms > not_after_ms ||
		    head.created_ms <= best.created_ms)
			continue;
		memcpy(best.uuid, head.uuid, sizeof(best.uuid));
		best.valid_from_ms = head.valid_from_ms;
		best.valid_until_ms = best.initial_until_ms = head.valid_until_ms;
		best.created_ms = head.created_ms;
	}
	closedir(dir);
	if (!best.uuid[0])
		return -ENOENT;
	*ret_version = best;
	return 0;
}

void seai_disk_file_close(struct seai_disk_file *file)
{
	file->fd = seai_close(file->fd);
	seai_headers_fini(&file->headers);
}

/* The path, then one header per line. -EBADMSG: another path's, or garbage. */
static int file_headers(struct seai_disk_file *file, const char *path, char *text)
{
	SEAI_CLEANUP(seai_answer_fini) struct seai_answer answer = { .status = 200 };
	size_t n_path = strlen(path);

	if (strncmp(text, path, n_path) != 0 || text[n_path] != '\n')
		return -EBADMSG;
	for (char *line = text + n_path + 1; *line;) {
		size_t n = strcspn(line, "\n");
		int result = seai_answer_line(&answer, line, n);

		if (result < 0)
			return result == -ENOMEM ? result : -EBADMSG;
		line += n + (line[n] == '\n');
	}
	file->headers = answer.headers;
	answer.headers = (struct seai_headers){ 0 };
	return 0;
}

int seai_disk_file_open(struct seai_disk_file *ret_file, struct seai_disk *disk, const char *path, const char *uuid)
{
	SEAI_AUTO_DISK_FILE struct seai_disk_file file = { .fd = -1, .disk = disk };
	SEAI_AUTO_FREE char *text = NULL;
	struct head head;
	int result;

	disk_name(file.name, path, uuid);
	result = disk_open_file(disk, file.name, &file.fd, &head, &text);
	if (result == 0 && strcmp(head.uuid, uuid) != 0)
		result = -EBADMSG;
	if (result == 0)
		result = file_headers(&file, path, text);
	if (result == -EBADMSG)
		disk_drop_damaged(disk, file.name);
	if (result < 0)
		return result == -ENOMEM ? result : -ENOENT;
	file.n_content = head.n_content;
	file.content_at = sizeof(head) + head.n_text;
	file.content_hash = head.content_hash;
	*ret_file = file;
	file = (struct seai_disk_file){ .fd = -1 };
	return 0;
}

int seai_disk_file_read(struct seai_disk_file *file, void *content)
{
	if (read_all(file->fd, content, file->n_content, file->content_at) < 0 ||
	    XXH3_64bits(content, file->n_content) != file->content_hash) {
		disk_drop_damaged(file->disk, file->name);
		return -EBADMSG;
	}
	/* It was used: it goes later. */
	futimens(file->fd, NULL);
	return 0;
}

static int write_all(int fd, const void *bytes, size_t n_bytes)
{
	for (size_t n_written = 0; n_written < n_bytes;) {
		ssize_t n = write(fd, (const char *)bytes + n_written, n_bytes - n_written);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		n_written += (size_t)n;
	}
	return 0;
}

/* A file without a name; where the file system has none, one with the name temporary, which cleaning removes when it is old. */
static int disk_new_file(struct seai_disk *disk, const char *folder, char temporary[72])
{
	char path[80];
	int fd;

	snprintf(path, sizeof(path), "./%s", folder);
	temporary[0] = '\0';
	fd = openat(disk->fd, path, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL))
		return fd < 0 ? -errno : fd;
	snprintf(temporary, 72, "%.40s/tmp-%d-%u", folder, (int)getpid(), disk->n_temporaries++);
	fd = openat(disk->fd, temporary, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
	return fd < 0 ? -errno : fd;
}

static int disk_name_file(struct seai_disk *disk, int fd, const char *temporary, const char *name)
{
	char path[40];
	int result;

	if (*temporary)
		return renameat(disk->fd, temporary, disk->fd, name) < 0 ? -errno : 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	result = linkat(AT_FDCWD, path, disk->fd, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
	/* Another process was first: it is the same. */
	return result == -EEXIST ? 0 : result;
}

/* The path and the headers, one per line. */
static char *store_text(const struct sea_ccdb_object *object)
{
	size_t n_bytes = strlen(object->path) + 2;
	char *text, *at;

	for (size_t i = 0; i < object->n_headers; i++)
		n_bytes += strlen(object->headers[i].key) + strlen(object->headers[i].value) + 2;
	text = n_bytes > N_TEXT_MAX ? NULL : malloc(n_bytes);
	if (!text)
		return NULL;
	at = stpcpy(stpcpy(text, object->path), "\n");
	for (size_t i = 0; i < object->n_headers; i++)
		at = stpcpy(stpcpy(stpcpy(stpcpy(at, object->headers[i].key), ":"), object->headers[i].value), "\n");
	return text;
}

int seai_disk_store(struct seai_disk *disk, const struct sea_ccdb_object *object, const void *content)
{
	struct head head = { .magic = MAGIC,
		             .one = 1,
		             .n_content = object->n_bytes,
		             .content_hash = XXH3_64bits(content ? content : "", object->n_bytes),
		             .valid_from_ms = object->version.valid_from_ms,
		             .valid_until_ms = object->version.valid_until_ms,
		             .created_ms = object->version.created_ms };
	SEAI_AUTO_FREE char *text = store_text(object);
	SEAI_AUTO_FD int fd = -1;
	char name[72], folder[72], temporary[72];
	int result;

	if (!text)
		return -ENOMEM;
	if (object->n_bytes > disk->n_bytes_max / 2)
		return -EFBIG;
	snprintf(head.uuid, sizeof(head.uuid), "%s", object->version.uuid);
	head.n_text = (uint32_t)strlen(text);
	head.head_hash = head_hash(&head, text);
	disk_name(name, object->path, object->version.uuid);
	disk_name(folder, object->path, NULL);
	if (mkdirat(disk->fd, folder, 0777) < 0 && errno != EEXIST)
		return -errno;
	fd = disk_new_file(disk, folder, temporary);
	if (fd < 0)
		return fd;
	result = write_all(fd, &head, sizeof(head));
	if (result == 0)
		result = write_all(fd, text, head.n_text);
	if (result == 0)
		result = write_all(fd, content, object->n_bytes);
	if (result == 0)
		result = disk_name_file(disk, fd, temporary, name);
	if (result < 0 && *temporary)
		unlinkat(disk->fd, temporary, 0);
	disk->n_written += sizeof(head) + head.n_text + object->n_bytes;
	if (disk->n_written > disk->n_bytes_max / 16)
		seai_disk_make_room(disk);
	return result;
}
