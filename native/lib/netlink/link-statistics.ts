// An interface's counters (struct rtnl_link_stats64), as the kernel keeps them since it was made.
import type { Payload } from './attributes.js';

export interface LinkStatistics {
  readonly rxPackets: bigint;
  readonly txPackets: bigint;
  readonly rxBytes: bigint;
  readonly txBytes: bigint;
  readonly rxErrors: bigint;
  readonly txErrors: bigint;
  readonly rxDropped: bigint;
  readonly txDropped: bigint;
  readonly multicast: bigint;
}

export function linkStatistics(value: Payload): LinkStatistics {
  return {
    rxPackets: value.u64(0),
    txPackets: value.u64(8),
    rxBytes: value.u64(16),
    txBytes: value.u64(24),
    rxErrors: value.u64(32),
    txErrors: value.u64(40),
    rxDropped: value.u64(48),
    txDropped: value.u64(56),
    multicast: value.u64(64),
  };
}
