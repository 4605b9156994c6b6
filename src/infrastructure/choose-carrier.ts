/** Which kind a link becomes: the one asked for, or whatever meets the promise. */
import { ApiError } from '../api/errors.js';
import { types } from '../api/types.js';
import { avoidOf, sharedWith, sizeOf } from './diverse.js';
import { type Bodies } from './kinds.js';
import { type Carrier, circuitCarrier, lspCarrier } from './plan-lsp.js';
import { tunnelCarrier } from './plan-tunnel.js';
import { type Planning } from './planning.js';

type Link = Bodies['virtualLink'];
type Machine = Bodies['machine'];

const { LinkKind } = types;

/** What another way may do better. */
const OF_THE_WAY: ReadonlySet<string> = new Set(['NO_PATH', 'NO_CAPACITY', 'MTU_TOO_BIG', 'DRAINED']);

/** @throws ApiError why there is none */
export function chooseCarrier(
  planning: Planning,
  spec: Link,
  from: Machine,
  to: Machine,
  field: string,
): Carrier {
  switch (spec.kind) {
    case LinkKind.LINK_KIND_TUNNEL:
      return tunnelCarrier(planning, spec, from, to, field);
    case LinkKind.LINK_KIND_LSP:
      return lspCarrier(planning, spec, from, to, field);
    case LinkKind.LINK_KIND_CIRCUIT:
      return circuitCarrier(planning, spec, from, to, field);
    case LinkKind.LINK_KIND_UNSPECIFIED:
      return anyCarrier(planning, spec, from, to, field);
  }
}

/** The tunnel, unless an lsp keeps what that does not, or shares less with what it is to be diverse from. */
function anyCarrier(planning: Planning, spec: Link, from: Machine, to: Machine, field: string): Carrier {
  const ends = [from.name, to.name];
  const avoid = avoidOf(planning.view, planning.ledger, spec.diverseFrom, ends);
  const shares = ({ way }: Carrier): number => sizeOf(sharedWith(planning.view, avoid, way.wires, ends));
  const tunnel = attempt(() => tunnelCarrier(planning, spec, from, to, field));
  if (tunnel instanceof ApiError ? !OF_THE_WAY.has(tunnel.reason) : shares(tunnel) === 0)
    return carrierOf(tunnel);
  const lsp = attempt(() => lspCarrier(planning, spec, from, to, field));
  if (!(tunnel instanceof ApiError))
    return lsp instanceof ApiError || shares(lsp) >= shares(tunnel) ? tunnel : lsp;
  // of the same bound, what the better of all ways has
  if (lsp instanceof ApiError && (lsp.reason !== tunnel.reason || lsp.field !== tunnel.field)) throw tunnel;
  return carrierOf(lsp);
}

function attempt(work: () => Carrier): Carrier | ApiError {
  try {
    return work();
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
}

function carrierOf(found: Carrier | ApiError): Carrier {
  if (found instanceof ApiError) throw found;
  return found;
}
