/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl, begun once a process, whatever of this library begins first. */
#ifndef SEALANE_CCDB_CURL_GLOBAL_H
#define SEALANE_CCDB_CURL_GLOBAL_H

/* Any thread. */
void seai_curl_begin(void);

#endif
