/*
 * test_results.c - the results of the workloads against what is known from elsewhere.
 */
#include "workloads/input.h"
#include "workloads/tests/tree.h"

#include <time.h>

/* FIPS 180-2, appendix B.1. */
static void sha256_of_abc_is_the_published_one(void **state)
{
	static const unsigned char digest[32] = {
		0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
		0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
		0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad,
	};
	struct work w;

	(void)state;
	open_with(&w, "sha256", (struct work_options){ .tree = tree });
	assert_memory_equal((unsigned char *)w.expected + 32, digest, sizeof digest);
	work_close(&w);
}

static void wordcount_counts_as_wc_does_also_across_pieces(void **state)
{
	struct work w;

	(void)state;
	open_with(&w, "wordcount", (struct work_options){ .tree = tree });
	const uint64_t *counts = w.expected;
	assert_int_equal(counts[3 * 3], 30000);	     /* lines of "words" */
	assert_int_equal(counts[3 * 3 + 1], 60000);  /* its words */
	assert_int_equal(counts[3 * 3 + 2], 270000); /* its bytes */
	assert_int_equal(counts[3 + 1], 1);	     /* "abc": one word without a newline */
	assert_int_equal(counts[3], 0);
	work_close(&w);
}

static void arithmetic_is_what_its_name_says(void **state)
{
	static const char *const name[] = { "noop", "square", "cube", "add" };

	(void)state;
	for (int k = 0; k < 4; k++) {
		struct work w;
		open_with(&w, name[k], (struct work_options){ .tasks = 100, .seed = 3 });
		const int64_t *x = w.column[0].data, *y = w.expected;
		const int64_t *b = w.columns == 2 ? w.column[1].data : NULL;
		for (int i = 0; i < 100; i++) {
			const uint64_t u = (uint64_t)x[i];
			const uint64_t right[] = { u, u * u, u * u * u,
						   u + (b ? (uint64_t)b[i] : 0) };
			assert_true((uint64_t)y[i] == right[k]);
		}
		work_close(&w);
	}
}

static uint64_t sum_of(const struct work *w)
{
	const uint64_t *x = w->expected;
	uint64_t sum = 0;

	for (uint64_t i = 0; i < w->tasks; i++)
		sum += x[i];
	return sum;
}

/* pi(10^6) = 78498, pi(10^4) = 1229 (OEIS A006880). */
static void primes_below_a_power_of_ten_are_as_published(void **state)
{
	struct work w;

	(void)state;
	open_with(&w, "primes", (struct work_options){ .tasks = 1000, .work = 1000 });
	assert_int_equal(sum_of(&w), 78498);
	work_close(&w);
	open_with(&w, "primes", (struct work_options){ .tasks = 10000, .work = 1 });
	assert_int_equal(sum_of(&w), 1229);
	work_close(&w);
}

/* The image is symmetric about its middle row, its centre is inside the set, its left edge is not. */
static void mandelbrot_is_symmetric_around_the_set(void **state)
{
	struct work w;

	(void)state;
	open_with(&w, "mandelbrot", (struct work_options){ .tasks = 16, .work = 4 });
	const uint16_t *pixel = w.expected;
	assert_int_equal(w.result_size, 4 * 512 * 2);
	for (size_t row = 1; row < 32; row++)
		assert_memory_equal(pixel + row * 512, pixel + (64 - row) * 512, 512 * 2);
	assert_int_equal(pixel[32 * 512 + 341], 256);
	/* c = 0.994: |z| is 0, 0.99, 1.98, 4.92 */
	assert_int_equal(pixel[32 * 512 + 511], 3);
	work_close(&w);
}

static int64_t product_at(uint64_t seed, uint64_t row, uint64_t column)
{
	int64_t sum = 0;

	for (uint64_t k = 0; k < 256; k++) {
		int64_t a = (int64_t)(input_random(seed, 256 * row + k) % 16) - 8;
		int64_t b = (int64_t)(input_random(UINT64_MAX - seed, 256 * k + column) % 16) - 8;
		sum += a * b;
	}
	return sum;
}

/* Blocks of 4 rows and blocks of 1 row are the same product, and another seed another one. */
static void matmul_does_not_depend_on_the_blocks(void **state)
{
	struct work four, one, other;

	(void)state;
	open_with(&four, "matmul", (struct work_options){ .tasks = 2, .work = 4, .seed = 1 });
	open_with(&one, "matmul", (struct work_options){ .tasks = 8, .work = 1, .seed = 1 });
	open_with(&other, "matmul", (struct work_options){ .tasks = 8, .work = 1, .seed = 2 });
	size_t bytes = 8 * 256 * sizeof(double);
	assert_int_equal(four.tasks * four.result_size, bytes);
	assert_memory_equal(four.expected, one.expected, bytes);
	assert_memory_not_equal(one.expected, other.expected, bytes);
	assert_true(((double *)other.expected)[5 * 256 + 7] == (double)product_at(2, 5, 7));
	work_close(&four);
	work_close(&one);
	work_close(&other);
}

