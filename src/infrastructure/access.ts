/** Who sees what of an infrastructure provider: its operators all, a customer what is its own, and what there is to lease. */
import { type Access, type Caller, isOperator } from '../controller/access.js';
import { type Bodies } from './kinds.js';
import { shownViolation } from './shown-violation.js';

/** `provider`: this one's name; its own credentials are its operator's. */
export function ownsAll(caller: Caller, provider: string): boolean {
  return isOperator(caller) || (caller.role === 'infrastructure' && caller.name === provider);
}

export function accessOf(provider: string): Access<Bodies> {
  return {
    sees(caller, kind, name) {
      if (ownsAll(caller, provider)) return true;
      if (caller.role !== 'connectivity') return false;
      if (kind === 'offer') return true;
      const own = `customers/${caller.name}`;
      return name === own || name.startsWith(`${own}/`);
    },
    mayChange: (caller, kind) =>
      ownsAll(caller, provider) ||
      (caller.role === 'connectivity' && (kind === 'virtualNode' || kind === 'virtualLink')),
    shown(caller, kind, body) {
      if (kind === 'virtualLink' && !ownsAll(caller, provider))
        return shownLink(provider, body as Bodies['virtualLink']) as typeof body;
      if (kind === 'reservation' && !ownsAll(caller, provider)) {
        const { virtualLinks, changedLinks } = body as Bodies['reservation'];
        const [links, changed] = [virtualLinks, changedLinks].map((all) =>
          all.map((link) => shownLink(provider, link)),
        );
        return { ...body, virtualLinks: links, changedLinks: changed };
      }
      return body;
    },
  };
}

/** Where a link goes is the provider's own, and what of it failed. */
function shownLink(provider: string, link: Bodies['virtualLink']): Bodies['virtualLink'] {
  const { move: _, violation, ...rest } = link;
  return {
    ...{ ...rest, wires: [], home: [] },
    ...(violation && { violation: shownViolation(violation, provider) }),
  };
}
