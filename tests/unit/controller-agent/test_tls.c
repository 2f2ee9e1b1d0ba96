/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS of controllers' connections: channels that talk to each other, with certificates made for the test.
 */
#include "tests/unit/controller-agent/of_lab.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>

#include "controller-agent/channel.h"
#include "controller-agent/timers.h"
#include "controller-agent/tls.h"
#include "lib/error.h"

#define V13 (1u << 4)
#define PATH_SIZE 128

/* Somebody with a certificate, and the files of it. */
struct identity {
	EVP_PKEY *key;
	X509 *cert;
	char key_path[PATH_SIZE], cert_path[PATH_SIZE];
};

static char dir[64];
static struct identity ca, other_ca, a, b, stranger, expired;

static void
write_identity(struct identity *id, const char *name)
{
	FILE *file;

	snprintf(id->key_path, sizeof(id->key_path), "%s/%s.key", dir, name);
	snprintf(id->cert_path, sizeof(id->cert_path), "%s/%s.pem", dir, name);
	file = fopen(id->key_path, "w");
	assert_true(file && PEM_write_PrivateKey(file, id->key, NULL, NULL, 0, NULL, NULL) == 1);
	fclose(file);
	file = fopen(id->cert_path, "w");
	assert_true(file && PEM_write_X509(file, id->cert) == 1);
	fclose(file);
}

