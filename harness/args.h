/*
 * args.h - reading numbers and texts from a command line, strictly.
 *
 * Each takes all of `text` or nothing: 0, or -EINVAL after one line on stderr that names the option,
 * what was given and what is accepted. *value is set on success only.
 */
#ifndef HARNESS_ARGS_H
#define HARNESS_ARGS_H

#include <stddef.h>
#include <stdint.h>

struct option; /* of <getopt.h> */

/* getopt_long(), whose own lines begin with "poolbench:" like all others. */
int args_option(int argc, char **argv, const char *letters, const struct option *options);

#define ARGS_BYTES_MAX (UINT64_C(1) << 50)

int args_whole(const char *option, const char *text, int64_t min, int64_t max, int64_t *value);
int args_int(const char *option, const char *text, int min, int max, int *value);
/* Bytes from `min` to 2^50, with an optional suffix k, M or G (powers of 1024). */
int args_bytes(const char *option, const char *text, uint64_t min, uint64_t *value);
/* A time from a second to a week: a whole number with the suffix s, m or h. */
int args_time(const char *option, const char *text, int64_t *ns);
/* 0 to 1000 per cent as a fraction: "2.5" and "2.5%" are 0.025. */
int args_percent(const char *option, const char *text, double *fraction);
/* Any text but an empty one: that is mostly a variable of a script that is not set. *value is `text` itself. */
int args_text(const char *option, const char *text, const char **value);
/* A directory that can be listed. */
int args_directory(const char *option, const char *path);
/* The seed that was given; one from the clock where `wanted` is negative. */
uint64_t args_seed(int64_t wanted);
/* A name that fits; a longer one is cut, and then unknown to whoever looks it up. */
void args_name(const char *text, char *name, size_t size);

#endif
