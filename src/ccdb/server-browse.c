/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listings: as JSON, as text for O2's own parser, as a page for people. A listing is written to a memory file and sent from there, so
 * that a long one is not copied once more.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>

#include "ccdb/escape.h"
#include "ccdb/range.h"
#include "ccdb/server.h"

enum form { FORM_TEXT, FORM_JSON, FORM_HTML };

struct listing {
	struct seai_request *request;
	FILE *stream;
	enum form form;
	const char *fields; /* X-Filter-Fields; NULL: all */
	bool sizes;
	uint64_t n;
};

/* What one object is called in listings: both the old and the new names, as the reference server has them. */
static json_t *entry_json(const struct listing *listing, const struct sea_ccdb_entry *entry)
{
	char *addresses[SEAI_ADDRESSES_N_MAX];
	const size_t n = seai_object_addresses(listing->request, entry, addresses);
	json_t *object = json_object(), *replicas = json_array();
	char date[SEAI_DATE_N_BYTES];

	/* First: no metadata hides what the object is. */
	for (size_t i = 0; i < entry->n_metadata; i++)
		json_object_set_new(object, entry->metadata[i].key, json_string(entry->metadata[i].value));
	for (size_t i = 0; i < n; i++) {
		json_array_append_new(replicas, json_string(addresses[i]));
		free(addresses[i]);
	}
	seai_http_date(entry->modified_ms, date);
	json_object_set_new(object, "path", json_string(entry->path));
	json_object_set_new(object, "createTime", json_integer(entry->created_ms));
	json_object_set_new(object, "Created", json_integer(entry->created_ms));
	json_object_set_new(object, "lastModified", json_integer(entry->modified_ms));
	json_object_set_new(object, "Last-Modified", json_string(date));
	json_object_set_new(object, "id", json_string(entry->uuid));
	json_object_set_new(object, "validFrom", json_integer(entry->valid_from_ms));
	json_object_set_new(object, "Valid-From", json_integer(entry->valid_from_ms));
	json_object_set_new(object, "validUntil", json_integer(entry->valid_until_ms));
	json_object_set_new(object, "Valid-Until", json_integer(entry->valid_until_ms));
	json_object_set_new(object, "initialValidity", json_integer(entry->initial_until_ms));
	json_object_set_new(object, "InitialValidityLimit", json_integer(entry->initial_until_ms));
	json_object_set_new(object, "MD5", json_string(entry->md5));
	json_object_set_new(object, "Content-MD5", json_string(entry->md5));
	json_object_set_new(object, "fileName", json_string(entry->file_name));
	json_object_set_new(object, "contentType", json_string(entry->content_type));
	json_object_set_new(object, "Content-Type", json_string(entry->content_type));
	json_object_set_new(object, "size", json_integer((json_int_t)entry->n_bytes));
	json_object_set_new(object, "Content-Length", json_integer((json_int_t)entry->n_bytes));
	json_object_set_new(object, "ETag", json_sprintf("\"%s\"", entry->uuid));
	json_object_set_new(object, "Content-Disposition", json_sprintf("inline;filename=\"%s\"", entry->file_name));
	json_object_set_new(object, "UploadedFrom", json_string(entry->uploaded_from));
	json_object_set_new(object, "replicas", replicas);
	return object;
}

/* Whether a comma-separated list has a name. */
static bool list_has(const char *list, const char *name)
{
	const size_t n = strlen(name);

	for (const char *at = list; *at; at += strcspn(at, ","), at += *at == ',') {
		at += strspn(at, " ");
		if (strncasecmp(at, name, n) == 0 && strchr(", ", at[n]))
			return true;
	}
	return false;
}

static void object_filter(json_t *object, const char *fields)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(object, next, key, value)
	{
		if (!list_has(fields, key))
			json_object_del(object, key);
	}
}

/* Text in HTML, also within quotes. */
static void print_escaped(FILE *stream, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '<': fputs("&lt;", stream); break;
		case '>': fputs("&gt;", stream); break;
		case '&': fputs("&amp;", stream); break;
		case '"': fputs("&quot;", stream); break;
		case '\'': fputs("&#39;", stream); break;
		default: fputc(*text, stream);
		}
	}
}

/* Objects. ------------------------------------------------------------------------------------- */

