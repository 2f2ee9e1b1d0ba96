/* SPDX-License-Identifier: Apache-2.0
 *
 * Trace: texts. What a packet is, what changed, what a fast-path flow looks at, and the whole for people.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "lib/packet_key.h"
#include "lib/strbuf.h"
#include "ofproto/of_match.h"
#include "ofproto/of_trace_internal.h"
#include "ofproto/ofproto_internal.h"

#define TCI_VID 0x0fffu
#define TCI_PCP 0xe000u
#define TCI_PCP_SHIFT 13

static void tell_change(
	struct of_trace *t, const char *field, const char *before, const char *after);
static void tell_tag_changes(
	struct of_trace *t, const struct flow_key *before, const struct flow_key *after);
static void look_at(struct of_trace_pass *pass, struct of_trace_looked looked);
static void look_at_tag(struct of_trace_pass *pass, unsigned mask, const char *field);
static char *bits_text(const struct field *f, const union field_value *mask);
static void format_node(const struct of_trace_node *n, unsigned indent, struct strbuf *out);
static void format_pass(const struct of_trace_pass *pass, struct strbuf *out);

char *
of_trace_flow_text(const struct ofproto *p, const struct flow_key *key, bool is_dp)
{
	struct of_text_names names = of_text_names_of(p);
	struct strbuf text = STRBUF_INIT;
	struct of_match m = {.value = *key};

	if (is_dp) {
		const struct ofport *port =
			ofport_by_dp(p->model, (struct dp_port){be32_to(key->in_port)});
		struct flow_mask looked = {0};

		if (port && port->info.kind == OF_PORT_TUNNEL) {
			const struct ofport *found = tunnel_find(p->model, port, key, &looked);

			port = found ? found : port;
		}
		m.value.in_port = be32_from(port ? port->info.number.v : OFPP_ANY);
		names = of_text_names_of(port ? port->ofproto : p);
	}
	packet_key_fields(&m.value, &m.mask);
	flow_key_mask(&m.value, &m.value, FLOW_BLOCKS_ALL, &m.mask);
	of_text_format_match(&m, OF_DEFAULT_PRIORITY, &names, &text);
	return strbuf_take(&text);
}

/* --- changes ------------------------------------------------------------------------------------- */

void
of_trace_changes(struct of_trace *t, const struct flow_key *before, const struct flow_key *after)
{
	struct flow_mask left;

	for (unsigned i = 0; i < OF_N_WORDS; i++) {
		left.bits.words[i] = before->words[i] ^ after->words[i];
	}
	left.bits.in_port = 0; /* told as the table's */
	tell_tag_changes(t, before, after);
	left.bits.vlan_tci = 0;
	if (!before->vlan_tci || !after->vlan_tci) {
		left.bits.vlan_tpid = 0;
	}
	for (unsigned id = 0; id < FIELD_N; id++) {
		const struct field *f = field_get((enum field_id)id);
		struct strbuf old = STRBUF_INIT, new = STRBUF_INIT;
		union field_value value, none = {{0}};

		/* What a header that is no longer there held does not matter. */
		if (!field_is_masked(f, &left) ||
			!field_prereq_holds((enum field_prereq)f->prereq, after)) {
			continue;
		}
		field_load(f, before, &value);
		field_format_value(f, &value, NULL, &old);
		field_load(f, after, &value);
		field_format_value(f, &value, NULL, &new);
		tell_change(t, f->name, strbuf_text(&old), strbuf_text(&new));
		strbuf_uninit(&old);
		strbuf_uninit(&new);
		field_store(f, &left.bits, &none);
	}
}

/* As dl_vlan and dl_vlan_pcp; a packet without a tag has neither. */
static void
tell_tag_changes(struct of_trace *t, const struct flow_key *before, const struct flow_key *after)
{
	const struct {
		const char *field;
		unsigned mask, shift;
	} parts[] = {{"dl_vlan", TCI_VID, 0}, {"dl_vlan_pcp", TCI_PCP, TCI_PCP_SHIFT}};
	const unsigned tci[] = {be16_to(before->vlan_tci), be16_to(after->vlan_tci)};

	for (size_t i = 0; i < WEFT_ARRAY_SIZE(parts); i++) {
		char text[2][8];

		if (!((tci[0] ^ tci[1]) & (parts[i].mask | FLOW_VLAN_PRESENT))) {
			continue;
		}
		for (unsigned k = 0; k < 2; k++) {
			if (tci[k] & FLOW_VLAN_PRESENT) {
				snprintf(text[k], sizeof(text[k]), "%u",
					(tci[k] & parts[i].mask) >> parts[i].shift);
			} else {
				snprintf(text[k], sizeof(text[k]), "none");
			}
		}
		tell_change(t, parts[i].field, text[0], text[1]);
	}
}

static void
tell_change(struct of_trace *t, const char *field, const char *before, const char *after)
{
	struct of_trace_node *n =
		of_trace_add(t, OF_TRACE_CHANGE, "%s: %s -> %s", field, before, after);

	of_trace_put_text(n, "field", field);
	of_trace_put_text(n, "before", before);
	of_trace_put_text(n, "after", after);
}

/* --- the fast-path flow -------------------------------------------------------------------------- */

