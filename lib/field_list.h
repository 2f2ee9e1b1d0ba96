/* SPDX-License-Identifier: Apache-2.0
 *
 * The rows of the field table. Included by field.h and field.c, with FIELD defined:
 *
 * FIELD(ID, name, alias, member of struct flow_key, n_bytes, shift, width, prereq, format, flags)
 *
 * A two-part field names its low part and stands in field.c's list of upper parts.
 * To add a field: a row here, a number in ofproto/ if OpenFlow knows it, a test, a line in
 * docs/openflow.md.
 */
/* clang-format off */
#define M FIELD_MASKABLE
#define W FIELD_WRITABLE
#define P FIELD_PIPELINE

/* Block 0 */
FIELD(IN_PORT, "in_port", NULL, in_port, 4, 0, 32, NONE, PORT, 0)
FIELD(RECIRC_ID, "recirc_id", NULL, recirc_id, 4, 0, 32, NONE, HEX, 0)
FIELD(ETH_DST, "eth_dst", "dl_dst", eth_dst, 6, 0, 48, NONE, ETH, M | W)
FIELD(ETH_SRC, "eth_src", "dl_src", eth_src, 6, 0, 48, NONE, ETH, M | W)
FIELD(ETH_TYPE, "eth_type", "dl_type", eth_type, 2, 0, 16, NONE, HEX, W)
FIELD(VLAN_TCI, "vlan_tci", NULL, vlan_tci, 2, 0, 16, NONE, HEX, M | W)
FIELD(VLAN_VID, "vlan_vid", NULL, vlan_tci, 2, 0, 13, NONE, DEC, M | W)
FIELD(VLAN_PCP, "vlan_pcp", "dl_vlan_pcp", vlan_tci, 2, 13, 3, VLAN, DEC, W)
FIELD(VLAN_TPID, "vlan_tpid", NULL, vlan_tpid, 2, 0, 16, NONE, HEX, M)
FIELD(TCP_FLAGS, "tcp_flags", NULL, tcp_flags, 2, 0, 12, TCP, TCP_FLAGS, M)
FIELD(IPV4_SRC, "ip_src", "nw_src", ip_src, 4, 0, 32, IPV4, IPV4, M | W)
FIELD(IPV4_DST, "ip_dst", "nw_dst", ip_dst, 4, 0, 32, IPV4, IPV4, M | W)
FIELD(IP_PROTO, "nw_proto", "ip_proto", ip_proto, 1, 0, 8, IP, DEC, W)
FIELD(IP_TOS, "nw_tos", "ip_tos", ip_tos, 1, 0, 8, IP, DEC, M | W)
FIELD(IP_DSCP, "ip_dscp", NULL, ip_tos, 1, 2, 6, IP, DEC, W)
FIELD(IP_ECN, "nw_ecn", "ip_ecn", ip_tos, 1, 0, 2, IP, DEC, W)
FIELD(IP_TTL, "nw_ttl", "ip_ttl", ip_ttl, 1, 0, 8, IP, DEC, W)
FIELD(IP_FRAG, "ip_frag", "nw_frag", ip_frag, 1, 0, 2, IP, FRAG, M)
FIELD(BAD_L3, "bad_l3", NULL, ip_frag, 1, 2, 1, NONE, DEC, 0)
FIELD(BAD_L4, "bad_l4", NULL, ip_frag, 1, 3, 1, NONE, DEC, 0)
FIELD(ARP_OP, "arp_op", NULL, arp_op, 2, 0, 16, ARP, DEC, W)
FIELD(ARP_SPA, "arp_spa", NULL, arp_spa, 4, 0, 32, ARP, IPV4, M | W)
FIELD(ARP_TPA, "arp_tpa", NULL, arp_tpa, 4, 0, 32, ARP, IPV4, M | W)
FIELD(TCP_SRC, "tcp_src", NULL, l4_src, 2, 0, 16, TCP, DEC, M | W)
FIELD(TCP_DST, "tcp_dst", NULL, l4_dst, 2, 0, 16, TCP, DEC, M | W)
FIELD(UDP_SRC, "udp_src", NULL, l4_src, 2, 0, 16, UDP, DEC, M | W)
FIELD(UDP_DST, "udp_dst", NULL, l4_dst, 2, 0, 16, UDP, DEC, M | W)
FIELD(SCTP_SRC, "sctp_src", NULL, l4_src, 2, 0, 16, SCTP, DEC, M | W)
FIELD(SCTP_DST, "sctp_dst", NULL, l4_dst, 2, 0, 16, SCTP, DEC, M | W)
FIELD(L4_SRC, "tp_src", NULL, l4_src, 2, 0, 16, L4, DEC, M | W)
FIELD(L4_DST, "tp_dst", NULL, l4_dst, 2, 0, 16, L4, DEC, M | W)
FIELD(ICMPV4_TYPE, "icmp_type", "icmpv4_type", icmp_type, 2, 0, 8, ICMPV4, DEC, W)
FIELD(ICMPV4_CODE, "icmp_code", "icmpv4_code", icmp_code, 2, 0, 8, ICMPV4, DEC, W)
FIELD(ICMPV6_TYPE, "icmpv6_type", NULL, icmp_type, 2, 0, 8, ICMPV6, DEC, W)
FIELD(ICMPV6_CODE, "icmpv6_code", NULL, icmp_code, 2, 0, 8, ICMPV6, DEC, W)
FIELD(TUN_ID, "tun_id", "tunnel_id", tun_id_lo, 8, 0, 64, NONE, HEX, M | W)
FIELD(CT_STATE, "ct_state", NULL, ct_state, 2, 0, 8, NONE, CT_STATE, M)
FIELD(CT_ZONE, "ct_zone", NULL, ct_zone, 2, 0, 16, NONE, DEC, 0)
FIELD(CT_MARK, "ct_mark", NULL, ct_mark, 4, 0, 32, NONE, HEX, M)
FIELD(HASH, "dp_hash", NULL, hash, 4, 0, 32, NONE, HEX, M)

