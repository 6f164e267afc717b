/* SPDX-License-Identifier: Apache-2.0 */
/* Words for the errors of sealane/error.h, errors that people read, and the version. */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <sealane/error.h>
#include <sealane/version.h>

const char *sea_error_text(int error)
{
	if (error == INT_MIN)
		return "unknown error";
	switch (error < 0 ? -error : error) {
	case 0: return "no error";
	case EAGAIN: return "nothing there or no room right now";
	case ETIMEDOUT: return "the time given is over";
	case EINTR: return "interrupted by a signal";
	case EINVAL: return "an argument is out of its range";
	case ENOMEM: return "no memory, or the heap is at its quota";
	case E2BIG: return "larger than the quota or the format allows";
	case EMFILE: return "this process has no free file descriptor";
	case ENFILE: return "the machine has no free file descriptor";
	case ENOSPC: return "the runtime directory's file system is full";
	case EADDRINUSE: return "another live process is bound to that address";
	case EACCES: return "the runtime directory or the peer belongs to another user or group";
	case ENOTSUP: return "not possible with this kernel, machine or configuration";
	case EBADMSG: return "malformed bytes from a peer";
	case EPROTO: return "out of turn";
	case EPROTOTYPE: return "the channel there has a pattern that does not fit";
	case EPIPE: return "the peer is gone";
	case EBUSY: return "still in use";
	case EDEADLK: return "a waiting call inside a callback";
	case EPERM: return "not possible in a forked child, or not permitted";
	case ECANCELED: return "the wait was interrupted";
	case ENAMETOOLONG: return "a name or path is too long";
	case ENOENT: return "not there (yet)";
	case ESTALE: return "the part was freed: its name is stale";
	case EOWNERDEAD: return "the owner has ended, and its memory is not mapped here";
	case EREMOTE: return "of another session or host";
	case EROFS: return "the runtime directory's file system is read-only";
	default:
		return strerrordesc_np(error < 0 ? -error : error) ? strerrordesc_np(error < 0 ? -error : error)
		                                                   : "unknown error";
	}
}

unsigned sea_version(void)
{
	return SEA_VERSION;
}

uint64_t sea_features(void)
{
	return SEA_FEATURE_MEMFD | SEA_FEATURE_ORPHANS | SEA_FEATURE_IMMUTABLE | SEA_FEATURE_META | SEA_FEATURE_SHMEM |
	       SEA_FEATURE_REGIONS | SEA_FEATURE_PATTERNS | SEA_FEATURE_ZEROMQ | SEA_FEATURE_POLLER;
}

int sea_error_set(struct sea_error *error, int code, const char *key, const char *format, ...)
{
	va_list arguments;

	if (!error)
		return code;
	error->code = code;
	snprintf(error->key, sizeof(error->key), "%s", key ? key : "");
	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	return code;
}

char *sea_error_line(const struct sea_error *error, char *line, unsigned n_bytes)
{
	char place[320] = "";

	if (error->file[0] && error->line)
		snprintf(place, sizeof(place), "%s:%u:%u: ", error->file, error->line, error->column);
	else if (error->file[0])
		snprintf(place, sizeof(place), "%s: ", error->file);
	snprintf(line, n_bytes, "%s%s%s%s", place, error->key, error->key[0] ? ": " : "", error->text);
	return line;
}