static void print_object_text(FILE *stream, const json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value)
	{
		size_t i;
		json_t *item;

		if (json_is_string(value))
			fprintf(stream, "%s: %s\n", key, json_string_value(value));
		else if (json_is_integer(value))
			fprintf(stream, "%s: %" JSON_INTEGER_FORMAT "\n", key, json_integer_value(value));
		else
			json_array_foreach(value, i, item) fprintf(stream, "%s: %s\n", key, json_string_value(item));
	}
	fputc('\n', stream);
}

static void print_entry_html(FILE *stream, const struct sea_ccdb_entry *entry)
{
	char created[SEAI_DATE_N_BYTES], from[SEAI_DATE_N_BYTES], until[SEAI_DATE_N_BYTES];

	fputs("<tr><td><a href=\"/latest/", stream);
	seai_print_escaped(stream, entry->path, "/");
	fputs("\">", stream);
	print_escaped(stream, entry->path);
	fprintf(stream,
	        "</a><td title=\"%" PRId64 "\">%s<td title=\"%" PRId64 "\">%s<td title=\"%" PRId64 "\">%s<td>%" PRIu64,
	        entry->created_ms, seai_http_date(entry->created_ms, created), entry->valid_from_ms,
	        seai_http_date(entry->valid_from_ms, from), entry->valid_until_ms,
	        seai_http_date(entry->valid_until_ms, until), entry->n_bytes);
	fprintf(stream, "<td><a href=\"/download/%s\">%s</a><td>", entry->uuid, entry->uuid);
	for (size_t i = 0; i < entry->n_metadata; i++) {
		fputs(i ? "<br>" : "", stream);
		print_escaped(stream, entry->metadata[i].key);
		fputc('=', stream);
		print_escaped(stream, entry->metadata[i].value);
	}
	fputs("</tr>\n", stream);
}

static int listing_entry(const struct sea_ccdb_entry *entry, void *userdata)
{
	struct listing *listing = userdata;
	json_t *object;

	if (listing->form == FORM_HTML) {
		print_entry_html(listing->stream, entry);
		return ferror(listing->stream) ? -ENOSPC : 0;
	}
	object = entry_json(listing, entry);
	if (listing->fields)
		object_filter(object, listing->fields);
	if (listing->form == FORM_TEXT) {
		print_object_text(listing->stream, object);
	} else {
		fputs(listing->n++ ? ",\n" : "\n", listing->stream);
		json_dumpf(object, listing->stream, JSON_COMPACT);
	}
	json_decref(object);
	return ferror(listing->stream) ? -ENOSPC : 0;
}

/* Folders. ------------------------------------------------------------------------------------- */

static int listing_folder(const struct sea_ccdb_folder *folder, void *userdata)
{
	struct listing *listing = userdata;
	FILE *stream = listing->stream;

	if (listing->form == FORM_HTML) {
		fputs("<li><a href=\"/browse/", stream);
		seai_print_escaped(stream, folder->name, "/");
		fputs("\">", stream);
		print_escaped(stream, folder->name);
		fputs("</a>\n", stream);
	} else if (listing->form == FORM_TEXT) {
		fprintf(stream, listing->sizes ? "%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\n" : "%s\n",
		        folder->name, folder->n_own, folder->n_bytes_own, folder->n_below, folder->n_bytes_below);
	} else {
		json_t *item = listing->sizes ? json_pack("{s:s, s:I, s:I, s:I, s:I}", "name", folder->name, "ownFiles",
		                                          (json_int_t)folder->n_own, "ownSize",
		                                          (json_int_t)folder->n_bytes_own, "filesInSubfolders",
		                                          (json_int_t)folder->n_below, "sizeOfSubfolders",
		                                          (json_int_t)folder->n_bytes_below)
		                              : json_string(folder->name);

		fputs(listing->n++ ? "," : "", stream);
		if (item)
			json_dumpf(item, stream, JSON_COMPACT | JSON_ENCODE_ANY);
		json_decref(item);
	}
	return ferror(stream) ? -ENOSPC : 0;
}

/* The whole. ----------------------------------------------------------------------------------- */

static enum form request_form(const struct seai_request *request)
{
	const char *accept = seai_request_header(request, "Accept");

	if (accept && (strcasestr(accept, "json")))
		return FORM_JSON;
	return accept && strcasestr(accept, "text/html") ? FORM_HTML : FORM_TEXT;
}

static const char *form_type(enum form form)
{
	return form == FORM_JSON   ? "application/json"
	       : form == FORM_HTML ? "text/html; charset=utf-8"
	                           : "text/plain; charset=utf-8";
}

