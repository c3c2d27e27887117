/*
 * bars.c - verdicts and the table of bars.
 */
#include "harness/bars.h"

#include <errno.h>
#include <math.h>
#include <string.h>

enum verdict bar_verdict(const struct demand *demand, const struct interval *value)
{
	bool low_side = demand->bound == AT_MOST;

	if (!(value->mid > 0))
		return BAR_MISSING;
	if (demand->bound == NO_BOUND)
		return BAR_TOLD;
	if (!(value->level > 0))
		return BAR_TOO_FEW;
	if (value->high <= demand->limit && low_side)
		return BAR_MET;
	if (value->low >= demand->limit && !low_side)
		return BAR_MET;
	if (value->low > demand->limit || value->high < demand->limit)
		return BAR_NOT_MET;
	return BAR_UNDECIDED;
}

const char *verdict_text(enum verdict verdict)
{
	static const char *const texts[] = {
		[BAR_TOLD] = "a limit",		[BAR_MET] = "met",
		[BAR_MISSING] = "not measured", [BAR_TOO_FEW] = "too few rounds",
		[BAR_UNDECIDED] = "undecided",	[BAR_NOT_MET] = "not met",
	};

	return texts[verdict];
}

bool bar_is_worse(const struct demand *demand, const struct value *a, const struct value *b)
{
	enum verdict of_a = bar_verdict(demand, &a->interval);
	enum verdict of_b = bar_verdict(demand, &b->interval);

	if (of_a != of_b)
		return of_a > of_b;
	return demand->bound == AT_MOST ? a->interval.mid > b->interval.mid
					: a->interval.mid < b->interval.mid;
}

int bars_open(struct bars *bars, const struct derivation *d)
{
	static const char header[] = "bar\twhat\tmeasured\tlow\thigh\tunit\twanted\tverdict\twhy\n";

	*bars = (struct bars){ 0 };
	bars->file = derive_table(d, "bars");
	if (bars->file == NULL)
		return -errno;
	bars->all = derive_table(d, "bars-all");
	if (bars->all == NULL)
		return -errno;
	fputs(header, bars->file);
	fputs(header, bars->all);
	return 0;
}

int bars_close(struct bars *bars)
{
	int rc = bars->file ? table_close(bars->file) : 0;
	int other = bars->all ? table_close(bars->all) : 0;

	return rc ? rc : other;
}

void bars_begin(struct bars *bars, const struct demand *demand)
{
	bars->demand = *demand;
	bars->values = bars->met = bars->missing = 0;
}

/* Three digits, and never an exponent: the table is for people. */
static const char *number_text(double x, char text[32])
{
	snprintf(text, 32, x >= 999.5 ? "%.0f" : "%.3g", x);
	return text;
}

/* An end of the interval that is not known, by too few rounds or beyond what was measured, is "?". */
static void put_end(FILE *file, bool known, double x)
{
	char text[32];

	fprintf(file, "\t%s", known && isfinite(x) ? number_text(x, text) : "?");
}

static void put_value(FILE *file, const struct demand *demand, const char *which,
		      const struct value *value, const char *why)
{
	const struct interval *interval = &value->interval;
	bool bounded = interval->mid > 0 && interval->level > 0;
	char text[32];

	fprintf(file, "%s\t%s%s%s", demand->bar, demand->what, which[0] ? ": " : "", which);
	if (interval->mid > 0)
		fprintf(file, "\t%s%s", value->bound ? value->bound : "",
			number_text(interval->mid, text));
	else
		fputs("\t?", file);
	put_end(file, bounded, interval->low);
	put_end(file, bounded, interval->high);
	fprintf(file, "\t%s\t", demand->unit);
	if (demand->bound == NO_BOUND)
		fputs("-", file);
	else
		fprintf(file, "at %s %s", demand->bound == AT_MOST ? "most" : "least",
			number_text(demand->limit, text));
	fprintf(file, "\t%s\t%s\n", verdict_text(bar_verdict(demand, interval)), why);
}

void bars_add(struct bars *bars, const struct value *value)
{
	enum verdict verdict = bar_verdict(&bars->demand, &value->interval);

	put_value(bars->all, &bars->demand, value->which, value, value->why);
	bars->met += verdict == BAR_MET;
	bars->missing += verdict == BAR_MISSING;
	if (bars->values++ == 0 || bar_is_worse(&bars->demand, value, &bars->worst))
		bars->worst = *value;
}

static void tally(struct bars *bars, enum verdict verdict)
{
	size_t i = 0;

	while (i < bars->count && strcmp(bars->bar[i].bar, bars->demand.bar) != 0)
		i++;
	if (i == BARS_MAX)
		return;
	if (i == bars->count) {
		bars->count++;
		bars->bar[i].bar = bars->demand.bar;
		bars->bar[i].verdict = verdict;
	}
	if (verdict > bars->bar[i].verdict)
		bars->bar[i].verdict = verdict;
}

void bars_end(struct bars *bars)
{
	char why[sizeof bars->worst.why + 96], missing[48] = "";

	if (bars->values == 0)
		bars_add(bars, &(struct value){ .why = "nothing of it was measured" });
	snprintf(why, sizeof why, "%s", bars->worst.why);
	if (bars->missing > 0)
		snprintf(missing, sizeof missing, ", %zu not measured", bars->missing);
	if (bars->values > 1)
		snprintf(why, sizeof why, "worst of %zu, %zu met%s; %s", bars->values, bars->met,
			 missing, bars->worst.why);
	put_value(bars->file, &bars->demand, bars->worst.which, &bars->worst, why);
	if (bars->demand.bound != NO_BOUND)
		tally(bars, bar_verdict(&bars->demand, &bars->worst.interval));
}
