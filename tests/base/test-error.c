/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <limits.h>
#include <string.h>

#include <sealane/error.h>
#include <sealane/version.h>

#include "test.h"

TEST(texts, "every number has a text: a few words, no full stop, the same for negative and positive")
{
	for (int error = -200; error <= 200; error++) {
		const char *text = sea_error_text(error);

		CHECK(text && *text);
		CHECK_NE(text[strlen(text) - 1], '.');
		CHECK_STR_EQ(text, sea_error_text(-error));
	}
	CHECK(sea_error_text(INT_MAX));
	CHECK(sea_error_text(-INT_MAX));
}

TEST(own_texts, "the errors of the header say what they mean here, each something else")
{
	static const int errors[] = { EAGAIN,     ETIMEDOUT, EINTR,      EINVAL,  ENOMEM,  E2BIG,    EMFILE,
		                      ENFILE,     ENOSPC,    EADDRINUSE, EACCES,  ENOTSUP, EBADMSG,  EPROTO,
		                      EPROTOTYPE, EPIPE,     EBUSY,      EDEADLK, EPERM,   ECANCELED };
	enum { n = sizeof(errors) / sizeof(errors[0]) };

	for (size_t i = 0; i < n; i++) {
		CHECK(strcmp(sea_error_text(-errors[i]), strerror(errors[i])) != 0);
		for (size_t j = 0; j < i; j++)
			CHECK(strcmp(sea_error_text(errors[i]), sea_error_text(errors[j])) != 0);
	}
}

TEST(version, "the library's version is its header's")
{
	CHECK_EQ(sea_version(), SEA_VERSION);
	CHECK(sea_features() & SEA_FEATURE_MEMFD);
}
