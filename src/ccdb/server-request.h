/* SPDX-License-Identifier: Apache-2.0 */
/* What MHD calls for each request. */
#ifndef SEALANE_CCDB_SERVER_REQUEST_H
#define SEALANE_CCDB_SERVER_REQUEST_H

#include <microhttpd.h>

void *seai_request_new(void *userdata, const char *uri, struct MHD_Connection *connection);
enum MHD_Result seai_request_handle(void *userdata, struct MHD_Connection *connection, const char *url,
                                    const char *method, const char *version, const char *body, size_t *n_body,
                                    void **context);
void seai_request_completed(void *userdata, struct MHD_Connection *connection, void **context,
                            enum MHD_RequestTerminationCode code);

#endif
