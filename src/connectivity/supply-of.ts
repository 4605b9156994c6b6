/** What there is to place links on. */
import { type Link } from '../api/connectivity.js';
import { inForce, type Ledger } from './ledger.js';
import { Supply, type SupplyLink } from './placement/supply.js';
import { sellableOf } from './sellable.js';
import { type Usage } from './usage.js';

const DEFAULT_MTU = 1500;

export function mtuOf(link: Link): number {
  return link.mtu === 0 ? DEFAULT_MTU : link.mtu;
}

/** `others`: what is sold already. */
export function supplyOf(ledger: Ledger, others: Usage): Supply {
  const nodes = [...ledger.nodes.values()].filter(({ body }) => inForce(body)).map(({ body }) => body.name);
  const links = [...ledger.links.values()]
    .filter(({ body }) => inForce(body))
    .map(({ body }): SupplyLink => {
      const free = Number(sellableOf(body) - (others.bits.get(body.name) ?? 0n));
      return {
        name: body.name,
        a: body.a,
        b: body.b,
        freeAToB: free,
        freeBToA: free,
        delayUs: body.achieved?.delayUs ?? body.slo?.delayUs ?? 0,
        lossPpm: body.achieved?.lossPpm ?? body.slo?.lossPpm ?? 0,
        availabilityPpm: body.achieved?.availabilityPpm ?? body.slo?.availabilityPpm ?? 0,
        mtu: mtuOf(body),
        riskGroups: body.riskGroups,
      };
    });
  return new Supply(nodes, links);
}
