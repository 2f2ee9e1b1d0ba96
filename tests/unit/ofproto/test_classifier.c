/* SPDX-License-Identifier: Apache-2.0
 *
 * Classifier against a list that is searched from end to end; and with readers beside the writer, run
 * under the thread sanitizer.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "ofproto/classifier.h"
#include "tests/unit/ofproto/world.h"

struct naive {
	struct grace_item retired;
	struct cls_rule cls;
	struct of_match match;
	uint64_t added, removed;
	uint64_t mask_since; /* what n_added was when the oldest of its masks came */
	uint64_t words[OF_N_WORDS];
};

#define MAX_NAIVE 4096

struct pair {
	struct grace grace;
	struct classifier cls;
	struct naive *all[MAX_NAIVE];
	unsigned n;
	uint64_t n_added;
	uint64_t version;
};

static uint64_t rnd;

static unsigned
upto(unsigned n)
{
	return (unsigned)(world_random(&rnd) % n);
}

static void
random_value(struct flow_key *key)
{
	memset(key, 0, sizeof(*key));
	key->in_port = be32_from(upto(3));
	key->eth_dst[5] = (uint8_t)upto(3);
	key->eth_type = be16_from(upto(2) ? 0x0800 : 0x0806);
	key->ip_dst = be32_from(upto(2) << 24 | upto(3));
	key->ip_src = be32_from(upto(3) << 30 | upto(2));
	key->ipv6_dst[0] = (uint8_t)(upto(3) << 6);
	key->ipv6_dst[15] = (uint8_t)upto(3);
	key->l4_dst = be16_from((uint16_t)(upto(4) | upto(2) << 15));
	key->regs[0] = be32_from(upto(3));
	key->metadata = be64_from(upto(2));
}

static void
random_match(struct of_match *m)
{
	static const uint32_t prefixes[] = {
		0, 0xff000000, 0xffffffff, 0xfffffffe, 0xc0000000, 0xff};

	memset(m, 0, sizeof(*m));
	random_value(&m->value);
	m->mask.bits.in_port = upto(2) ? UINT32_MAX : 0;
	m->mask.bits.eth_dst[5] = upto(2) ? 0xff : 0;
	m->mask.bits.eth_type = upto(2) ? UINT16_MAX : 0;
	m->mask.bits.ip_dst = be32_from(prefixes[upto(6)]); /* one that is no prefix, too */
	m->mask.bits.ip_src = be32_from(upto(2) ? 0 : prefixes[upto(6)]);
	m->mask.bits.ipv6_dst[0] = upto(4) ? 0 : upto(2) ? 0xc0 : 0xff;
	if (m->mask.bits.ipv6_dst[0] == 0xff) {
		memset(m->mask.bits.ipv6_dst, 0xff, sizeof(m->mask.bits.ipv6_dst));
	}
	m->mask.bits.l4_dst = be16_from((uint16_t)(upto(3) ? 0 : upto(2) ? 0x8000 : UINT16_MAX));
	m->mask.bits.regs[0] = upto(4) ? 0 : UINT32_MAX;
	m->mask.bits.metadata = upto(4) ? 0 : UINT64_MAX;
	for (unsigned i = 0; i < OF_N_WORDS; i++) {
		m->value.words[i] &= m->mask.bits.words[i];
	}
}

static void
free_naive(struct grace_item *item)
{
	struct naive *n = WEFT_CONTAINER_OF(item, struct naive, retired);

	cls_rule_uninit(&n->cls);
	free(n);
}

static void
add(struct pair *p, uint64_t version)
{
	struct naive *n = xcalloc(1, sizeof(*n));

	random_match(&n->match);
	n->cls.priority = (uint16_t)upto(6);
	n->added = version;
	n->removed = CLS_NEVER;
	n->mask_since = ++p->n_added;
	for (unsigned i = 0; i < p->n; i++) {
		if (!memcmp(&p->all[i]->match.mask, &n->match.mask, sizeof(n->match.mask))) {
			n->mask_since = p->all[i]->mask_since;
		}
	}
	atomic_init(&n->cls.added, n->added);
	atomic_init(&n->cls.removed, n->removed);
	cls_insert(&p->cls, &n->cls, &n->match, n->words);
	p->all[p->n++] = n;
}

