/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz: texts of flows, groups and meters. A flow that parses is printed, and parses again to the same.
 * Room: ofproto
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/strbuf.h"
#include "ofproto/of_text.h"
#include "ofproto/ofproto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
print(const struct of_flow_mod *fm, struct strbuf *out)
{
	of_text_format_match(&fm->match, fm->priority, NULL, out);
	strbuf_put(out, " actions=");
	of_text_format_actions(fm->actions.data, fm->actions.size, NULL, out);
}

/* Groups and meters, to be added and to be deleted. */
static void
parse_objects(const uint8_t *data, size_t size)
{
	for (unsigned i = 0; i < 2; i++) {
		struct of_group_mod gm = {.command = i ? OF_MOD_DELETE : OF_MOD_ADD};
		struct of_meter_mod mm = {.command = gm.command};

		(void)!of_text_parse_group((const char *)data, size, i, NULL, &gm, NULL);
		of_group_mod_uninit(&gm);
		(void)!of_text_parse_meter((const char *)data, size, &mm, NULL);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct of_flow_mod fm = {.command = OF_FLOW_ADD}, again = {.command = OF_FLOW_ADD};
	struct strbuf first = STRBUF_INIT, second = STRBUF_INIT;
	struct weft_error err = WEFT_ERROR_INIT;
	struct of_flow_query q;

	parse_objects(data, size);
	(void)!of_text_parse_query((const char *)data, size, NULL, &q, NULL);
	if (of_text_parse_flow((const char *)data, size, true, NULL, &fm, &err) &&
		(fm.command == OF_FLOW_ADD || fm.command == OF_FLOW_MODIFY)) {
		print(&fm, &first);
		if (!of_text_parse_flow(first.data, first.len, false, NULL, &again, &err)) {
			abort();
		}
		print(&again, &second);
		if (strcmp(strbuf_text(&first), strbuf_text(&second))) {
			abort();
		}
	}
	of_flow_mod_uninit(&fm);
	of_flow_mod_uninit(&again);
	strbuf_uninit(&first);
	strbuf_uninit(&second);
	return 0;
}
