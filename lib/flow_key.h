/* SPDX-License-Identifier: Apache-2.0
 *
 * Flow key: everything that a flow can match on, in eight blocks of 64 bytes.
 *
 * What:     one layout for the parser, the flow table, the protocol between the daemons and the
 *           OpenFlow tables. Blocks 0 to 5 mean something to the datapath; blocks 6 and 7 only to
 *           ofproto/. Every member is in network byte order, so that a field is a run of bits of
 *           a big-endian number wherever it stands (see field.h).
 * Presence: a key travels with a bitmap of its blocks. An absent block is neither cleared, hashed
 *           nor compared: it counts as all zero, and its bytes are undefined. A mask has no
 *           presence of its own: the blocks in which it has a bit are its blocks.
 * Sharing:  fields that exclude each other share a place: ARP op with protocol and TOS, ARP
 *           addresses with IPv4 addresses, ARP hardware addresses with the ND link-layer options,
 *           ICMP type and code with the L4 ports (each in the low byte of its 16 bits).
 * Why:      a sum of bytes decided the places: block 1 is full to the last bit (flow label and
 *           extension header bits share one word), block 0 has 4 bytes left.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byteorder.h"
#include "lib/compiler.h"

#define FLOW_BLOCK_SIZE 64
#define FLOW_N_BLOCKS 8
#define FLOW_KEY_SIZE (FLOW_N_BLOCKS * FLOW_BLOCK_SIZE)
#define FLOW_BLOCK_WORDS (FLOW_BLOCK_SIZE / 8)

/* Bitmaps of blocks. */
#define FLOW_BLOCK(N) (1u << (N))
#define FLOW_BLOCKS_DATAPATH 0x3fu /* what the datapath handles: blocks 0 to 5 */
#define FLOW_BLOCKS_OFPROTO 0xc0u  /* pipeline fields, never sent to the datapath */
#define FLOW_BLOCKS_ALL 0xffu

#define FLOW_N_MPLS 3
#define FLOW_N_REGS 16

/* vlan_tci and inner_tci: the tag's 16 bits with this bit (the place of DEI) set when the tag is
 * there, as OXM's OFPVID_PRESENT. DEI itself is not matched. */
#define FLOW_VLAN_PRESENT 0x1000u

/* ip_frag: what kind of fragment, and where the parser had to stop. */
#define FLOW_FRAG_ANY 0x01u   /* a fragment */
#define FLOW_FRAG_LATER 0x02u /* ... but not the first: no L4 header */
#define FLOW_FRAG_MASK 0x03u
#define FLOW_BAD_L3 0x04u /* L3 header truncated or inconsistent: deeper fields are zero */
#define FLOW_BAD_L4 0x08u /* L4 header truncated: its fields are zero */

/* flabel_exthdr: flow label in the low 20 bits, OpenFlow 1.3.5 A.2.3.8 extension header bits above. */
#define FLOW_FLABEL_MASK 0x000fffffu
#define FLOW_EXTHDR_SHIFT 20
#define FLOW_EXTHDR_NONEXT 0x001u
#define FLOW_EXTHDR_ESP 0x002u
#define FLOW_EXTHDR_AUTH 0x004u
#define FLOW_EXTHDR_DEST 0x008u
#define FLOW_EXTHDR_FRAG 0x010u
#define FLOW_EXTHDR_ROUTER 0x020u
#define FLOW_EXTHDR_HOP 0x040u
#define FLOW_EXTHDR_UNREP 0x080u
#define FLOW_EXTHDR_UNSEQ 0x100u

/* tun_flags. */
#define FLOW_TUN_PRESENT 0x8000u /* the packet came out of a tunnel */
#define FLOW_TUN_OAM 0x0001u
#define FLOW_TUN_CSUM 0x0002u
#define FLOW_TUN_DF 0x0004u
#define FLOW_TUN_KEY 0x0008u
#define FLOW_TUN_ERSPAN 0x0010u /* a mirrored packet */

/* pbb: I-SID in the low 24 bits, UCA above. */
#define FLOW_PBB_ISID_MASK 0x00ffffffu
#define FLOW_PBB_UCA 0x01000000u