static void
forget(struct pair *p, unsigned i)
{
	struct naive *n = p->all[i];

	cls_remove(&p->cls, &n->cls);
	grace_retire(&p->grace, &n->retired, free_naive);
	p->all[i] = p->all[--p->n];
}

/* Of the rules that match in @version the one with the highest priority, of equals the one whose mask is older. */
static const struct naive *
naive_best(const struct pair *p, uint64_t version, const struct flow_key *key)
{
	const struct naive *best = NULL;

	for (unsigned i = 0; i < p->n; i++) {
		const struct naive *n = p->all[i];

		if (n->added <= version && version < n->removed &&
			flow_key_matches(key, 0xff, &n->match.value, &n->match.mask) &&
			(!best || n->cls.priority > best->cls.priority ||
				(n->cls.priority == best->cls.priority &&
					n->mask_since < best->mask_since))) {
			best = n;
		}
	}
	return best;
}

static void
compare(const struct pair *p, uint64_t version)
{
	struct flow_key key, other;
	struct flow_mask wc = {0};
	const struct cls_rule *r, *r2;
	const struct naive *best;

	random_value(&key);
	r = cls_lookup(&p->cls, version, &key, &wc);
	best = naive_best(p, version, &key);
	assert_int_equal(r != NULL, best != NULL);
	if (r) {
		struct of_match m;

		/* There may be two that differ in nothing. */
		assert_int_equal(r->priority, best->cls.priority);
		assert_int_equal(
			WEFT_CONTAINER_OF(r, struct naive, cls)->mask_since, best->mask_since);
		assert_true(cls_rule_visible(r, version));
		cls_rule_match(r, &m);
		assert_true(flow_key_matches(&key, 0xff, &m.value, &m.mask));
	}
	/* Any key that agrees in the bits that were looked at finds the same. */
	random_value(&other);
	for (unsigned i = 0; i < OF_N_WORDS; i++) {
		other.words[i] =
			(other.words[i] & ~wc.bits.words[i]) | (key.words[i] & wc.bits.words[i]);
	}
	r2 = cls_lookup(&p->cls, version, &other, NULL);
	assert_ptr_equal(r2, r);
}

static void
test_classifier_random(void **state)
{
	struct pair p = {.version = 1};

	(void)state;
	rnd = world_seed();
	grace_init(&p.grace);
	classifier_init(&p.cls, &p.grace);
	for (unsigned step = 0; step < 6000; step++) {
		unsigned what = upto(10);

		if (what < 4 && p.n < 600) {
			add(&p, p.version + upto(2));
		} else if (what < 6 && p.n) {
			struct naive *n = p.all[upto(p.n)];

			if (n->removed == CLS_NEVER && n->added <= p.version) {
				n->removed = p.version + 1;
				atomic_store(&n->cls.removed, n->removed);
			}
		} else if (what == 6) {
			p.version++;
		} else if (p.n > 400 || (what == 7 && p.n)) {
			forget(&p, upto(p.n));
		}
		compare(&p, p.version);
		compare(&p, p.version - upto(2));
		assert_int_equal(p.cls.n_rules, p.n);
		grace_run(&p.grace, 10);
	}
	while (p.n) {
		forget(&p, p.n - 1);
	}
	grace_uninit(&p.grace);
	assert_int_equal(p.cls.n_subtables, 0);
	classifier_uninit(&p.cls);
}

static void
test_classifier_find_and_overlap(void **state)
{
	struct pair p = {.version = 1};

	(void)state;
	rnd = world_seed();
	grace_init(&p.grace);
	classifier_init(&p.cls, &p.grace);
	for (unsigned step = 0; step < 300; step++) {
		struct of_match m;
		uint16_t priority = (uint16_t)upto(6);
		bool found = false, overlap = false;
		struct cls_rule *r;

		add(&p, 1);
		random_match(&m);
		for (unsigned i = 0; i < p.n; i++) {
			found |= p.all[i]->cls.priority == priority &&
				 of_match_equal(&p.all[i]->match, &m);
			overlap |= p.all[i]->cls.priority == priority &&
				   of_match_overlaps(&p.all[i]->match, &m);
		}
		r = cls_find(&p.cls, 1, &m, priority);
		assert_int_equal(r != NULL, found);
		assert_int_equal(cls_find_overlap(&p.cls, 1, &m, priority) != NULL, overlap);
	}
	while (p.n) {
		forget(&p, 0);
	}
	grace_uninit(&p.grace);
	classifier_uninit(&p.cls);
}

