/* SPDX-License-Identifier: Apache-2.0
 *
 * Codec: which versions there are.
 */
#include "controller-agent/of_codec.h"

#include "lib/byteorder.h"

static const struct of_codec *const codecs[] = {
	&of13_codec,
};

const struct of_codec *
of_codec_find(uint8_t version)
{
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(codecs); i++) {
		if (codecs[i]->version == version) {
			return codecs[i];
		}
	}
	return NULL;
}

uint32_t
of_codec_versions(uint32_t protocols)
{
	uint32_t versions = 0;

	for (size_t i = 0; i < WEFT_ARRAY_SIZE(codecs); i++) {
		if (!protocols || protocols & codecs[i]->protocol) {
			versions |= 1u << codecs[i]->version;
		}
	}
	return versions;
}

uint32_t
of_service_protocols(void)
{
	uint32_t protocols = 0;

	for (size_t i = 0; i < WEFT_ARRAY_SIZE(codecs); i++) {
		protocols |= codecs[i]->protocol;
	}
	return protocols;
}

const struct of_wire_type *
of_codec_type(const struct of_codec *codec, uint8_t number)
{
	if (number >= codec->n_types || codec->types[number].type == OF_MSG_N) {
		return NULL;
	}
	return &codec->types[number];
}

const struct of_wire_type *
of_codec_experimenter(const struct of_codec *codec, const uint8_t *body, bool *known)
{
	uint32_t experimenter = get_be32(body), exp_type = get_be32(body + 4);

	*known = false;
	for (size_t i = 0; i < codec->n_experimenters; i++) {
		const struct of_experimenter_type *row = &codec->experimenters[i];

		if (row->experimenter == experimenter) {
			*known = true;
			if (row->exp_type == exp_type) {
				return &row->wire;
			}
		}
	}
	return NULL;
}

const struct of_wire_type *
of_codec_part(const struct of_codec *codec, enum of_part_type part)
{
	for (size_t i = 0; i < codec->n_parts; i++) {
		if (codec->parts[i].type == part) {
			return &codec->parts[i];
		}
	}
	return NULL;
}

bool
of_wire_type_fits(const struct of_wire_type *row, size_t len)
{
	return row->is_exact ? len == row->min_len : len >= row->min_len;
}