struct flow_key {
	union {
		uint8_t bytes[FLOW_KEY_SIZE];
		uint64_t words[FLOW_KEY_SIZE / 8];
		struct {
			/* Block 0: what nearly every flow looks at. */
			be32_t in_port;   /* datapath port; in ofproto/ the OpenFlow port */
			be32_t recirc_id; /* 0: as received */
			uint8_t eth_dst[6];
			uint8_t eth_src[6];
			be16_t eth_type;  /* behind the tags; 0: 802.2 frame without SNAP */
			be16_t vlan_tci;  /* outer tag, FLOW_VLAN_PRESENT; 0: untagged */
			be16_t vlan_tpid; /* outer tag's TPID; 0: untagged */
			union {
				be16_t tcp_flags;       /* 12 bits */
				be16_t nd_options_type; /* in the low byte */
			};
			union {
				be32_t ip_src;
				be32_t arp_spa;
			};
			union {
				be32_t ip_dst;
				be32_t arp_tpa;
			};
			union {
				struct {
					uint8_t ip_proto; /* IPv6: behind the extension headers */
					uint8_t ip_tos;   /* DSCP in the upper 6 bits, ECN below */
				};
				be16_t arp_op;
			};
			uint8_t ip_ttl;  /* or hop limit */
			uint8_t ip_frag; /* FLOW_FRAG_*, FLOW_BAD_* */
			union {
				be16_t l4_src;    /* TCP, UDP, SCTP */
				be16_t icmp_type; /* in the low byte; ICMP and ICMPv6 */
			};
			union {
				be16_t l4_dst;
				be16_t icmp_code; /* in the low byte */
			};
			be32_t tun_id_lo; /* low half of tunnel_id, the VNI */
			be16_t ct_state;
			be16_t ct_zone;
			be32_t ct_mark;
			be32_t hash; /* set by a hash action, for select on recirculated packets */
			be32_t nd_reserved; /* flags of an advertisement, and what is reserved */

			/* Block 1: IPv6, ND, ARP hardware addresses. */
			uint8_t ipv6_src[16];
			uint8_t ipv6_dst[16];
			uint8_t nd_target[16];
			union {
				uint8_t nd_sll[6];
				uint8_t arp_sha[6];
			};
			union {
				uint8_t nd_tll[6];
				uint8_t arp_tha[6];
			};
			be32_t flabel_exthdr;

			/* Block 2: the outer header of a decapsulated packet, or of one to be sent. */
			uint8_t tun_src[16]; /* IPv4 as ::ffff:a.b.c.d */
			uint8_t tun_dst[16];
			be16_t tun_flags; /* FLOW_TUN_* */
			uint8_t tun_tos;
			uint8_t tun_ttl;
			be16_t tun_tp_src;
			be16_t tun_tp_dst;
			be16_t tun_gbp_id;
			uint8_t tun_gbp_flags;
			uint8_t tun_gpe_proto;
			uint8_t tun_gpe_flags;
			uint8_t tun_erspan_ver;
			uint8_t tun_erspan_dir;
			uint8_t tun_erspan_hwid;
			be32_t tun_erspan_idx;
			uint8_t zero2[12];

			/* Block 3: MPLS, inner VLAN, PBB, packet type. */
			be32_t mpls_lse[FLOW_N_MPLS]; /* outermost first: label, TC, BoS, TTL */
			be16_t inner_tci;
			be16_t inner_tpid;
			be32_t pbb;
			be32_t packet_type; /* name space and type; 0: Ethernet */
			uint8_t zero3[40];

			/* Block 4: connection tracking beyond state, zone and mark. */
			uint8_t ct_label[16];
			uint8_t ct_src[16]; /* original tuple; IPv4 v6-mapped */
			uint8_t ct_dst[16];
			be16_t ct_tp_src;
			be16_t ct_tp_dst;
			uint8_t ct_proto;
			uint8_t zero4[11];

			/* Block 5: Geneve options, in slots that agent and datapath agreed on. */
			uint8_t tun_opts[56];
			be64_t tun_opts_present; /* a bit for each of 64 slots */

			/* Block 6: registers. reg0 is the most significant word of xreg0 and xxreg0. */
			be32_t regs[FLOW_N_REGS];

