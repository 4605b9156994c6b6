/** A service link on machines that each have what they were last told. */
import { type LabelledHop } from '../../src/connectivity/program/hops.js';
import { type Carried } from '../../src/connectivity/program/items.js';
import { sameEnds } from '../../src/connectivity/program/ways.js';

/** What machine `node` understands: `VIF LABEL`, with what it does: the next `VIF LABEL`, or `deliver`. */
function understood(node: string, { active, next, old }: Carried): Map<string, string> {
  const meanings = new Map<string, string>();
  const [first] = active;
  for (const way of [...active, ...next, ...old]) {
    for (const hops of [way.there, way.back]) {
      for (const [i, hop] of hops.entries()) {
        if (hop.to !== node) continue;
        const following = hops[i + 1];
        if (following) meanings.set(`${hop.into} ${hop.label}`, arriving(following));
        else if (first && sameEnds(way, first)) meanings.set(`${hop.into} ${hop.label}`, 'deliver');
      }
    }
  }
  return meanings;
}

function arriving(hop: LabelledHop): string {
  return `${hop.to} ${hop.into} ${hop.label}`;
}

/**
 * What is wrong: transit machines that would send on what the next one does not understand, for what vifs send now.
 * The last hop counts once the far end's vif is there: before, the link is not yet made.
 */
export function inForceOf(machines: ReadonlyMap<string, Carried>): string[] {
  const wrong: string[] = [];
  for (const [node, carried] of machines) {
    for (const way of carried.active)
      for (const hops of [way.there, way.back]) {
        const [first] = hops;
        if (first?.from !== node) continue;
        let at = arriving(first);
        for (let i = 0; i < hops.length; i++) {
          const [to = '', into = '', label = ''] = at.split(' ');
          const there = machines.get(to);
          const farEnd = hops.at(-1)?.to === to;
          // a far end that has no vif of this link yet, or no longer, receives nothing
          if (farEnd && !there?.active.some((one) => sameEnds(one, way))) break;
          const meaning = there && understood(to, there).get(`${into} ${label}`);
          if (meaning === undefined) wrong.push(`${node} sends ${at}, which ${to} does not understand`);
          if (meaning === undefined || meaning === 'deliver') break;
          at = meaning;
        }
      }
  }
  return wrong;
}
