/** What there is to place links on. */
import { type Link } from '../api/connectivity.js';
import { carries, type Ledger } from './ledger.js';
import { Supply, type SupplyLink } from './placement/supply.js';
import { sellableOf } from './sellable.js';
import { type Usage } from './usage.js';

const DEFAULT_MTU = 1500;

export function mtuOf(link: Link): number {
  return link.mtu === 0 ? DEFAULT_MTU : link.mtu;
}

/** Not more than it has, nor, where that is to become less, than it will have. */
export function bitsToSell(bought: Link, wanted: Link | undefined): bigint {
  const [now, then] = [bought, wanted].map((link) => sellableOf(link ?? {})) as [bigint, bigint];
  return wanted?.status?.reconciling === true && then < now ? then : now;
}

/**
 * `others`: what is sold already. `wantedOf`: links as they are asked for, which may differ from what is in force.
 * `avoid`: links that are there, and that nothing is to be placed on.
 */
export function supplyOf(
  ledger: Ledger,
  others: Usage,
  wantedOf: (link: string) => Link | undefined,
  avoid: ReadonlySet<string> = new Set(),
): Supply {
  const nodes = [...ledger.nodes.values()].filter(carries).map(({ body }) => body.name);
  const links = [...ledger.links.values()].filter(carries).map(({ body }): SupplyLink => {
    const wanted = wantedOf(body.name);
    const free = Number(bitsToSell(body, wanted) - (others.bits.get(body.name) ?? 0n));
    return {
      name: body.name,
      a: body.a,
      b: body.b,
      freeAToB: free,
      freeBToA: free,
      delayUs: body.achieved?.delayUs ?? body.slo?.delayUs ?? 0,
      lossPpm: body.achieved?.lossPpm ?? body.slo?.lossPpm ?? 0,
      availabilityPpm: body.achieved?.availabilityPpm ?? body.slo?.availabilityPpm ?? 0,
      // no frame fits: it takes nothing more
      mtu: avoid.has(body.name) ? 0 : mtuOf(body),
      riskGroups: body.riskGroups,
    };
  });
  return new Supply(nodes, links);
}
