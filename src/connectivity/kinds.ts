/** The kinds of `cabernet.connectivity.v1`, and who may see and change them. */
import { type Resource, resourceType } from '../api/connectivity.js';
import { type Access, type Caller, isOperator } from '../controller/access.js';
import { type BodiesOf, Catalogue } from '../controller/kind.js';
import { type State, type Transaction } from '../controller/state.js';
import { checkCustomer, checkLink, checkNode, checkSupplier, checkTariff } from './check.js';
import { checkNetwork } from './check-network.js';
import { shownViolation } from './shown-violation.js';

export type Bodies = BodiesOf<Resource>;
export type KindName = keyof Bodies;
export type ConnectivityState = State<Bodies>;
export type Tx = Transaction<Bodies>;

const PROVIDER = /^[a-z][a-z0-9-]{0,19}$/;
const PROVIDER_RULE = '1 to 20 characters of [a-z0-9-], beginning with a letter';

export const catalogue = new Catalogue<Bodies>(resourceType, {
  supplier: {
    collection: 'suppliers',
    id: PROVIDER,
    idRule: PROVIDER_RULE,
    writable: true,
    outputs: [],
    check: checkSupplier,
  },
  node: {
    collection: 'nodes',
    id: /^[A-Za-z0-9][A-Za-z0-9_-]{0,30}$/,
    idRule: '1 to 31 characters of [A-Za-z0-9_-], beginning with a letter or digit',
    writable: true,
    reconciles: true,
    outputs: ['price', 'sold', 'lease', 'maintenance'],
    check: checkNode,
  },
  link: {
    collection: 'links',
    writable: true,
    reconciles: true,
    outputs: ['price', 'achieved', 'soldAToB', 'soldBToA', 'lease', 'maintenance', 'violation'],
    check: checkLink,
  },
  customer: {
    collection: 'customers',
    id: PROVIDER,
    idRule: PROVIDER_RULE,
    writable: true,
    outputs: [],
    check: checkCustomer,
  },
  tariff: { collection: 'tariff', writable: true, outputs: [], check: checkTariff },
  offer: { collection: 'offers', writable: false, outputs: [] },
  serviceNetwork: {
    collection: 'customers/+/serviceNetworks',
    id: /^[A-Za-z0-9][A-Za-z0-9_-]{0,19}$/,
    idRule: '1 to 20 characters of [A-Za-z0-9_-], beginning with a letter or digit',
    writable: true,
    reconciles: true,
    outputs: ['price', 'lease'],
    check: checkNetwork,
  },
});

/** Operators, and whoever has proven to be this provider itself. */
export function mayManage(self: string, caller: Caller): boolean {
  return isOperator(caller) || (caller.role === 'connectivity' && caller.name === self);
}

/** A customer sees the offers and what is its own; where its links run it is not told. */
export function accessOf(self: string): Access<Bodies> {
  const own = (caller: Caller, name: string): boolean =>
    caller.role === 'service' && caller.name !== '' && name.startsWith(`customers/${caller.name}/`);
  return {
    sees: (caller, kind, name) =>
      mayManage(self, caller) || (kind === 'offer' && caller.role === 'service') || own(caller, name),
    mayChange: (caller, kind, name) =>
      mayManage(self, caller) || (kind === 'serviceNetwork' && own(caller, name)),
    shown: (caller, kind, body) => {
      if (kind !== 'serviceNetwork' || mayManage(self, caller)) return body;
      const network = body as Bodies['serviceNetwork'];
      const shown: Bodies['serviceNetwork'] = {
        ...network,
        links: network.links.map((link) => ({
          ...link,
          path: [],
          backup: [],
          shared: [],
          avoid: [],
          backupProgrammed: false,
          ...(link.violation && { violation: shownViolation(link.violation, self) }),
        })),
      };
      return shown as typeof body;
    },
  };
}
