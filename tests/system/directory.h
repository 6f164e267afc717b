/* SPDX-License-Identifier: Apache-2.0 */
/* Runtime directories: opening sessions in them, and looking into them. */
#ifndef SEALANE_TESTS_SYSTEM_DIRECTORY_H
#define SEALANE_TESTS_SYSTEM_DIRECTORY_H

#include <stdint.h>

#include <sealane/sealane.h>

/* As sea_session_open(); 0 or NULL: the default. */
int directory_open(struct sea_session **ret_session, const char *runtime_dir, const char *name, uint32_t group_id);
/* Opening such a session ends with that; it is closed again. */
void directory_check_open(int expected, const char *runtime_dir, const char *name);
/* Names in a directory with that beginning. */
unsigned directory_count(const char *path, const char *beginning);

#endif