void
of_trace_set_fast_path(struct of_trace_pass *pass, const struct translation *result)
{
	struct flow_mask left = result->mask;
	struct strbuf text = STRBUF_INIT;
	struct flow_key key;

	pass->mask = result->mask;
	pass->dp_actions_size = result->actions.size;
	pass->dp_actions = xmemdup(result->actions.data, result->actions.size);
	pass->drop = result->drop;
	flow_key_mask(&key, &pass->key, FLOW_BLOCKS_ALL, &result->mask);
	flow_text_format(&key, &result->mask, &text);
	pass->match = strbuf_take(&text);
	dp_actions_format(result->actions.data, result->actions.size, &text);
	pass->actions = strbuf_take(&text);
	/* Of fields that share a place, the one that the packet has. */
	for (unsigned i = 0; i < 2 * FIELD_N; i++) {
		unsigned id = i % FIELD_N;
		const struct field *f = field_get((enum field_id)id);
		union field_value mask, none = {{0}};

		if (!field_is_masked(f, &left) ||
			(i < FIELD_N &&
				!field_prereq_holds((enum field_prereq)f->prereq, &pass->key))) {
			continue;
		}
		field_load(f, &left.bits, &mask);
		if (id == FIELD_VLAN_TCI || id == FIELD_INNER_TCI) {
			look_at_tag(pass, (unsigned)field_value_u64(f, &mask),
				id == FIELD_VLAN_TCI ? "vlan" : "inner vlan");
		} else {
			look_at(pass, (struct of_trace_looked){f->name, bits_text(f, &mask)});
		}
		field_store(f, &left.bits, &none);
	}
}

/* Takes the text. */
static void
look_at(struct of_trace_pass *pass, struct of_trace_looked looked)
{
	pass->looked = xrealloc(pass->looked, (pass->n_looked + 1) * sizeof(pass->looked[0]));
	pass->looked[pass->n_looked++] = looked;
}

static void
look_at_tag(struct of_trace_pass *pass, unsigned mask, const char *field)
{
	struct strbuf text = STRBUF_INIT;

	if (mask & FLOW_VLAN_PRESENT) {
		strbuf_put(&text, "whether there is a tag");
	}
	if ((mask & TCI_VID) == TCI_VID) {
		strbuf_printf(&text, "%sits id", text.len ? ", " : "");
	} else if (mask & TCI_VID) {
		strbuf_printf(&text, "%sbits 0x%x of its id", text.len ? ", " : "", mask & TCI_VID);
	}
	if (mask & TCI_PCP) {
		strbuf_printf(&text, "%sits priority", text.len ? ", " : "");
	}
	look_at(pass, (struct of_trace_looked){field, strbuf_take(&text)});
}

/* Which bits of a field. */
static char *
bits_text(const struct field *f, const union field_value *mask)
{
	unsigned first = 0, n = 0, last = 0;
	struct strbuf text = STRBUF_INIT;

	/* Bits are counted from the high end, which is the first on the wire. */
	for (unsigned i = 0; i < f->width; i++) {
		unsigned bit = f->width - 1 - i;

		if (mask->b[f->n_bytes - 1 - bit / 8] >> bit % 8 & 1) {
			first = n ? first : i;
			last = i;
			n++;
		}
	}
	if (n == f->width) {
		strbuf_put(&text, "all");
	} else if (n == last - first + 1 && first == 0) {
		strbuf_printf(&text, "the first %u of %u bits", n, f->width);
	} else if (n == last - first + 1 && last + 1 == f->width) {
		strbuf_printf(&text, "the last %u of %u bits", n, f->width);
	} else {
		strbuf_put(&text, "bits 0x");
		for (unsigned i = 0; i < f->n_bytes; i++) {
			strbuf_printf(&text, "%02x", mask->b[i]);
		}
	}
	return strbuf_take(&text);
}

/* --- for people ---------------------------------------------------------------------------------- */

void
of_trace_format(const struct of_trace *t, struct strbuf *out)
{
	const struct of_trace_pass *pass;

	LIST_FOREACH (pass, link, &t->passes) {
		if (&pass->link != t->passes.next) {
			strbuf_put_char(out, '\n');
		}
		format_pass(pass, out);
	}
}

static void
format_pass(const struct of_trace_pass *pass, struct strbuf *out)
{
	const struct of_trace_node *n;

	strbuf_printf(out, "%s: %s\n", pass->recirc_id ? "recirculated" : "packet", pass->flow);
	LIST_FOREACH (n, link, &pass->root.children) {
		format_node(n, 2, out);
	}
	if (pass->is_refused || pass->is_pending) {
		return;
	}
	strbuf_printf(out, "final flow: %s\n",
		strcmp(pass->final, pass->flow) ? pass->final : "unchanged");
	strbuf_printf(out, "fast-path flow: %s\n  looks at: ", pass->match);
	for (size_t i = 0; i < pass->n_looked; i++) {
		const struct of_trace_looked *l = &pass->looked[i];

		strbuf_printf(out, "%s%s", i ? ", " : "", l->field);
		if (strcmp(l->bits, "all")) {
			strbuf_printf(out, " (%s)", l->bits);
		}
	}
	strbuf_printf(out, "\n  actions: %s\n", pass->actions);
	if (pass->drop != DROP_N) {
		strbuf_printf(out, "  drops: %s: %s\n", drop_reason_name(pass->drop),
			drop_reason_text(pass->drop));
	}
}

static void
format_node(const struct of_trace_node *n, unsigned indent, struct strbuf *out)
{
	const struct of_trace_node *child;

	strbuf_printf(out, "%*s%s\n", (int)indent, "", n->text);
	LIST_FOREACH (child, link, &n->children) {
		format_node(child, indent + 2, out);
	}
}
