/* fuzz_main.c - libFuzzer's way in; FUZZ_TARGET names the target, see the Makefile. */
#include "pools/tests/fuzz.h"

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t size)
{
	FUZZ_TARGET(bytes, size);
	return 0;
}