			/* Block 7: the rest of the OpenFlow pipeline fields. */
			be64_t metadata;
			be32_t tun_id_hi; /* upper half of tunnel_id */
			be32_t pkt_mark;
			be32_t actset_output;
			be32_t in_phy_port;
			be32_t conj_id;
			be32_t skb_priority;
			uint8_t zero7[32];
		};
	};
};

/* Which bits of a key matter. A bit that is 0 here is 0 in every masked key. */
struct flow_mask {
	struct flow_key bits;
};

_Static_assert(sizeof(struct flow_key) == FLOW_KEY_SIZE, "flow key has eight blocks");
_Static_assert(offsetof(struct flow_key, ipv6_src) == 1 * FLOW_BLOCK_SIZE, "block 1");
_Static_assert(offsetof(struct flow_key, tun_src) == 2 * FLOW_BLOCK_SIZE, "block 2");
_Static_assert(offsetof(struct flow_key, mpls_lse) == 3 * FLOW_BLOCK_SIZE, "block 3");
_Static_assert(offsetof(struct flow_key, ct_label) == 4 * FLOW_BLOCK_SIZE, "block 4");
_Static_assert(offsetof(struct flow_key, tun_opts) == 5 * FLOW_BLOCK_SIZE, "block 5");
_Static_assert(offsetof(struct flow_key, regs) == 6 * FLOW_BLOCK_SIZE, "block 6");
_Static_assert(offsetof(struct flow_key, metadata) == 7 * FLOW_BLOCK_SIZE, "block 7");
_Static_assert(offsetof(struct flow_key, tcp_flags) == 26, "block 0, half");
_Static_assert(offsetof(struct flow_key, nd_reserved) == 60, "block 0, end");
_Static_assert(offsetof(struct flow_key, flabel_exthdr) == 124, "block 1, end");

/* Bitmap of the blocks in which @key (or the bits of a mask) has a bit set. */
uint8_t flow_key_blocks(const struct flow_key *key);

static inline uint8_t
flow_mask_blocks(const struct flow_mask *mask)
{
	return flow_key_blocks(&mask->bits);
}

/* Zeroes the blocks of @key that are not in @present, so that it can be used without presence. */
void flow_key_clear_absent(struct flow_key *key, uint8_t present);

/* Stores in @dst the bits of @key (blocks @present) that @mask has; all of @dst is written. */
void flow_key_mask(struct flow_key *dst, const struct flow_key *key, uint8_t present,
	const struct flow_mask *mask);

/* Whether @key (blocks @present) under @mask equals @value, which is masked already. */
bool flow_key_matches(const struct flow_key *key, uint8_t present, const struct flow_key *value,
	const struct flow_mask *mask);

/* Hash of @key (blocks @present) under @mask. Equal masked keys have equal hashes, whether a block
 * is absent or all zero. */
uint32_t flow_key_hash(
	const struct flow_key *key, uint8_t present, const struct flow_mask *mask, uint32_t basis);

/* Whether two keys without absent blocks are the same. */
bool flow_key_equal(const struct flow_key *a, const struct flow_key *b);

/* @dst |= @src. */
void flow_mask_union(struct flow_mask *dst, const struct flow_mask *src);

/* Whether @wide has no bit that @narrow lacks (a flow under @narrow is at least as specific). */
bool flow_mask_covers(const struct flow_mask *wide, const struct flow_mask *narrow);

bool flow_mask_equal(const struct flow_mask *a, const struct flow_mask *b);

/* Whether two masked matches can both match one packet. */
bool flow_match_overlaps(const struct flow_key *a, const struct flow_mask *a_mask,
	const struct flow_key *b, const struct flow_mask *b_mask);

/* Number of bytes that @blocks occupy when packed one behind the other. */
static inline size_t
flow_blocks_size(uint8_t blocks)
{
	return (size_t)__builtin_popcount(blocks) * FLOW_BLOCK_SIZE;
}

/* Copies the @blocks of @key to @dst (flow_blocks_size() bytes) and back. Unpacking zeroes the
 * blocks that are not there. */
void flow_key_pack(uint8_t *dst, const struct flow_key *key, uint8_t blocks);
void flow_key_unpack(struct flow_key *key, const uint8_t *src, uint8_t blocks);
