/* SPDX-License-Identifier: Apache-2.0
 *
 * List, hash map and growing text; the map at random against an array.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/hash.h"
#include "lib/hmap.h"
#include "lib/list.h"
#include "lib/strbuf.h"

struct item {
	struct list link;
	struct hmap_node node;
	uint32_t key;
	bool there;
};

static void
test_list_keeps_order(void **state)
{
	struct item items[4] = {{.key = 0}, {.key = 1}, {.key = 2}, {.key = 3}}, *item, *next;
	struct list l;
	uint32_t expected = 0;

	(void)state;
	list_init(&l);
	assert_true(list_is_empty(&l));
	list_push_back(&l, &items[1].link);
	list_push_back(&l, &items[2].link);
	list_push_front(&l, &items[0].link);
	list_push_back(&l, &items[3].link);
	LIST_FOREACH (item, link, &l) {
		assert_int_equal(item->key, expected++);
	}
	assert_int_equal(list_count(&l), 4);
	LIST_FOREACH_SAFE (item, next, link, &l) {
		if (item->key % 2) {
			list_remove(&item->link);
			list_remove(&item->link); /* twice does no harm */
		}
	}
	assert_int_equal(list_count(&l), 2);
	assert_ptr_equal(list_pop_front(&l), &items[0].link);
	assert_ptr_equal(list_pop_front(&l), &items[2].link);
	assert_true(list_is_empty(&l));
}

static uint32_t n_hashes;

static struct item *
find(const struct hmap *map, uint32_t key)
{
	struct item *item;

	HMAP_FOREACH_WITH_HASH (item, node, hash_u64(key % n_hashes, 0), map) {
		if (item->key == key) {
			return item;
		}
	}
	return NULL;
}

static void
check_hmap(uint32_t hashes)
{
	enum { N = 1000 };
	static struct item items[N];
	const char *given = getenv("WEFT_TEST_SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)time(NULL);
	struct item *item, *next;
	struct hmap map;
	size_t n = 0;

	n_hashes = hashes;
	print_message("seed %u\n", seed);
	srand(seed);
	hmap_init(&map);
	for (unsigned step = 0; step < 20000; step++) {
		struct item *x = &items[rand() % N];

		if (step % 1000 == 500) {
			hmap_reserve(&map, (size_t)rand() % (3 * n + 3));
		}
		x->key = (uint32_t)(x - items);
		assert_ptr_equal(find(&map, x->key), x->there ? x : NULL);
		if (x->there) {
			hmap_remove(&map, &x->node);
			n--;
		} else {
			hmap_insert(&map, &x->node, hash_u64(x->key % n_hashes, 0));
			n++;
		}
		x->there = !x->there;
		assert_int_equal(hmap_count(&map), n);
	}
	HMAP_FOREACH_SAFE (item, next, node, &map) {
		assert_true(item->there);
		item->there = false;
		hmap_remove(&map, &item->node);
		n--;
	}
	assert_int_equal(n, 0);
	assert_true(hmap_is_empty(&map));
	hmap_uninit(&map);
}

static void
test_hmap_random_against_array(void **state)
{
	(void)state;
	check_hmap(64); /* long chains */
	check_hmap(1000);
}

static void
test_strbuf_grows(void **state)
{
	struct strbuf s = STRBUF_INIT;
	char *text;

	(void)state;
	assert_string_equal(strbuf_text(&s), "");
	strbuf_printf(&s, "%d-%s", 42, "x");
	strbuf_put_char(&s, ',');
	assert_string_equal(strbuf_text(&s), "42-x,");
	strbuf_chomp(&s, ",");
	strbuf_chomp(&s, "42-xy");
	assert_string_equal(strbuf_text(&s), "42-x");
	for (unsigned i = 0; i < 1000; i++) {
		strbuf_put(&s, "0123456789");
	}
	assert_int_equal(s.len, 10004);
	assert_int_equal(strlen(s.data), 10004);
	strbuf_truncate(&s, 2);
	text = strbuf_take(&s);
	assert_string_equal(text, "42");
	assert_null(s.data);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list_keeps_order),
		cmocka_unit_test(test_hmap_random_against_array),
		cmocka_unit_test(test_strbuf_grows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
