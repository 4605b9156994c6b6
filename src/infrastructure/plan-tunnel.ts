/** A virtual link as a tunnel over the provider's IP routing. */
import { type ApiError, failedPrecondition } from '../api/errors.js';
import { types } from '../api/types.js';
import { bandwidthRefusal, boundRefusal, mtuRefusal } from './carry.js';
import { Drained } from './drained.js';
import { type Bodies, type View } from './kinds.js';
import { addressOf, allocateLabel, checkTunnel, type TunnelEnds } from './labels.js';
import { type Ledger } from './ledger.js';
import { type Carrier } from './plan-lsp.js';
import { type Planning } from './planning.js';
import { type Way } from './routing.js';

type Link = Bodies['virtualLink'];
type Machine = Bodies['machine'];

/** @throws ApiError for whatever is in its way */
export function tunnelCarrier(
  planning: Planning,
  spec: Link,
  from: Machine,
  to: Machine,
  field: string,
): Carrier {
  const { view, routing } = planning;
  const way = routing.way(from.name, to.name);
  if (!way)
    throw failedPrecondition({
      reason: 'NO_PATH',
      field: `${field}.b.virtual_node`,
      message: 'No wires of this provider lead from one end to the other.',
    });
  const refusal = refusalOf(planning, spec, way, field);
  if (refusal) throw refusal;
  const drained = new Drained(view);
  if (way.wires.some((wire) => drained.isClosed(wire, [from.name, to.name])))
    throw failedPrecondition({
      reason: 'DRAINED',
      field: `${field}.kind`,
      message:
        'The way of IP routing passes something that is to be under maintenance; ask for an lsp, or later.',
    });
  const ends = tunnelBetween(from, to, spec, field);
  checkTunnel(view, ends, `${field}.udp_checksum`);
  return {
    kind: types.LinkKind.LINK_KIND_TUNNEL,
    way,
    bits: spec.slo?.bitsPerSecond ?? 0n,
    hold: () => {
      allocateLabel(view, ends, to.name, spec.name);
      allocateLabel(view, reversed(ends, to.name), from.name, spec.name);
    },
  };
}

/** Why that way does not keep what is asked for. */
export function refusalOf(
  { view, ledger }: { readonly view: View; readonly ledger: Pick<Ledger, 'bitsOn' | 'circuitOn'> },
  spec: Link,
  way: Way,
  field: string,
): ApiError | undefined {
  return (
    mtuRefusal(spec.mtu, way, `${field}.mtu`) ??
    boundRefusal(spec.slo, way, 'The way of IP routing', `${field}.slo`) ??
    bandwidthRefusal(view, ledger, way.wires, spec.slo?.bitsPerSecond ?? 0n, `${field}.slo.bits_per_second`)
  );
}

/** As the machine `from` sees it. */
function tunnelBetween(from: Machine, to: Machine, spec: Link, field: string): TunnelEnds {
  const family = spec.tunnelFamily === 6 ? 6 : 4;
  const [localAddress, remoteAddress] = [addressOf(from, family), addressOf(to, family)];
  if (localAddress === undefined || remoteAddress === undefined)
    throw failedPrecondition({
      reason: 'TUNNEL_FAMILY',
      field: `${field}.tunnel_family`,
      message: `One of the machines has no IPv${family} address for a tunnel; ask for the other tunnel_family.`,
    });
  return { machine: from.name, localAddress, remoteAddress, udpChecksum: spec.udpChecksum };
}

function reversed(ends: TunnelEnds, machine: string): TunnelEnds {
  return { ...ends, machine, localAddress: ends.remoteAddress, remoteAddress: ends.localAddress };
}
