/*
 * html.c - pieces of the report.
 */
#include "harness/html.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

void html_text(FILE *file, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			fputs("&amp;", file);
			break;
		case '<':
			fputs("&lt;", file);
			break;
		case '>':
			fputs("&gt;", file);
			break;
		case '"':
			fputs("&quot;", file);
			break;
		case '\'':
			fputs("&#39;", file);
			break;
		default: /* an error's text may have control characters, which a page may not */
			fputc((unsigned char)*text < ' ' && !strchr("\n\t", *text) ? ' ' : *text,
			      file);
		}
	}
}

void html_words(FILE *file, const char *name)
{
	char word[64];

	snprintf(word, sizeof word, "%s", name);
	for (char *c = word; *c; c++)
		if (*c == '_')
			*c = ' ';
	html_text(file, word);
}

/* A measured number, for reading: three digits do. Everything else stays as it is. */
static const char *readable(const char *cell, char text[64])
{
	char *end;
	double x = strtod(cell, &end);

	if (end == cell || *end != '\0' || strpbrk(cell, ".e") == NULL)
		return cell;
	snprintf(text, 64, x >= 1000 && x < 1e15 ? "%.0f" : "%.3g", x);
	return text;
}

/* The name of a column, for people: "ns_per_task" is "ns per task", and "low" and "high" are the ends of an interval. */
static const char *heading(const char *cell, const char *interval, char text[64])
{
	static const struct {
		const char *name, *said;
	} ends[] = { { "low", "from" }, { "high", "to" } };
	size_t length = strlen(cell);

	snprintf(text, 64, "%s", cell);
	for (size_t i = 0; i < 2; i++) {
		size_t end = strlen(ends[i].name), before = length - end;
		if (length < end || strcmp(cell + before, ends[i].name) != 0)
			continue;
		if (before == 0)
			snprintf(text, 64, "%s %s", interval, ends[i].said);
		else if (cell[before - 1] == '_' && before < 44)
			snprintf(text, 64, "%.*s, %s %s", (int)before - 1, cell, interval,
				 ends[i].said);
	}
	for (char *c = text; *c; c++)
		if (*c == '_')
			*c = ' ';
	return text;
}

void markdown_text(FILE *file, const char *text)
{
	for (; *text; text++) {
		if (strchr("|<>*`\\", *text))
			fputc('\\', file);
		fputc((unsigned char)*text < ' ' ? ' ' : *text,
		      file); /* a line is an item, a row */
	}
}

static FILE *open_part(const char *run, const char *place, const char *name, const char *suffix)
{
	char path[PATH_MAX];
	int size = snprintf(path, sizeof path, "%s/%s/%s.%s", run, place, name, suffix);

	if (size < 0 || (size_t)size >= sizeof path) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	return fopen(path, "re");
}

#define SENTENCE                                                                                   \
	24 /* characters; longer cells may be broken, so that what stands behind them stays on the page */

/* How one line of a table becomes text; the first is the header: what intervals are called there. NULL: another one. */
typedef void line_writer(FILE *file, char *line, const char *header);

static void html_line(FILE *file, char *line, const char *header)
{
	char *cell, text[64];

	fputs("<tr>", file);
	while ((cell = strsep(&line, "\t"))) {
		fputs(header			? "<th scope=\"col\">"
		      : strlen(cell) > SENTENCE ? "<td class=\"long\">"
						: "<td>",
		      file);
		html_text(file, header ? heading(cell, header, text) : readable(cell, text));
		fputs(header ? "</th>" : "</td>", file);
	}
	fputs("</tr>\n", file);
}

static void markdown_line(FILE *file, char *line, const char *header)
{
	size_t count = 0;
	char *cell, text[64];

	for (; (cell = strsep(&line, "\t")); count++) {
		fputs("| ", file);
		markdown_text(file, header ? heading(cell, header, text) : readable(cell, text));
		fputc(' ', file);
	}
	fputs("|\n", file);
	for (size_t i = 0; header && i < count; i++)
		fputs(i + 1 < count ? "|---" : "|---|\n", file);
}

static int write_table(FILE *file, FILE *table, const char *interval, line_writer *writer)
{
	char *line = NULL;
	size_t room = 0;
	const char *header = interval;

	while (getline(&line, &room, table) > 0) {
		line[strcspn(line, "\n")] = '\0';
		writer(file, line, header);
		header = NULL;
	}
	free(line);
	int rc = ferror(table) ? -EIO : 0;
	fclose(table);
	return rc;
}

int html_table(FILE *file, const char *run, const char *name, const char *interval)
{
	FILE *table = open_part(run, "tables", name, "tsv");

	if (!table)
		return -errno;
	fputs("<div class=\"scroll\"><table>\n", file);
	int rc = write_table(file, table, interval, html_line);
	fputs("</table></div>\n", file);
	return rc;
}

