/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as users write them: what becomes of one is a file name that stays in its directory. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	char name[SEAI_ADDRESS_N_BYTES];
	char *address = malloc(n_bytes + 1);
	int r;

	FUZZ_CHECK(address);
	if (n_bytes)
		memcpy(address, data, n_bytes);
	address[n_bytes] = 0;
	memset(name, 'x', sizeof(name));
	r = seai_directory_name(address, name);
	if (r == 0) {
		size_t n = strnlen(name, sizeof(name));

		FUZZ_CHECK(n > 2 && n < sizeof(name) && memcmp(name, "c-", 2) == 0);
		for (size_t i = 0; i < n; i++)
			FUZZ_CHECK(name[i] > ' ' && name[i] < 127 && name[i] != '/');
	}
	free(address);
	return 0;
}