/* The layout of skew's arguments is its own; how long they are shows in the steps, the second word. */
static void skew_makes_one_task_in_a_hundred_long(void **state)
{
	enum { TASKS = 40000 };
	struct work w, other;
	int longs[2] = { 0 }, moved = 0;

	(void)state;
	open_with(&w, "skew", (struct work_options){ .tasks = TASKS, .work = 10, .seed = 1 });
	open_with(&other, "skew", (struct work_options){ .tasks = TASKS, .work = 10, .seed = 2 });
	const int64_t *a = w.column[0].data, *b = other.column[0].data;
	for (int i = 0; i < TASKS; i++) {
		assert_true(a[2 * i + 1] == 10 || a[2 * i + 1] == 1000);
		longs[2 * i / TASKS] += a[2 * i + 1] == 1000;
		moved += a[2 * i + 1] != b[2 * i + 1];
	}
	/* binomial: 200 in each half, standard deviation 14 */
	assert_true(longs[0] > 130 && longs[0] < 270 && longs[1] > 130 && longs[1] < 270);
	assert_int_not_equal(longs[0], longs[1]);
	assert_true(moved > 0);
	work_close(&w);
	work_close(&other);
}

static int64_t steps_of(const struct work *w, uint64_t i)
{
	return ((const int64_t *)w->column[0].data)[2 * i + 1];
}

static void straggler_has_one_long_task_and_it_is_the_first(void **state)
{
	struct work w;

	(void)state;
	open_with(&w, "straggler", (struct work_options){ .tasks = 65, .work = 10 });
	assert_int_equal(steps_of(&w, 0), 64 / 4 * 10);
	for (uint64_t i = 1; i < w.tasks; i++)
		assert_int_equal(steps_of(&w, i), 10);
	work_close(&w);
	open_with(&w, "straggler", (struct work_options){ .tasks = 2, .work = 10 });
	assert_int_equal(steps_of(&w, 0), 10);
	work_close(&w);
}

/* The share of tasks longer than c times the shortest is c^(-3/2): an eighth for c = 4, 1/64 for c = 16. */
static void pareto_has_the_tail_it_claims(void **state)
{
	struct work w;
	int above_4 = 0, above_16 = 0;

	(void)state;
	open_with(&w, "pareto", (struct work_options){ .tasks = 64000, .work = 30, .seed = 1 });
	for (uint64_t i = 0; i < w.tasks; i++) {
		int64_t steps = steps_of(&w, i);
		assert_in_range(steps, 10, 30 * 300 + 1);
		above_4 += steps > 4 * 10;
		above_16 += steps > 16 * 10;
	}
	/* Binomial, standard deviations 84 and 31. */
	assert_in_range(above_4, 8000 - 500, 8000 + 500);
	assert_in_range(above_16, 1000 - 200, 1000 + 200);
	work_close(&w);
}

static void lengths_depend_on_the_seed_alone(void **state)
{
	struct work a, same, other;
	int moved = 0;

	(void)state;
	open_with(&a, "pareto", (struct work_options){ .tasks = 100, .work = 300, .seed = 1 });
	open_with(&same, "pareto", (struct work_options){ .tasks = 100, .work = 300, .seed = 1 });
	open_with(&other, "pareto", (struct work_options){ .tasks = 100, .work = 300, .seed = 2 });
	for (uint64_t i = 0; i < a.tasks; i++) {
		assert_int_equal(steps_of(&a, i), steps_of(&same, i));
		moved += steps_of(&a, i) != steps_of(&other, i);
	}
	assert_true(moved > 50);
	work_close(&a);
	work_close(&same);
	work_close(&other);
}

static void spin_of_three_steps_is_the_chain_written_out(void **state)
{
	struct work w;

	(void)state;
	open_with(&w, "spin", (struct work_options){ .tasks = 1, .work = 3 });
	uint64_t x = *(const uint64_t *)w.column[0].data;
	for (int i = 0; i < 3; i++)
		x = (x ^ x / 536870912) * 11400714819323198485u;
	assert_int_equal(*(uint64_t *)w.expected, x);
	work_close(&w);
}

static void stream_of_odd_sizes_tells_every_byte(void **state)
{
	(void)state;
	for (uint64_t size = 1; size < 20; size++) {
		struct work w;
		uint64_t sum, bad;
		open_with(&w, "stream", (struct work_options){ .tasks = 1, .payload_bytes = size });
		unsigned char *bytes = (unsigned char *)w.column[0].data;
		for (uint64_t i = 0; i < size; i++) {
			bytes[i] ^= 0x80;
			assert_int_equal(w.load->serial(&w, 0, 1, &sum), 0);
			assert_false(work_verify(&w, &sum, &bad));
			bytes[i] ^= 0x80;
		}
		work_close(&w);
	}
}

