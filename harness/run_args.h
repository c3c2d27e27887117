/*
 * run_args.h - what the user wants of `poolbench run`.
 */
#ifndef HARNESS_RUN_ARGS_H
#define HARNESS_RUN_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GATE_ROUNDS 20

struct run_wish {
	int level;	   /* 0 quick, 1, 2 full */
	int rounds;	   /* 0: the level's */
	int64_t seed;	   /* negative: any */
	int64_t budget_ns; /* 0: the level's */
	double precision;  /* 0: none asked for */
	const char *out, *resume, *cells;
	const char *save;     /* --save-baseline */
	const char *baseline; /* --baseline, or that of --gate */
	const char *const *experiments;
	size_t experiment_count;
	bool gate, all_rounds, help;
	bool scaled,
		planned; /* what goes only with cells of its own; what --resume takes from the run */
};

/* 0, or -EINVAL after one line on stderr. What it points to are the arguments. */
int run_args_read(struct run_wish *wish, int argc, char **argv);

extern const char run_help[];

#endif