static void print_between(const struct listing *listing)
{
	static const char *const texts[] = { "Subfolders:\n", "\n],\n\"subfolders\":[",
		                             "</table>\n<h2>Subfolders</h2><ul>\n" };

	fputs(texts[listing->form], listing->stream);
}

static void print_begin(const struct listing *listing, const char *path)
{
	if (listing->form == FORM_JSON)
		fputs("{\"objects\":[", listing->stream);
	if (listing->form != FORM_HTML)
		return;
	fputs("<!DOCTYPE html><meta charset=\"utf-8\"><title>CCDB: ", listing->stream);
	print_escaped(listing->stream, path);
	fputs("</title><style>table{border-collapse:collapse}td,th{padding:2px 8px;text-align:left;border-bottom:1px solid #ccc}"
	      "</style><h1>",
	      listing->stream);
	print_escaped(listing->stream, *path ? path : "/");
	fputs("</h1>\n<table><tr><th>Path<th>Created<th>Valid from<th>Valid until<th>Bytes<th>Id<th>Metadata</tr>\n",
	      listing->stream);
}

static int64_t listing_write(struct listing *listing)
{
	struct seai_request *request = listing->request;
	const struct sea_ccdb_store_query query = seai_request_query(request);
	const int64_t n_max = seai_request_number(request, "Browse-Limit");
	int64_t r;

	print_begin(listing, request->url.path);
	/* Of the top alone nothing is listed: it has only folders. */
	r = *query.path ? sea_ccdb_store_list(request->server->store, &query, request->url.kind == SEAI_URL_LATEST,
	                                      (uint64_t)n_max, listing_entry, listing)
	                : 0;
	if (r < 0)
		return r;
	print_between(listing);
	listing->n = 0;
	r = sea_ccdb_store_folders(request->server->store, query.path, listing->sizes, listing_folder, listing);
	if (r < 0)
		return r;
	if (listing->form != FORM_TEXT)
		fputs(listing->form == FORM_JSON ? "]}\n" : "</ul>\n", listing->stream);
	return fflush(listing->stream) == 0 ? 0 : -ENOSPC;
}

enum MHD_Result seai_browse(struct seai_request *request)
{
	struct listing listing = {
		.request = request,
		.form = request_form(request),
		.fields = seai_request_header(request, "X-Filter-Fields"),
		.sizes = seai_url_flag(&request->url, "report"),
	};
	SEAI_AUTO_FD int fd = memfd_create("sealane-ccdb-listing", MFD_CLOEXEC);
	const int stream_fd = fd < 0 ? -1 : dup(fd);
	struct MHD_Response *response;
	off_t n_bytes;
	int64_t r;

	listing.stream = stream_fd < 0 ? NULL : fdopen(stream_fd, "w");
	if (!listing.stream) {
		seai_close(stream_fd);
		return seai_request_failed(request, -ENOMEM, NULL);
	}
	r = listing_write(&listing);
	fclose(listing.stream);
	if (r < 0)
		return seai_request_failed(request, (int)r, NULL);
	n_bytes = lseek(fd, 0, SEEK_END);
	response = MHD_create_response_from_fd64((uint64_t)n_bytes, fd);
	if (!response)
		return MHD_NO;
	/* It is MHD's now. */
	(void)seai_take_fd(&fd);
	request->n_bytes = (uint64_t)n_bytes;
	seai_response_header(response, "Content-Type", "%s", form_type(listing.form));
	return seai_request_answer(request, MHD_HTTP_OK, response);
}

enum MHD_Result seai_truncate(struct seai_request *request)
{
	const struct sea_ccdb_store_query query = seai_request_query(request);
	struct MHD_Response *response;
	int64_t n;

	if (strcmp(request->method, "GET") != 0)
		return seai_request_text(request, MHD_HTTP_METHOD_NOT_ALLOWED, "%s: truncate is a GET",
		                         request->method);
	if (!*query.path)
		return seai_request_text(request, MHD_HTTP_BAD_REQUEST, "truncate: a path is missing; * is everything");
	if (request->server->read_only)
		return seai_request_failed(request, -EROFS, NULL);
	n = sea_ccdb_store_truncate(request->server->store, &query);
	if (n < 0)
		return seai_request_failed(request, (int)n, NULL);
	response = seai_response_empty();
	if (response && n > 0)
		seai_response_header(response, "Deleted", "%" PRId64 " objects", n);
	return seai_request_empty(request, n > 0 ? MHD_HTTP_NO_CONTENT : MHD_HTTP_NOT_MODIFIED, response);
}