/* @issuer: NULL signs itself. @days: until it ends. */
static void
make_identity(struct identity *id, const char *name, const struct identity *issuer, int days)
{
	static long serial = 1;
	X509_NAME *subject;

	id->key = EVP_EC_gen("P-256");
	id->cert = X509_new();
	assert_true(id->key && id->cert);
	X509_set_version(id->cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(id->cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(id->cert), -2 * 86400);
	X509_gmtime_adj(X509_getm_notAfter(id->cert), days * 86400L);
	X509_set_pubkey(id->cert, id->key);
	subject = X509_get_subject_name(id->cert);
	X509_NAME_add_entry_by_txt(
		subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(id->cert, X509_get_subject_name(issuer ? issuer->cert : id->cert));
	if (!issuer) {
		X509_EXTENSION *e =
			X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");

		assert_non_null(e);
		X509_add_ext(id->cert, e, -1);
		X509_EXTENSION_free(e);
	}
	assert_true(X509_sign(id->cert, issuer ? issuer->key : id->key, EVP_sha256()) > 0);
	write_identity(id, name);
}

static void
free_identity(struct identity *id)
{
	EVP_PKEY_free(id->key);
	X509_free(id->cert);
	unlink(id->key_path);
	unlink(id->cert_path);
}

static struct tls *
tls_of(const struct identity *id, const struct identity *issuer)
{
	struct tls *tls = tls_create(
		&(struct tls_files){id->key_path, id->cert_path, issuer->cert_path}, NULL);

	assert_non_null(tls);
	return tls;
}

/* --- two ends ------------------------------------------------------------------------------------ */

struct end {
	struct channel *ch;
	unsigned n_opened, n_messages, n_closed;
	size_t bytes;
	char why[256];
};

struct pair {
	struct lab lab;
	struct timers *timers;
	struct end server, client;
};

static void
opened(void *user)
{
	((struct end *)user)->n_opened++;
}

static void
message(void *user, const uint8_t *msg, size_t len)
{
	struct end *e = user;

	(void)msg;
	e->n_messages++;
	e->bytes += len;
}

static void
drained(void *user)
{
	(void)user;
}

static void
closed(void *user, enum channel_end end, const char *why)
{
	struct end *e = user;

	(void)end;
	e->n_closed++;
	snprintf(e->why, sizeof(e->why), "%s", why);
	channel_destroy(e->ch);
	e->ch = NULL;
}

static struct channel *
channel_of(struct pair *p, struct end *e, int fd, SSL *tls, bool is_server)
{
	static const struct channel_ops ops = {opened, message, drained, closed};
	struct channel_setup setup = {
		.fd = fd,
		.tls = tls,
		.is_server = is_server,
		.versions = V13,
		.hello_ms = 3000,
	};

	return channel_create(p->lab.base, p->timers, &setup, &ops, e);
}

static void
run(struct pair *p)
{
	for (unsigned i = 0; i < 50; i++) {
		lab_run(&p->lab);
	}
}

/* Connects them; sessions NULL: plain. Returns when nothing happens any more. */
static void
connect_ends(struct pair *p, SSL *server, SSL *client)
{
	int fds[2];

	memset(p, 0, sizeof(*p));
	lab_open(&p->lab);
	p->timers = timers_create(p->lab.base, lab_now, &p->lab);
	lab_pair(fds);
	p->server.ch = channel_of(p, &p->server, fds[0], server, true);
	p->client.ch = channel_of(p, &p->client, fds[1], client, false);
	run(p);
}

static void
end_pair(struct pair *p)
{
	channel_destroy(p->server.ch);
	channel_destroy(p->client.ch);
	timers_destroy(p->timers);
	lab_close(&p->lab);
}

static void
assert_speak(struct pair *p)
{
	assert_int_equal(p->server.n_opened, 1);
	assert_int_equal(p->client.n_opened, 1);
	assert_int_equal(p->server.n_closed + p->client.n_closed, 0);
}

/* --- tests -------------------------------------------------------------------------------------- */

static void
test_tls_carries_messages(void **state)
{
	struct tls *server = tls_of(&a, &ca), *client = tls_of(&b, &ca);
	uint8_t msg[60000] = {4, 14, 60000 >> 8, 60000 & 255};
	struct pair p;

	(void)state;
	connect_ends(&p, tls_session(server), tls_session(client));
	assert_speak(&p);
	for (unsigned i = 0; i < 50; i++) {
		channel_send(p.client.ch, msg, sizeof(msg));
	}
	for (unsigned i = 0; i < 50; i++) {
		run(&p);
	}
	assert_int_equal(p.server.n_messages, 50);
	assert_int_equal(p.server.bytes, 50 * sizeof(msg));
	/* Last words arrive, then the end. */
	channel_send(p.server.ch, msg, 1000);
	msg[2] = 1000 >> 8;
	msg[3] = 1000 & 255;
	channel_destroy(p.server.ch);
	p.server.ch = NULL;
	run(&p);
	assert_int_equal(p.client.n_closed, 1);
	assert_string_equal(p.client.why, "the peer closed the connection");
	end_pair(&p);
	tls_destroy(server);
	tls_destroy(client);
}

static void
test_tls_speaks_its_last_words(void **state)
{
	struct tls *server = tls_of(&a, &ca), *client = tls_of(&b, &ca);
	static const uint8_t msg[16] = {4, 14, 0, 16};
	struct pair p;

	(void)state;
	connect_ends(&p, tls_session(server), tls_session(client));
	assert_speak(&p);
	channel_send(p.server.ch, msg, sizeof(msg));
	channel_destroy(p.server.ch);
	p.server.ch = NULL;
	run(&p);
	assert_int_equal(p.client.n_messages, 1);
	assert_int_equal(p.client.n_closed, 1);
	end_pair(&p);
	tls_destroy(server);
	tls_destroy(client);
}

static SSL *
bare_session(int version)
{
	SSL_CTX *context = SSL_CTX_new(TLS_method());
	SSL *ssl;

	if (version) {
		SSL_CTX_set_min_proto_version(context, version);
		SSL_CTX_set_max_proto_version(context, version);
		SSL_CTX_set_cipher_list(context, "ALL:@SECLEVEL=0");
	}
	ssl = SSL_new(context);
	SSL_CTX_free(context);
	return ssl;
}

/* Each of these must not come to speak, and the server says why. */
static void
test_tls_refuses_peers(void **state)
{
	struct tls *server = tls_of(&a, &ca), *wrong = tls_of(&stranger, &ca),
		   *old = tls_of(&expired, &ca);
	struct {
		SSL *client;
		const char *why;
	} rows[] = {
		{tls_session(wrong),
			"the peer's certificate is not accepted: unable to get local issuer certificate"},
		{tls_session(old),
			"the peer's certificate is not accepted: certificate has expired"},
		{bare_session(0), "the peer shows no certificate"},
		{bare_session(TLS1_1_VERSION), "the peer wants a TLS older than 1.2"},
		{NULL, "the peer does not speak TLS"},
	};

	(void)state;
	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(rows); i++) {
		struct pair p;

		connect_ends(&p, tls_session(server), rows[i].client);
		assert_int_equal(p.server.n_opened, 0);
		assert_int_equal(p.server.n_closed, 1);
		assert_string_equal(p.server.why, rows[i].why);
		end_pair(&p);
	}
	tls_destroy(server);
	tls_destroy(wrong);
	tls_destroy(old);
}

/* A controller that cannot prove who it is gets no word of us. */
static void
test_tls_refuses_servers(void **state)
{
	struct tls *server = tls_of(&stranger, &ca), *client = tls_of(&b, &ca);
	struct pair p;

	(void)state;
	connect_ends(&p, tls_session(server), tls_session(client));
	assert_int_equal(p.client.n_opened, 0);
	assert_string_equal(p.client.why,
		"the peer's certificate is not accepted: unable to get local issuer certificate");
	assert_int_equal(p.server.n_messages, 0);
	end_pair(&p);
	tls_destroy(server);
	tls_destroy(client);
}

/* A handshake that stands still ends with the time for the hello. */
static void
test_tls_does_not_wait_for_ever(void **state)
{
	struct tls *server = tls_of(&a, &ca);
	int fds[2];
	struct pair p;

	(void)state;
	memset(&p, 0, sizeof(p));
	lab_open(&p.lab);
	p.timers = timers_create(p.lab.base, lab_now, &p.lab);
	lab_pair(fds);
	p.server.ch = channel_of(&p, &p.server, fds[0], tls_session(server), true);
	send_hex(fds[1], "16 03 01 02 00 01 00"); /* the beginning of a client's hello */
	run(&p);
	assert_int_equal(p.server.n_closed, 0);
	p.lab.now_ms += 3000;
	timers_run(p.timers);
	run(&p);
	assert_int_equal(p.server.n_closed, 1);
	assert_string_equal(p.server.why, "the peer sent no hello");
	close(fds[1]);
	end_pair(&p);
	/* And one that breaks off. */
	memset(&p, 0, sizeof(p));
	lab_open(&p.lab);
	p.timers = timers_create(p.lab.base, lab_now, &p.lab);
	lab_pair(fds);
	p.server.ch = channel_of(&p, &p.server, fds[0], tls_session(server), true);
	close(fds[1]);
	run(&p);
	assert_string_equal(p.server.why, "the peer closed the connection in the TLS handshake");
	end_pair(&p);
	tls_destroy(server);
}

static void
copy_identity(const struct identity *from, const struct identity *to)
{
	struct identity copy = *from;

	write_identity(&copy, "a"); /* which is @to */
	assert_string_equal(copy.key_path, to->key_path);
}

/* New files count from the next connection on; files that cannot be used change nothing. */
static void
test_tls_reads_changed_files(void **state)
{
	struct tls *server = tls_of(&a, &ca), *client = tls_of(&b, &ca);
	struct pair p;
	FILE *file;

	(void)state;
	connect_ends(&p, tls_session(server), tls_session(client));
	assert_speak(&p);
	copy_identity(&stranger, &a);
	/* The one that is there stays. */
	lab_run(&p.lab);
	assert_speak(&p);
	end_pair(&p);
	connect_ends(&p, tls_session(server), tls_session(client));
	assert_int_equal(p.client.n_opened, 0);
	end_pair(&p);
	copy_identity(&a, &a);
	connect_ends(&p, tls_session(server), tls_session(client));
	assert_speak(&p);
	end_pair(&p);
	file = fopen(a.cert_path, "w");
	assert_non_null(file);
	fputs("-----BEGIN CERTIFICATE-----\nhalf of one", file);
	fclose(file);
	connect_ends(&p, tls_session(server), tls_session(client));
	assert_speak(&p);
	end_pair(&p);
	unlink(a.cert_path);
	connect_ends(&p, tls_session(server), tls_session(client));
	assert_speak(&p);
	end_pair(&p);
	copy_identity(&a, &a);
	tls_destroy(server);
	tls_destroy(client);
}

static void
test_tls_says_what_is_wrong_with_files(void **state)
{
	const struct {
		struct tls_files files;
		const char *why;
	} rows[] = {
		{{NULL, a.cert_path, ca.cert_path}, "TLS needs key=FILE"},
		{{a.key_path, "", ca.cert_path}, "TLS needs cert=FILE"},
		{{a.key_path, a.cert_path, NULL}, "TLS needs ca=FILE"},
		{{"a.key", a.cert_path, ca.cert_path}, "the path must be absolute"},
		{{a.key_path, "/nonexistent", ca.cert_path},
			"cert /nonexistent: No such file or directory"},
		{{a.key_path, a.key_path, ca.cert_path}, "no start line"},
		{{b.key_path, a.cert_path, ca.cert_path}, "key values mismatch"},
		{{a.key_path, a.cert_path, a.key_path}, "ca "},
	};

	(void)state;
	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(rows); i++) {
		struct weft_error err = WEFT_ERROR_INIT;

		assert_null(tls_create(&rows[i].files, &err));
		if (!strstr(err.text, rows[i].why)) {
			fail_msg("row %u: %s", i, err.text);
		}
	}
}

static int
setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN); /* as the agent does */
	strcpy(dir, "/tmp/weft-tls-XXXXXX");
	assert_non_null(mkdtemp(dir));
	make_identity(&ca, "ca", NULL, 10);
	make_identity(&other_ca, "other-ca", NULL, 10);
	make_identity(&a, "a", &ca, 10);
	make_identity(&b, "b", &ca, 10);
	make_identity(&stranger, "stranger", &other_ca, 10);
	make_identity(&expired, "expired", &ca, -1);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	free_identity(&ca);
	free_identity(&other_ca);
	free_identity(&a);
	free_identity(&b);
	free_identity(&stranger);
	free_identity(&expired);
	rmdir(dir);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tls_carries_messages),
		cmocka_unit_test(test_tls_speaks_its_last_words),
		cmocka_unit_test(test_tls_refuses_peers),
		cmocka_unit_test(test_tls_refuses_servers),
		cmocka_unit_test(test_tls_does_not_wait_for_ever),
		cmocka_unit_test(test_tls_reads_changed_files),
		cmocka_unit_test(test_tls_says_what_is_wrong_with_files),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
