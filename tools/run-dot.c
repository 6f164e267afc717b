/* SPDX-License-Identifier: Apache-2.0 */
/* The graph of a topology for graphviz. An end of an edge with a dot is the one that is bound. */
#include <stdio.h>
#include <string.h>

#include "run.h"

/* Within double quotes, of which n bytes are printed. */
static void dot_print_text(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '"' || text[i] == '\\')
			putchar('\\');
		putchar(text[i]);
	}
}

static void dot_print_node(const struct run_entry *entry)
{
	fputs("\t\"", stdout);
	dot_print_text(entry->name, strlen(entry->name));
	fputs("\" [label=\"", stdout);
	dot_print_text(entry->name, strlen(entry->name));
	if (entry->is_counted)
		printf(" x%zu", entry->n_copies);
	if (entry->n_words > 0) {
		fputs("\\n", stdout);
		dot_print_text(entry->words[0], strlen(entry->words[0]));
	}
	fputs("\"];\n", stdout);
}

/* The name of its channel, and of the other one where that is called otherwise. */
static void dot_print_channels(const struct run_endpoint *from, const struct run_endpoint *to)
{
	dot_print_text(from->channel, strlen(from->channel));
	if (strcmp(from->channel, to->channel) != 0) {
		fputs(" - ", stdout);
		dot_print_text(to->channel, strlen(to->channel));
	}
}

static void dot_print_edge(const struct run_topology *topology, const struct run_edge *edge)
{
	const char *from = topology->entries[edge->from->entry].name, *to = topology->entries[edge->to->entry].name;
	const char *bound = edge->from->is_bound ? "tail" : "head";

	fputs("\t\"", stdout);
	dot_print_text(from, strlen(from));
	fputs("\" -> \"", stdout);
	dot_print_text(to, strlen(to));
	fputs("\" [dir=both, label=\"", stdout);
	dot_print_channels(edge->from, edge->to);
	fputs("\\n", stdout);
	dot_print_text(edge->from->address, edge->from->n_address);
	/* Seen from the node outwards. */
	if (edge->is_both_ways)
		printf("\", arrowtail=%s, arrowhead=%s];\n", bound[0] == 't' ? "dotnormal" : "normal",
		       bound[0] == 'h' ? "dotnormal" : "normal");
	else
		printf("\", arrowtail=%s, arrowhead=%s];\n", bound[0] == 't' ? "dot" : "none",
		       bound[0] == 'h' ? "dotnormal" : "normal");
}

/* An address that nobody else in the file has: the other end is somewhere else. */
static void dot_print_open_end(const struct run_topology *topology, const struct run_endpoint *endpoint, size_t index)
{
	const char *name = topology->entries[endpoint->entry].name;

	for (size_t i = 0; i < topology->n_edges; i++)
		if (topology->edges[i].from == endpoint || topology->edges[i].to == endpoint)
			return;
	printf("\t\"open end %zu\" [shape=plaintext, style=\"\", label=\"", index);
	dot_print_text(endpoint->address, endpoint->n_address);
	fputs("\"];\n\t\"", stdout);
	dot_print_text(name, strlen(name));
	printf("\" -> \"open end %zu\" [style=dashed, dir=both, arrowhead=none, arrowtail=%s, label=\"", index,
	       endpoint->is_bound ? "dot" : "none");
	dot_print_text(endpoint->channel, strlen(endpoint->channel));
	fputs("\"];\n", stdout);
}

void run_dot_print(const struct run_topology *topology)
{
	fputs("digraph \"", stdout);
	dot_print_text(topology->file, strlen(topology->file));
	fputs("\" {\n\trankdir=LR;\n\tnode [shape=box, style=rounded, fontname=\"sans-serif\"];\n"
	      "\tedge [fontname=\"sans-serif\", fontsize=10];\n",
	      stdout);
	for (size_t i = 0; i < topology->n_entries; i++)
		dot_print_node(&topology->entries[i]);
	for (size_t i = 0; i < topology->n_edges; i++)
		dot_print_edge(topology, &topology->edges[i]);
	for (size_t i = 0; i < topology->n_endpoints; i++)
		dot_print_open_end(topology, &topology->endpoints[i], i);
	fputs("}\n", stdout);
}