int markdown_table(FILE *file, const char *run, const char *name)
{
	FILE *table = open_part(run, "tables", name, "tsv");

	return table ? write_table(file, table, "95 %", markdown_line) : -errno;
}

/* Where in the line the next id stands, its own or that of a reference; NULL: nowhere. */
static const char *next_id(const char *line)
{
	static const char *const before[] = { " id='", " id=\"", "href='#", "href=\"#", "url(#" };
	const char *first = NULL;

	for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
		const char *at = strstr(line, before[i]);
		if (at && (!first || at + strlen(before[i]) < first))
			first = at + strlen(before[i]);
	}
	return first;
}

/* Without the XML declaration and the document type, which have no place inside a page. An id gets the figure's name in
 * front: gnuplot takes the same ones in each figure, and on a page a reference means the first. */
static void copy_svg(FILE *file, FILE *svg, const char *name)
{
	char *line = NULL;
	size_t room = 0;
	int inside = 0;

	while (getline(&line, &room, svg) > 0) {
		const char *start = inside ? line : strstr(line, "<svg");
		if (!start)
			continue;
		inside = 1;
		for (const char *id; (id = next_id(start)) != NULL; start = id)
			fprintf(file, "%.*s%s-", (int)(id - start), start, name);
		fputs(start, file);
	}
	free(line);
}

int html_figure(FILE *file, const char *run, const char *name, const char *alt)
{
	FILE *svg = open_part(run, "plots", name, "svg");

	if (!svg)
		return -errno;
	fputs("<figure role=\"img\" aria-label=\"", file);
	html_text(file, alt);
	fputs("\">\n", file);
	copy_svg(file, svg, name);
	fputs("</figure>\n", file);
	int rc = ferror(svg) ? -EIO : 0;
	fclose(svg);
	return rc;
}

static const char style[] =
	":root{color-scheme:light dark;--text:#1c1f23;--soft:#555c66;--page:#fbfbf9;--card:#fff;"
	"--line:#d9dbe0;--mark:#0072b2}\n"
	"@media (prefers-color-scheme:dark){:root{--text:#e6e6e3;--soft:#a9afb8;--page:#16181b;"
	"--card:#1f2226;--line:#3a3f46;--mark:#56b4e9}}\n"
	"*{box-sizing:border-box}\n"
	"body{margin:0;background:var(--page);color:var(--text);"
	"font:17px/1.55 system-ui,'DejaVu Sans',sans-serif}\n"
	"main{max-width:62rem;margin:0 auto;padding:1.2rem 1rem 3rem}\n"
	"h1{font-size:1.8rem;line-height:1.2;margin:.6rem 0 .2rem}\n"
	"h2{font-size:1.3rem;margin:2.8rem 0 .3rem;border-top:1px solid "
	"var(--line);padding-top:1.4rem}\n"
	"h3{font-size:1rem;margin:1.2rem 0 .3rem}\n"
	".claim{font-style:italic;color:var(--soft);margin:.2rem 0}\n"
	".finding{border-left:4px solid var(--mark);padding:.3rem 0 .3rem .9rem;margin:1rem 0;"
	"font-weight:600}\n"
	".soft{color:var(--soft);font-size:.92rem}\n"
	"figure{margin:1rem 0;background:#fff;border:1px solid var(--line);border-radius:8px;"
	"padding:.5rem}\n"
	"figure svg{display:block;width:100%;height:auto}\n"
	"a{color:var(--mark)}\n"
	"@media (max-width:40rem){figure{overflow-x:auto}figure svg{width:42rem}}\n"
	".scroll{overflow-x:auto}\n"
	"table{border-collapse:collapse;font-size:.88rem;font-variant-numeric:tabular-nums}\n"
	"th,td{text-align:left;padding:.28rem .8rem .28rem 0;border-bottom:1px solid var(--line);"
	"white-space:nowrap}\n"
	"td{overflow-wrap:anywhere}td.long{white-space:normal;min-width:11rem}\n"
	"th{white-space:normal;vertical-align:bottom}\n"
	".facts td{white-space:normal}\n"
	"summary{cursor:pointer;color:var(--mark);padding:.4rem 0}\n"
	"@media "
	"print{body{background:#fff;color:#000;font-size:11pt}figure{break-inside:avoid;overflow:"
	"visible}"
	"figure svg{width:100%}"
	"details{display:none}h2,.claim{break-after:avoid}}\n";

void html_head(FILE *file, const char *title)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>",
	      file);
	html_text(file, title);
	fputs("</title>\n<style>\n", file);
	fputs(style, file);
	fputs("</style>\n</head>\n<body>\n<main>\n", file);
}
