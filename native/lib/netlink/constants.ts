// Numbers of the kernel's netlink interface, under the names of its headers:
// linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h, linux/neighbour.h,
// linux/genetlink.h, linux/netdev.h.

/** Address families. The last two are those of multicast routes in messages about routes. */
export const AF = { UNSPEC: 0, INET: 2, BRIDGE: 7, INET6: 10, IPMR: 128, IP6MR: 129 } as const;

export const NLMSG = { NOOP: 1, ERROR: 2, DONE: 3, OVERRUN: 4 } as const;

export const NLM_F = {
  REQUEST: 0x1,
  MULTI: 0x2,
  ACK: 0x4,
  DUMP_INTR: 0x10,
  ROOT: 0x100,
  MATCH: 0x200,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCL: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
  CAPPED: 0x100,
  ACK_TLVS: 0x200,
} as const;

export const NLMSGERR_ATTR = { MSG: 1, OFFS: 2 } as const;

export const RTM = {
  NEWLINK: 16,
  DELLINK: 17,
  GETLINK: 18,
  SETLINK: 19,
  NEWADDR: 20,
  DELADDR: 21,
  GETADDR: 22,
  NEWROUTE: 24,
  DELROUTE: 25,
  GETROUTE: 26,
  NEWNEIGH: 28,
  DELNEIGH: 29,
  GETNEIGH: 30,
  NEWCACHEREPORT: 96,
} as const;

export const RTNLGRP = {
  LINK: 1,
  NEIGH: 3,
  IPV4_IFADDR: 5,
  IPV4_MROUTE: 6,
  IPV4_ROUTE: 7,
  IPV6_IFADDR: 9,
  IPV6_MROUTE: 10,
  IPV6_ROUTE: 11,
  IPV4_MROUTE_R: 30,
  IPV6_MROUTE_R: 31,
} as const;

export const IFF = { UP: 0x1, LOOPBACK: 0x8, NOARP: 0x80, PROMISC: 0x100, LOWER_UP: 0x10000 } as const;

export const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  LINK: 5,
  MASTER: 10,
  TXQLEN: 13,
  OPERSTATE: 16,
  LINKMODE: 17,
  LINKINFO: 18,
  IFALIAS: 20,
  STATS64: 23,
  AF_SPEC: 26,
  NET_NS_FD: 28,
  EXT_MASK: 29,
  PROMISCUITY: 30,
  NUM_TX_QUEUES: 31,
  NUM_RX_QUEUES: 32,
  LINK_NETNSID: 37,
  XDP: 43,
  MIN_MTU: 50,
  MAX_MTU: 51,
  PROP_LIST: 52,
  ALT_IFNAME: 53,
} as const;

export const IFLA_INFO = { KIND: 1, DATA: 2 } as const;
export const IFLA_XDP = {
  FD: 1,
  ATTACHED: 2,
  FLAGS: 3,
  PROG_ID: 4,
  DRV_PROG_ID: 5,
  SKB_PROG_ID: 6,
  HW_PROG_ID: 7,
  EXPECTED_FD: 8,
} as const;
export const XDP_FLAGS = { UPDATE_IF_NOEXIST: 0x1, DRV_MODE: 0x4, REPLACE: 0x10 } as const;
export const IFLA_INET6_ADDR_GEN_MODE = 8;
export const VETH_INFO_PEER = 1;
export const IFLA_VLAN_ID = 1;
export const IFLA_BR = {
  FORWARD_DELAY: 1,
  AGEING_TIME: 4,
  STP_STATE: 5,
  VLAN_FILTERING: 7,
  MCAST_SNOOPING: 23,
} as const;
export const IFLA_VXLAN = {
  ID: 1,
  GROUP: 2,
  LINK: 3,
  LOCAL: 4,
  TTL: 5,
  LEARNING: 7,
  PORT: 15,
  GROUP6: 16,
  LOCAL6: 17,
  UDP_CSUM: 18,
  UDP_ZERO_CSUM6_TX: 19,
  UDP_ZERO_CSUM6_RX: 20,
} as const;
export const RTEXT_FILTER_SKIP_STATS = 8;

export const IFA = {
  ADDRESS: 1,
  LOCAL: 2,
  LABEL: 3,
  BROADCAST: 4,
  CACHEINFO: 6,
  FLAGS: 8,
  PROTO: 11,
} as const;
export const IFA_F = {
  NODAD: 0x2,
  DADFAILED: 0x8,
  DEPRECATED: 0x20,
  TENTATIVE: 0x40,
  PERMANENT: 0x80,
  NOPREFIXROUTE: 0x200,
} as const;

export const NDA = { DST: 1, LLADDR: 2, IFINDEX: 8, PROTOCOL: 12, FLAGS_EXT: 15 } as const;
export const NTF = { PROXY: 0x8, EXT_LEARNED: 0x10, ROUTER: 0x80 } as const;
export const NTF_EXT_MANAGED = 0x1;

export const RTA = {
  DST: 1,
  SRC: 2,
  IIF: 3,
  OIF: 4,
  GATEWAY: 5,
  PRIORITY: 6,
  PREFSRC: 7,
  METRICS: 8,
  MULTIPATH: 9,
  TABLE: 15,
  MARK: 16,
  MFC_STATS: 17,
  VIA: 18,
  ENCAP_TYPE: 21,
  IP_PROTO: 27,
  SPORT: 28,
  DPORT: 29,
  NH_ID: 30,
} as const;

export const RTM_F = { CLONED: 0x200, LOOKUP_TABLE: 0x1000, FIB_MATCH: 0x2000 } as const;
export const RTNH_F_ONLINK = 0x4;
export const RTNH_F_UNRESOLVED = 0x20;
export const RT_SCOPE_NOWHERE = 255;

export const IPMRA_CREPORT = { MSGTYPE: 1, VIF_ID: 2, SRC_ADDR: 3, DST_ADDR: 4, PKT: 5, TABLE: 6 } as const;

/** Generic netlink's own family, by which the numbers of the others are learned. */
export const GENL_ID_CTRL = 16;
export const CTRL_CMD = { NEWFAMILY: 1, GETFAMILY: 3 } as const;
export const CTRL_ATTR = { FAMILY_ID: 1, FAMILY_NAME: 2 } as const;

/** The family `netdev`. */
export const NETDEV_CMD_DEV_GET = 1;
export const NETDEV_A_DEV = { IFINDEX: 1, XDP_FEATURES: 3 } as const;
export const NETDEV_XDP_ACT = {
  BASIC: 1n,
  REDIRECT: 2n,
  NDO_XMIT: 4n,
  XSK_ZEROCOPY: 8n,
  HW_OFFLOAD: 16n,
  RX_SG: 32n,
  NDO_XMIT_SG: 64n,
} as const;
