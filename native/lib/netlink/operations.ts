// Changes as plain data, and each as the request it makes.
import { argumentError } from '../error.js';
import { writeAddress, type AddressSpec } from './address.js';
import type { Writer } from './attributes.js';
import { interfaceIndex, type Descriptors } from './check.js';
import { NLM_F, RTM } from './constants.js';
import { writeLinkSpec, type LinkSpec } from './link-create.js';
import { writeLinkChange, writeLinkHeader, type LinkChange } from './link.js';
import { writeNeighbour, writeNeighbourKey, type NeighbourSpec } from './neighbour.js';
import type { Request } from './requests.js';
import type { RouteKey, RouteSpec } from './route-types.js';
import { writeRoute, writeRouteKey } from './route.js';

export interface NeighbourKey {
  readonly index: number;
  readonly address: string;
}

/** One change. `add…` fails when there is one already, `replace…` makes it or overwrites it. */
export type Op =
  | { readonly op: 'addLink'; readonly link: LinkSpec }
  | { readonly op: 'setLink'; readonly index: number; readonly change: LinkChange }
  | { readonly op: 'deleteLink'; readonly index: number }
  | { readonly op: 'addAddress' | 'replaceAddress' | 'deleteAddress'; readonly address: AddressSpec }
  | { readonly op: 'addNeighbour' | 'replaceNeighbour'; readonly neighbour: NeighbourSpec }
  | { readonly op: 'deleteNeighbour'; readonly neighbour: NeighbourKey }
  | { readonly op: 'addRoute' | 'replaceRoute' | 'appendRoute'; readonly route: RouteSpec }
  | { readonly op: 'deleteRoute'; readonly route: RouteKey };

const ADD = NLM_F.REQUEST | NLM_F.CREATE | NLM_F.EXCL;
const REPLACE = NLM_F.REQUEST | NLM_F.CREATE | NLM_F.REPLACE;
const APPEND = NLM_F.REQUEST | NLM_F.CREATE | NLM_F.APPEND;

// A subject is told even when its check fails.
function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function make(
  operation: string,
  subject: () => string,
  type: number,
  flags: number,
  body: (writer: Writer, descriptors: Descriptors) => void,
): Request {
  return {
    operation,
    subject,
    write: (writer, descriptors) => {
      writer.begin(type, flags);
      body(writer, descriptors);
    },
  };
}

function addressRequest(op: Op & { readonly address: AddressSpec }): Request {
  const { address } = op;
  const flags = op.op === 'addAddress' ? ADD : op.op === 'replaceAddress' ? REPLACE : NLM_F.REQUEST;
  const type = op.op === 'deleteAddress' ? RTM.DELADDR : RTM.NEWADDR;
  const subject = (): string => `${address.address}/${address.prefixLength}`;
  return make(op.op, subject, type, flags, (writer) => writeAddress(writer, address, op.op));
}

function routeRequest(op: Op & { readonly route: RouteSpec }): Request {
  const { route } = op;
  const subject = (): string => text(route.destination);
  if (op.op === 'deleteRoute') {
    return make(op.op, subject, RTM.DELROUTE, NLM_F.REQUEST, (writer) => writeRouteKey(writer, route, op.op));
  }
  const flags = op.op === 'addRoute' ? ADD : op.op === 'replaceRoute' ? REPLACE : APPEND;
  return make(op.op, subject, RTM.NEWROUTE, flags, (writer) => writeRoute(writer, route, op.op));
}

/** The request for a change. `ERR_ARGUMENT` when it is none; its fields are checked when it is written. */
export function requestOf(op: Op): Request {
  switch (op.op) {
    case 'addLink': {
      const { link } = op;
      const subject = (): string => text(link.name);
      return make(op.op, subject, RTM.NEWLINK, ADD, (writer, descriptors) =>
        writeLinkSpec(writer, link, op.op, descriptors),
      );
    }
    case 'setLink': {
      const { index, change } = op;
      return make(
        op.op,
        () => `interface ${index}`,
        RTM.SETLINK,
        NLM_F.REQUEST,
        (writer, descriptors) => writeLinkChange(writer, index, change, op.op, descriptors),
      );
    }
    case 'deleteLink': {
      const { index } = op;
      return make(
        op.op,
        () => `interface ${index}`,
        RTM.DELLINK,
        NLM_F.REQUEST,
        (writer) => writeLinkHeader(writer, interfaceIndex(index, op.op)),
      );
    }
    case 'addAddress':
    case 'replaceAddress':
    case 'deleteAddress':
      return addressRequest(op);
    case 'addNeighbour':
    case 'replaceNeighbour': {
      const { neighbour } = op;
      const flags = op.op === 'addNeighbour' ? ADD : REPLACE;
      return make(
        op.op,
        () => text(neighbour.address),
        RTM.NEWNEIGH,
        flags,
        (writer) => writeNeighbour(writer, neighbour, op.op),
      );
    }
    case 'deleteNeighbour': {
      const { neighbour } = op;
      return make(
        op.op,
        () => text(neighbour.address),
        RTM.DELNEIGH,
        NLM_F.REQUEST,
        (writer) => writeNeighbourKey(writer, neighbour, op.op),
      );
    }
    case 'addRoute':
    case 'replaceRoute':
    case 'appendRoute':
    case 'deleteRoute':
      return routeRequest(op);
    default:
      throw argumentError('batch', 'op', 'the name of a change');
  }
}
