/** The kinds of resources of a service provider, and whatever can be wrong with each of them by itself. */
import { type Access, isOperator } from '../controller/access.js';
import { Catalogue } from '../controller/kind.js';
import { ADDRESSES_RULE, splitAddresses } from '../controller/dial.js';
import { resourceType } from '../api/service.js';
import {
  checkAddresses,
  checkDestination,
  checkLink,
  checkMtu,
  checkNode,
  checkPools,
  NODE,
  OFFER,
} from './checks.js';
import { type Bodies, idOf } from './model.js';
import { checkNextHops } from './next-hops.js';
import { routerOf } from '../api/prefix.js';

const VN = /^[A-Za-z0-9][A-Za-z0-9_-]{0,19}$/;
const PROVIDER = /^[a-z][a-z0-9-]{0,19}$/;
const INTERFACE = /^[A-Za-z0-9_.:@-]{1,15}$/;

export const catalogue = new Catalogue<Bodies>(resourceType, {
  network: {
    collection: 'network',
    writable: true,
    reconciles: true,
    outputs: ['price', 'lease'],
    check: (body, wrong) => {
      if (!PROVIDER.test(body.supplier)) {
        const rule = '1 to 20 characters of [a-z0-9-], beginning with a letter';
        throw wrong(
          'supplier',
          'PROVIDER_NAME',
          `supplier must be the connectivity provider's name: ${rule}.`,
        );
      }
      if (!splitAddresses(body.supplierAddress))
        throw wrong(
          'supplier_address',
          'ADDRESS',
          `supplier_address must be where its controller answers: ${ADDRESSES_RULE}.`,
        );
      if (body.vn !== '' && !VN.test(body.vn)) {
        const rule = '1 to 20 characters of [A-Za-z0-9_-], beginning with a letter or digit';
        throw wrong('vn', 'VN_NAME', `vn must be ${rule}.`);
      }
      checkPools(body.linkPools, wrong);
      if (body.termSeconds !== 0 && body.termSeconds < 60)
        throw wrong('term_seconds', 'TERM', 'term_seconds must be at least 60, or 0 for a day.');
    },
  },
  node: {
    collection: 'nodes',
    id: NODE,
    idRule: '1 to 31 characters of [A-Za-z0-9_-], beginning with a letter or digit',
    writable: true,
    reconciles: true,
    outputs: [],
    check: ({ offer }, wrong) => {
      if (offer !== '' && !OFFER.test(offer))
        throw wrong(
          'offer',
          'OFFER_NAME',
          'offer must be `offers/NODE` of the connectivity provider, or empty.',
        );
    },
  },
  link: {
    collection: 'links',
    writable: true,
    reconciles: true,
    outputs: ['achieved', 'price', 'assignedA', 'assignedB'],
    check: checkLink,
  },
  station: {
    collection: 'stations',
    id: /^(?!(?:lo|all|default)$)[A-Za-z0-9][A-Za-z0-9_-]{0,14}$/,
    idRule:
      '1 to 15 characters of [A-Za-z0-9_-], beginning with a letter or digit, and not lo, all or default',
    writable: true,
    reconciles: true,
    outputs: [],
    check: (body, wrong) => {
      checkNode(body.node, 'node', wrong);
      checkMtu(body.mtu, wrong);
      if (!INTERFACE.test(body.port)) {
        const rule = "an interface's name of 1 to 15 characters, among the offer's ports";
        throw wrong('port', 'PORT', `port must be ${rule}.`);
      }
      for (const [i, address] of checkAddresses(body.addresses, 'addresses', wrong).entries()) {
        if (address.address !== routerOf(address).address) continue;
        const text = `addresses[${i}] is the first of its subnet, which is the router's; take another one.`;
        throw wrong(`addresses[${i}]`, 'ADDRESS_OF_ROUTER', text);
      }
    },
  },
  route: {
    collection: 'nodes/+/routes',
    writable: true,
    reconciles: true,
    outputs: [],
    check: (body, wrong) => {
      checkNextHops(body, checkDestination(body.destination, wrong).family, wrong);
    },
  },
});

/** Operators and the provider itself; to all others there is nothing. */
export function accessOf(provider: string): Access<Bodies> {
  const may = (caller: { readonly role: string; readonly name: string }): boolean =>
    caller.role === 'service' && caller.name === provider;
  return {
    sees: (caller) => isOperator(caller) || may(caller),
    mayChange: (caller) => isOperator(caller) || may(caller),
    shown: (_caller, _kind, body) => body,
  };
}

/** `nodes/P` of `nodes/P/routes/r`. */
export function nodeOfRoute(name: string): string {
  return `nodes/${idOf(name)}`;
}
