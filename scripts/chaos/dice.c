/* dice.c - decisions and the clock. */
#include "scripts/chaos/chaos.h"

#include <errno.h>
#include <time.h>

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

struct dice dice_of(uint64_t seed, uint64_t thread, uint64_t number)
{
	return (struct dice){ mix(mix(mix(seed) ^ thread) ^ number) };
}

uint64_t dice_below(struct dice *dice, uint64_t n)
{
	dice->state = mix(dice->state);
	return n ? dice->state % n : 0;
}

bool dice_percent(struct dice *dice, unsigned percent)
{
	return dice_below(dice, 100) < percent;
}

int64_t chaos_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * CHAOS_SECOND + now.tv_nsec;
}

void chaos_sleep_ns(int64_t ns)
{
	struct timespec rest = { ns / CHAOS_SECOND, ns % CHAOS_SECOND };
	while (nanosleep(&rest, &rest) < 0 && errno == EINTR)
		;
}