/* Block 1 */
FIELD(IPV6_SRC, "ipv6_src", NULL, ipv6_src, 16, 0, 128, IPV6, IPV6, M | W)
FIELD(IPV6_DST, "ipv6_dst", NULL, ipv6_dst, 16, 0, 128, IPV6, IPV6, M | W)
FIELD(IPV6_FLABEL, "ipv6_label", "ipv6_flabel", flabel_exthdr, 4, 0, 20, IPV6, HEX, M | W)
FIELD(IPV6_EXTHDR, "ipv6_exthdr", NULL, flabel_exthdr, 4, 20, 9, IPV6, HEX, M)
FIELD(ND_TARGET, "nd_target", "ipv6_nd_target", nd_target, 16, 0, 128, ND, IPV6, M | W)
FIELD(ND_SLL, "nd_sll", "ipv6_nd_sll", nd_sll, 6, 0, 48, ND_SOL, ETH, M | W)
FIELD(ND_TLL, "nd_tll", "ipv6_nd_tll", nd_tll, 6, 0, 48, ND_ADV, ETH, M | W)
FIELD(ND_RESERVED, "nd_reserved", NULL, nd_reserved, 4, 0, 32, ND, DEC, W)
FIELD(ND_OPTIONS_TYPE, "nd_options_type", NULL, nd_options_type, 2, 0, 8, ND, DEC, W)
FIELD(ARP_SHA, "arp_sha", NULL, arp_sha, 6, 0, 48, ARP, ETH, M | W)
FIELD(ARP_THA, "arp_tha", NULL, arp_tha, 6, 0, 48, ARP, ETH, M | W)

/* Block 2 */
FIELD(TUN_SRC, "tun_ipv6_src", NULL, tun_src, 16, 0, 128, NONE, IPV6, M | W)
FIELD(TUN_DST, "tun_ipv6_dst", NULL, tun_dst, 16, 0, 128, NONE, IPV6, M | W)
FIELD(TUN_FLAGS, "tun_flags", NULL, tun_flags, 2, 0, 16, NONE, TUN_FLAGS, M | W)
FIELD(TUN_TOS, "tun_tos", NULL, tun_tos, 1, 0, 8, NONE, DEC, M | W)
FIELD(TUN_TTL, "tun_ttl", NULL, tun_ttl, 1, 0, 8, NONE, DEC, M | W)
FIELD(TUN_TP_SRC, "tun_tp_src", NULL, tun_tp_src, 2, 0, 16, NONE, DEC, M)
FIELD(TUN_TP_DST, "tun_tp_dst", NULL, tun_tp_dst, 2, 0, 16, NONE, DEC, M)
FIELD(TUN_GBP_ID, "tun_gbp_id", NULL, tun_gbp_id, 2, 0, 16, NONE, DEC, M | W)
FIELD(TUN_GBP_FLAGS, "tun_gbp_flags", NULL, tun_gbp_flags, 1, 0, 8, NONE, HEX, M | W)
FIELD(TUN_GPE_PROTO, "tun_gpe_proto", NULL, tun_gpe_proto, 1, 0, 8, NONE, DEC, M | W)
FIELD(TUN_GPE_FLAGS, "tun_gpe_flags", NULL, tun_gpe_flags, 1, 0, 8, NONE, HEX, M | W)
FIELD(TUN_ERSPAN_VER, "tun_erspan_ver", NULL, tun_erspan_ver, 1, 0, 4, NONE, DEC, M | W)
FIELD(TUN_ERSPAN_DIR, "tun_erspan_dir", NULL, tun_erspan_dir, 1, 0, 1, NONE, DEC, M | W)
FIELD(TUN_ERSPAN_HWID, "tun_erspan_hwid", NULL, tun_erspan_hwid, 1, 0, 6, NONE, HEX, M | W)
FIELD(TUN_ERSPAN_IDX, "tun_erspan_idx", NULL, tun_erspan_idx, 4, 0, 20, NONE, HEX, M | W)

