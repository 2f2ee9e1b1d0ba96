/* SPDX-License-Identifier: Apache-2.0
 *
 * Drop reasons: names and texts.
 */
#include "lib/drop_reason.h"

#include <string.h>

static const struct {
	const char *name;
	const char *text;
} reasons[] = {
#define DROP(ID, NAME, TEXT) [DROP_##ID] = {NAME, TEXT},
#include "lib/drop_reason_list.h"
#undef DROP
};
_Static_assert(sizeof reasons / sizeof reasons[0] == DROP_N, "a row for each reason");

const char *
drop_reason_name(enum drop_reason reason)
{
	return (unsigned)reason < DROP_N ? reasons[reason].name : "unknown";
}

const char *
drop_reason_text(enum drop_reason reason)
{
	return (unsigned)reason < DROP_N ? reasons[reason].text
					 : "a reason that this version does not know";
}

enum drop_reason
drop_reason_by_name(const char *name, size_t len)
{
	unsigned i = 0;

	while (i < DROP_N &&
		(strlen(reasons[i].name) != len || memcmp(reasons[i].name, name, len))) {
		i++;
	}
	return (enum drop_reason)i;
}