/* Every byte of every size is a known function of the seed and its place. */
static void emit_of_odd_sizes_writes_every_byte(void **state)
{
	(void)state;
	for (uint64_t size = 1; size < 20; size++) {
		struct work w;
		open_with(&w, "emit", (struct work_options){ .tasks = 3, .payload_bytes = size });
		assert_int_equal(w.result_size, size);
		const uint64_t *order = w.column[0].data; /* seed, bytes */
		const unsigned char *bytes = w.expected;
		for (uint64_t i = 0; i < 3 * size; i++) {
			uint64_t at = i % size;
			uint64_t word = (order[i / size * 2] + at / 8 * 8) * 11400714819323198485u;
			assert_int_equal(bytes[i], word >> 8 * (at % 8) & 0xff);
		}
		work_close(&w);
	}
}

/* The mean is `work`, and half of the tasks are longer than ln 2 of it, an eighth longer than ln 8. */
static void check_exponential(const struct work *w, double mean)
{
	double sum = 0;
	int above_2 = 0, above_8 = 0;

	for (uint64_t i = 0; i < w->tasks; i++) {
		sum += (double)steps_of(w, i);
		above_2 += (double)steps_of(w, i) > 0.693147 * mean;
		above_8 += (double)steps_of(w, i) > 2.079442 * mean;
	}
	/* Of 64000 values: standard deviations 0.4 % of the mean, 127 and 84 of the counts. */
	assert_in_range((int)(sum / (double)w->tasks), (int)(0.97 * mean), (int)(1.03 * mean));
	assert_in_range(above_2, 32000 - 800, 32000 + 800);
	assert_in_range(above_8, 8000 - 500, 8000 + 500);
}

static void exponential_has_the_distribution_it_claims(void **state)
{
	struct work w, other;
	int moved = 0;

	(void)state;
	open_with(&w, "exponential", (struct work_options){ .tasks = 64000, .work = 500 });
	open_with(&other, "exponential",
		  (struct work_options){ .tasks = 64000, .work = 500, .seed = 2 });
	check_exponential(&w, 500);
	for (uint64_t i = 0; i < w.tasks; i++)
		moved += steps_of(&w, i) != steps_of(&other, i);
	assert_true(moved > 32000);
	work_close(&w);
	work_close(&other);
}

static void sorted_ascends_through_the_same_distribution(void **state)
{
	struct work w, other;

	(void)state;
	open_with(&w, "sorted", (struct work_options){ .tasks = 64000, .work = 500 });
	open_with(&other, "sorted",
		  (struct work_options){ .tasks = 64000, .work = 500, .seed = 2 });
	check_exponential(&w, 500);
	for (uint64_t i = 1; i < w.tasks; i++) {
		assert_true(steps_of(&w, i) >= steps_of(&w, i - 1));
		assert_int_equal(steps_of(&w, i), steps_of(&other, i));
	}
	work_close(&w);
	work_close(&other);
	open_with(&w, "sorted", (struct work_options){ .tasks = 1, .work = 1000 });
	assert_int_equal(steps_of(&w, 0), 694); /* ln 2, the median */
	work_close(&w);
}

static void sleep_of_a_millisecond_takes_one(void **state)
{
	struct timespec begin, end;
	uint64_t tokens[20], bad;
	struct work w;

	(void)state;
	open_with(&w, "sleep", (struct work_options){ .tasks = 20, .work = 1000 });
	clock_gettime(CLOCK_MONOTONIC, &begin);
	assert_int_equal(w.load->serial(&w, 0, w.tasks, tokens), 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_true(work_verify(&w, tokens, &bad));
	assert_true((end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000 >=
		    20);
	work_close(&w);
}

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_of_abc_is_the_published_one),
		cmocka_unit_test(wordcount_counts_as_wc_does_also_across_pieces),
		cmocka_unit_test(arithmetic_is_what_its_name_says),
		cmocka_unit_test(primes_below_a_power_of_ten_are_as_published),
		cmocka_unit_test(mandelbrot_is_symmetric_around_the_set),
		cmocka_unit_test(matmul_does_not_depend_on_the_blocks),
		cmocka_unit_test(skew_makes_one_task_in_a_hundred_long),
		cmocka_unit_test(straggler_has_one_long_task_and_it_is_the_first),
		cmocka_unit_test(pareto_has_the_tail_it_claims),
		cmocka_unit_test(lengths_depend_on_the_seed_alone),
		cmocka_unit_test(spin_of_three_steps_is_the_chain_written_out),
		cmocka_unit_test(stream_of_odd_sizes_tells_every_byte),
		cmocka_unit_test(emit_of_odd_sizes_writes_every_byte),
		cmocka_unit_test(exponential_has_the_distribution_it_claims),
		cmocka_unit_test(sorted_ascends_through_the_same_distribution),
		cmocka_unit_test(sleep_of_a_millisecond_takes_one),
	};
	return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