/* Block 3 */
FIELD(MPLS_LABEL, "mpls_label", NULL, mpls_lse[0], 4, 12, 20, MPLS, DEC, W)
FIELD(MPLS_TC, "mpls_tc", NULL, mpls_lse[0], 4, 9, 3, MPLS, DEC, W)
FIELD(MPLS_BOS, "mpls_bos", NULL, mpls_lse[0], 4, 8, 1, MPLS, DEC, W)
FIELD(MPLS_TTL, "mpls_ttl", NULL, mpls_lse[0], 4, 0, 8, MPLS, DEC, W)
FIELD(MPLS_LSE1, "mpls_lse1", NULL, mpls_lse[1], 4, 0, 32, MPLS, HEX, M)
FIELD(MPLS_LSE2, "mpls_lse2", NULL, mpls_lse[2], 4, 0, 32, MPLS, HEX, M)
FIELD(INNER_TCI, "inner_tci", NULL, inner_tci, 2, 0, 16, NONE, HEX, M)
FIELD(INNER_VID, "inner_vid", NULL, inner_tci, 2, 0, 13, NONE, HEX, M)
FIELD(INNER_TPID, "inner_tpid", NULL, inner_tpid, 2, 0, 16, NONE, HEX, M)
FIELD(PBB_ISID, "pbb_isid", NULL, pbb, 4, 0, 24, PBB, HEX, M | W)
FIELD(PBB_UCA, "pbb_uca", NULL, pbb, 4, 24, 1, PBB, DEC, W)
FIELD(PACKET_TYPE, "packet_type", NULL, packet_type, 4, 0, 32, NONE, PACKET_TYPE, 0)

/* Block 4 */
FIELD(CT_LABEL, "ct_label", NULL, ct_label, 16, 0, 128, NONE, BYTES, M)
FIELD(CT_SRC, "ct_ipv6_src", NULL, ct_src, 16, 0, 128, NONE, IPV6, M)
FIELD(CT_DST, "ct_ipv6_dst", NULL, ct_dst, 16, 0, 128, NONE, IPV6, M)
FIELD(CT_TP_SRC, "ct_tp_src", NULL, ct_tp_src, 2, 0, 16, NONE, DEC, M)
FIELD(CT_TP_DST, "ct_tp_dst", NULL, ct_tp_dst, 2, 0, 16, NONE, DEC, M)
FIELD(CT_PROTO, "ct_nw_proto", NULL, ct_proto, 1, 0, 8, NONE, DEC, M)

/* Block 5 */
FIELD(TUN_OPTS, "tun_opts", NULL, tun_opts, 56, 0, 448, NONE, BYTES, M | W)
FIELD(TUN_OPTS_PRESENT, "tun_opts_present", NULL, tun_opts_present, 8, 0, 64, NONE, HEX, M | W)

/* Block 6 */
#define REG(N) FIELD(REG##N, "reg" #N, NULL, regs[N], 4, 0, 32, NONE, HEX, M | W | P)
REG(0) REG(1) REG(2) REG(3) REG(4) REG(5) REG(6) REG(7)
REG(8) REG(9) REG(10) REG(11) REG(12) REG(13) REG(14) REG(15)
#undef REG
#define XREG(N) FIELD(XREG##N, "xreg" #N, NULL, regs[2 * N], 8, 0, 64, NONE, HEX, M | W | P)
XREG(0) XREG(1) XREG(2) XREG(3) XREG(4) XREG(5) XREG(6) XREG(7)
#undef XREG
#define XXREG(N) FIELD(XXREG##N, "xxreg" #N, NULL, regs[4 * N], 16, 0, 128, NONE, BYTES, M | W | P)
XXREG(0) XXREG(1) XXREG(2) XXREG(3)
#undef XXREG

/* Block 7 */
FIELD(METADATA, "metadata", NULL, metadata, 8, 0, 64, NONE, HEX, M | W | P)
FIELD(PKT_MARK, "pkt_mark", NULL, pkt_mark, 4, 0, 32, NONE, HEX, M | W | P)
FIELD(ACTSET_OUTPUT, "actset_output", NULL, actset_output, 4, 0, 32, NONE, PORT, P)
FIELD(IN_PHY_PORT, "in_phy_port", NULL, in_phy_port, 4, 0, 32, NONE, PORT, P)
FIELD(CONJ_ID, "conj_id", NULL, conj_id, 4, 0, 32, NONE, DEC, P)
FIELD(SKB_PRIORITY, "skb_priority", NULL, skb_priority, 4, 0, 32, NONE, HEX, P)

#undef M
#undef W
#undef P
