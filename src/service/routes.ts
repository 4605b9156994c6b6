/** Routes as the controller thinks of them: pure values. */

export interface Hop {
  readonly vif: string;
  /** Empty: on the link itself. */
  readonly gateway: string;
  /** 0 counts as 1. */
  readonly weight: number;
}

export interface StaticRoute {
  /** Canonical. */
  readonly destination: string;
  /** cabernet.node.v1.RouteType */
  readonly type: number;
  readonly hops: readonly Hop[];
  readonly announce: boolean;
}

/** By shortest paths. */
export interface ShortestRoute {
  /** Sum of metrics. */
  readonly distance: number;
  readonly hops: readonly Hop[];
}

export function sameHops(a: readonly Hop[], b: readonly Hop[]): boolean {
  if (a === b) return true;
  return (
    a.length === b.length &&
    a.every((hop, i) => {
      const other = b[i];
      return hop.vif === other?.vif && hop.gateway === other.gateway && hop.weight === other.weight;
    })
  );
}
