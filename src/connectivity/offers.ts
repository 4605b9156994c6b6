/** Offers: what customers may see of a node that is bought. */
import { type Node } from '../api/connectivity.js';
import { type NodeShare } from '../api/types.js';
import { idOf } from './names.js';
import { type Tx } from './kinds.js';
import { nodePrice } from './price.js';

export const NO_SHARE: NodeShare = { cpuMillis: 0, vifs: 0, routes: 0, labels: 0, neighbours: 0 };
export const SHARES = ['cpuMillis', 'vifs', 'routes', 'labels', 'neighbours'] as const;

/** `bought`: as it is in force; what is sold of it is with the resource. */
export function refreshOffer(tx: Tx, bought: Node): void {
  const sold = tx.get('node', bought.name)?.sold ?? NO_SHARE;
  const share = bought.share ?? NO_SHARE;
  const free = { ...NO_SHARE };
  for (const of of SHARES) Object.assign(free, { [of]: Math.max(0, share[of] - sold[of]) });
  const name = `offers/${idOf(bought.name)}`;
  tx.put('offer', {
    ...tx.get('offer', name),
    name,
    site: bought.site,
    free,
    ports: bought.ports,
    nodePrice: nodePrice(tx.get('tariff', 'tariff')),
  });
}
