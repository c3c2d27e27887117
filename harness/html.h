/*
 * html.h - pieces of the report: escaped text, tables from TSV, figures from SVG. Whatever comes from data is escaped.
 */
#ifndef HARNESS_HTML_H
#define HARNESS_HTML_H

#include <stdio.h>

/* Writes text with & < > " ' as character references, control characters but newlines and tabs as spaces. */
void html_text(FILE *file, const char *text);

/* The same, "_" as a space: a name of the data, for people. */
void html_words(FILE *file, const char *name);

/* For Markdown: a bar would end a cell of a table, and < begin a tag. */
void markdown_text(FILE *file, const char *text);

/* A table of RUN/tables/<name>.tsv, names of columns said in words; `interval` is what intervals are called: "95 %". 0 or
 * -errno when it cannot be read. */
int html_table(FILE *file, const char *run, const char *name, const char *interval);

/* The same as a table of Markdown; its intervals are of 95 %. */
int markdown_table(FILE *file, const char *run, const char *name);

/* RUN/plots/<name>.svg as an inline figure with `alt` as its name for screen readers. 0 or -errno. */
int html_figure(FILE *file, const char *run, const char *name, const char *alt);

/* The head of the page with its style sheet, up to <main>. */
void html_head(FILE *file, const char *title);

#endif
