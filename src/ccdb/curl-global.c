/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See curl-global.h.
 *
 * The odd rule: it is never ended, for the program may use libcurl too.
 */
#include "ccdb/curl-global.h"

#include <curl/curl.h>
#include <pthread.h>

static void curl_begin(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

void seai_curl_begin(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, curl_begin);
}
