/** A virtual link whose other end is at another provider: our part of it, and what the neighbour is to be asked. */
import { randomBytes } from 'node:crypto';

import { type ApiError, aborted, invalidArgument } from '../api/errors.js';
import { parseVifName } from '../api/names.js';
import { types } from '../api/types.js';
import { achievedBy } from './carry.js';
import { formatTime } from '../controller/clock.js';
import { type Bodies, catalogue, type Tx } from './kinds.js';
import { addressOf, allocatePeerLabel, checkTunnel } from './labels.js';
import { customerOf } from './ledger.js';
import { chooseOnward, type Neighbourhood, NO_BOUNDS, type Target } from './onward.js';
import { checkLink, endOf, machineAt } from './plan-link.js';
import { type Planning } from './planning.js';
import { checkFarEnd, type Segment } from './segments.js';
import { settled, wanted } from './status.js';
import { termOf } from '../controller/terms.js';
import { failedPrecondition } from '../api/errors.js';

type Link = Bodies['virtualLink'];

export function isRemote(link: Link, provider: string): boolean {
  return link.b !== undefined && link.b.provider !== '' && link.b.provider !== provider;
}

function wrong(reason: string, field: string, message: string): ApiError {
  return invalidArgument({ reason, field, message });
}

/** Whom to ask for, from the request alone. @throws ApiError */
export function targetOf(link: Link, customer: string, provider: string, field: string): Target {
  const { b, slo, mtu } = link;
  const where = `${field}.b`;
  if (!b || !/^[a-z][a-z0-9-]{0,19}$/.test(b.provider))
    throw wrong(
      'PROVIDER',
      `${where}.provider`,
      `${where}.provider must be 1 to 20 characters of [a-z0-9-], beginning with a letter.`,
    );
  if (catalogue.kindOf(b.virtualNode) !== 'virtualNode' || customerOf(b.virtualNode) !== customer)
    throw wrong(
      'NAME',
      `${where}.virtual_node`,
      `${where}.virtual_node must be customers/${customer}/virtualNodes/ID, a node at ${b.provider}.`,
    );
  if (!parseVifName(`vns/x/nodes/x/vifs/${b.vif}`))
    throw wrong('VIF_NAME', `${where}.vif`, `${where}.vif must be 1 to 15 characters of [A-Za-z0-9_-].`);
  return {
    customer,
    provider: b.provider,
    virtualNode: b.virtualNode,
    bounds: slo ?? NO_BOUNDS,
    mtu: mtu || 1500,
    passed: [provider],
  };
}

/** What crosses a peering is one tunnel from end to end: labels without IP would need every provider's part in one. */
function checkTunnelled({ kind }: Link, field: string): void {
  const { LINK_KIND_UNSPECIFIED, LINK_KIND_TUNNEL } = types.LinkKind;
  if (kind === LINK_KIND_UNSPECIFIED || kind === LINK_KIND_TUNNEL) return;
  throw failedPrecondition({
    reason: 'KIND_UNAVAILABLE',
    field: `${field}.kind`,
    message:
      'A link to another provider is a tunnel: lsps and circuits end at its border. Give LINK_KIND_TUNNEL, or leave kind empty.',
  });
}

/** @throws ApiError for whatever is in its way */
export function planRemote(
  planning: Planning,
  asked: Link,
  neighbours: Neighbourhood,
  holdUntil: number,
  field: string,
): Link {
  const { view, ledger, tariff, now, customer, provider } = planning;
  const spec = checkLink(planning, asked, field);
  checkTunnelled(spec, field);
  const from = machineAt(planning, endOf(planning, spec, 'a', field));
  const target = targetOf(spec, customer, provider, field);
  const { peering, way, sums, price } = chooseOnward(view, from.name, target, neighbours, field, ledger);
  const localAddress = addressOf(from, spec.tunnelFamily === 6 ? 6 : 4);
  if (localAddress === undefined)
    throw failedPrecondition({
      reason: 'TUNNEL_FAMILY',
      field: `${field}.tunnel_family`,
      message: `The machine has no IPv${spec.tunnelFamily} address for a tunnel; ask for the other tunnel_family.`,
    });
  const { udpChecksum, mtu, payload } = spec;
  const ends = { machine: from.name, localAddress, remoteAddress: '', udpChecksum };
  const { label } = allocatePeerLabel(view, ends, spec.name);
  const term = termOf(spec.term, tariff, now, `${field}.term`);
  const achieved = achievedBy(sums, target.bounds.bitsPerSecond);
  view.put('segment', {
    name: `segments/${provider}-${randomBytes(12).toString('hex')}`,
    customer,
    link: spec.name,
    upstream: '',
    inward: '',
    outward: peering.name,
    provider: target.provider,
    virtualNode: target.virtualNode,
    vif: spec.b?.vif ?? '',
    bounds: target.bounds,
    mtu,
    payload,
    udpChecksum,
    localAddress,
    localLabel: label,
    remoteAddress: '',
    remoteLabel: 0,
    wires: [],
    achieved,
    price,
    term,
    holdUntil: formatTime(holdUntil),
    committed: false,
    releasing: false,
    status: settled(undefined, 'asked'),
  });
  const link: Link = {
    ...spec,
    kind: types.LinkKind.LINK_KIND_TUNNEL,
    term,
    price,
    lease: types.LeaseState.LEASE_STATE_RESERVED,
    achieved,
    wires: [...way.wires, peering.name],
    status: wanted(undefined),
  };
  ledger.addLink(link);
  return link;
}

/** The other side has told its end. @throws ApiError TUNNEL_CHECKSUM, ABORTED where it is over meanwhile */
export function completeSegment(tx: Tx, name: string, remoteAddress: string, remoteLabel: number): void {
  const segment = tx.get('segment', name);
  const label = tx.all('label').find((one) => one.link === segment?.link && one.label === segment.localLabel);
  if (!segment || !label || segment.releasing)
    throw aborted({ reason: 'CONFLICT', message: 'The reservation is over; reserve anew.' });
  checkFarEnd(tx, remoteAddress, 'tunnel_address');
  if (remoteLabel < 16 || remoteLabel > 0xfffff)
    throw failedPrecondition({
      reason: 'LABEL_RANGE',
      message: 'Another provider expects a label that is none.',
    });
  const ends = {
    machine: '',
    localAddress: label.localAddress,
    remoteAddress,
    udpChecksum: label.udpChecksum,
  };
  checkTunnel(tx, ends, 'udp_checksum');
  tx.put('label', { ...label, remoteAddress });
  tx.put('segment', { ...segment, remoteAddress, remoteLabel, status: settled(segment.status, 'reserved') });
}

/** Of a reservation: those that the next provider has not answered for yet, or all. */
export function segmentsOf(
  tx: Pick<Tx, 'all'>,
  reservation: Bodies['reservation'],
  incomplete: boolean,
): readonly Segment[] {
  const links = new Set(reservation.virtualLinks.map(({ name }) => name));
  return tx
    .all('segment')
    .filter(
      (segment) =>
        links.has(segment.link) && !segment.releasing && (!incomplete || segment.remoteLabel === 0),
    );
}
