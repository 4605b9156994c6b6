/** What is made of changes of resources, whoever made them. */
import { type Logger } from '../api/log.js';
import { type Item } from '../controller/kind.js';
import { type State } from '../controller/state.js';
import { type Customers } from './customers.js';
import { type Expirer } from './expirer.js';
import { type Bodies, catalogue } from './kinds.js';
import { type Leases } from './leases.js';
import { isSuspended } from './network-terms.js';
import { type Programmer } from './program/programmer.js';
import { type Renewer } from './renewer.js';
import { type Restorer } from './restorer.js';

export interface Followers {
  readonly programmer: Programmer;
  readonly customers: Customers;
  readonly leases: Leases;
  readonly renewer: Renewer;
  readonly restorer: Restorer;
  readonly expirer: Expirer;
}

/** Gives the function that stops it. */
export function followChanges(
  state: State<Bodies>,
  { programmer, customers, leases, renewer, restorer, expirer }: Followers,
  log: Logger,
): () => void {
  const kinds = new Set(['node', 'link', 'serviceNetwork']);
  /** All that machines are told follows from it. */
  const asked = (item: Item<Bodies> | undefined): string => {
    if (!item) return '';
    const { links, term: _, ...rest } = item.body as Bodies['serviceNetwork'];
    const silent = links.map(({ violation: __, ...link }) => ({
      ...{ ...link, state: '', message: '', backupProgrammed: false },
    }));
    const body = catalogue.spec('serviceNetwork', { ...rest, links: silent });
    return `${isSuspended(rest)} ${catalogue.encode({ kind: 'serviceNetwork', body }).toString('base64')}`;
  };
  return state.onChange((changes) => {
    if (
      changes.some(({ before, after }) =>
        ['node', 'link', 'supplier'].includes((after ?? before)?.kind ?? ''),
      )
    ) {
      programmer.ownLinks();
      customers.kick();
      leases.kick();
      renewer.kick();
    }
    if (changes.some(({ before, after }) => (after ?? before)?.kind === 'serviceNetwork')) expirer.kick();
    if (changes.some(({ before, after }) => kinds.has((after ?? before)?.kind ?? ''))) restorer.kick();
    for (const { name, before, after } of changes) {
      if ((after ?? before)?.kind !== 'serviceNetwork') continue;
      if (asked(before) === asked(after)) continue;
      programmer.network(name);
      customers.network(name).catch((error: unknown) => log.warn('contents are left over', { name, error }));
    }
  });
}