/* --- threads ------------------------------------------------------------------------------------- */

/* Even versions have rule A, odd ones have rule B, for the same packets: whoever reads one version
 * sees exactly one of them, and the right one. */
struct flip {
	struct grace grace;
	struct classifier cls;
	_Atomic uint64_t version;
	_Atomic bool stop;
	_Atomic uint64_t n_lookups;
};

static void
unlink_flip(struct grace_item *item)
{
	struct naive *n = WEFT_CONTAINER_OF(item, struct naive, retired);
	struct flip *f = (struct flip *)(uintptr_t)n->added;

	cls_remove(&f->cls, &n->cls);
	grace_retire(&f->grace, &n->retired, free_naive);
}

struct flip_reader {
	struct flip *f;
	struct grace_reader *g;
};

static void *
read_loop(void *arg)
{
	struct flip_reader *r = arg;
	uint64_t n = 0;

	while (!atomic_load(&r->f->stop)) {
		struct flow_key key = {.in_port = be32_from((uint32_t)(n % 7))};
		struct flow_mask wc = {0};
		const struct cls_rule *rule;
		uint64_t version;

		grace_enter(&r->f->grace, r->g);
		version = atomic_load_explicit(&r->f->version, memory_order_acquire);
		rule = cls_lookup(&r->f->cls, version, &key, &wc);
		if (!rule || rule->priority != version % 2 + 1) {
			abort();
		}
		grace_leave(r->g);
		atomic_fetch_add_explicit(&r->f->n_lookups, 1, memory_order_relaxed);
		n++;
	}
	return NULL;
}

static struct naive *
flip_rule(struct flip *f, uint64_t version, uint32_t port)
{
	struct naive *n = xcalloc(1, sizeof(*n));

	n->match.value.in_port = be32_from(port);
	n->match.mask.bits.in_port = UINT32_MAX;
	n->cls.priority = (uint16_t)(version % 2 + 1);
	n->added = (uintptr_t)f; /* for unlink_flip() */
	atomic_init(&n->cls.added, version);
	atomic_init(&n->cls.removed, CLS_NEVER);
	cls_insert(&f->cls, &n->cls, &n->match, n->words);
	return n;
}

static void
test_classifier_readers_see_whole_versions(void **state)
{
	struct flip *f = xaligned(64, sizeof(*f));
	struct flip_reader readers[3];
	pthread_t threads[3];
	struct naive *now[7], *next[7];

	(void)state;
	grace_init(&f->grace);
	classifier_init(&f->cls, &f->grace);
	atomic_init(&f->version, 2);
	for (uint32_t i = 0; i < 7; i++) {
		now[i] = flip_rule(f, 2, i);
	}
	for (unsigned i = 0; i < 3; i++) {
		readers[i] = (struct flip_reader){f, grace_reader_register(&f->grace)};
		assert_int_equal(pthread_create(&threads[i], NULL, read_loop, &readers[i]), 0);
	}
	/* On a busy machine the writer would be done before a reader begins. */
	while (!atomic_load(&f->n_lookups)) {
		sched_yield();
	}
	for (uint64_t version = 3; version < 2500; version++) {
		for (uint32_t i = 0; i < 7; i++) {
			next[i] = flip_rule(f, version, i);
			atomic_store_explicit(&now[i]->cls.removed, version, memory_order_release);
		}
		atomic_store_explicit(&f->version, version, memory_order_release);
		for (uint32_t i = 0; i < 7; i++) {
			grace_retire(&f->grace, &now[i]->retired, unlink_flip);
			now[i] = next[i];
		}
		grace_run(&f->grace, 100);
	}
	atomic_store(&f->stop, true);
	for (unsigned i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		grace_reader_unregister(readers[i].g);
	}
	for (uint32_t i = 0; i < 7; i++) {
		grace_retire(&f->grace, &now[i]->retired, unlink_flip);
	}
	grace_uninit(&f->grace);
	classifier_uninit(&f->cls);
	free(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classifier_random),
		cmocka_unit_test(test_classifier_find_and_overlap),
		cmocka_unit_test(test_classifier_readers_see_whole_versions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
