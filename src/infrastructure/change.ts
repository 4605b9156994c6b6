/**
 * Changes of leases, in place: what is in force stays so until the reservation is committed, and room is held for the
 * greater of both meanwhile. Labels and names stay, so that a machine is told only what really differs.
 */
import { alreadyExists, type ApiError, failedPrecondition } from '../api/errors.js';
import { types } from '../api/types.js';
import { achievedBy } from './carry.js';
import { type Bodies, catalogue } from './kinds.js';
import { machineOf } from './ledger.js';
import { refusalOf as nodeRefusal } from './place.js';
import { checkFields, machineAt } from './plan-link.js';
import { checkPorts } from './plan-node.js';
import { refusalOf as linkRefusal } from './plan-tunnel.js';
import { type Planning } from './planning.js';
import { linkPrice, nodePrice } from './price.js';
import { shareOf } from './shares.js';
import { wanted } from './status.js';
import { leaseAt, termOf } from '../controller/terms.js';

type Node = Bodies['virtualNode'];
type Link = Bodies['virtualLink'];

function refused(reason: string, field: string, message: string): ApiError {
  return failedPrecondition({ reason, field, message });
}

/** The node's lease, of this customer; undefined: there is none to change. */
export function leasedNode({ view, customer, now }: Planning, name: string): Node | undefined {
  const node = name.startsWith(`customers/${customer}/`) ? view.get('virtualNode', name) : undefined;
  return node && leaseAt(node.term, now) !== undefined ? node : undefined;
}

/** As {@link leasedNode}. */
export function leasedLink({ view, customer, now }: Planning, name: string): Link | undefined {
  const link = name.startsWith(`customers/${customer}/`) ? view.get('virtualLink', name) : undefined;
  return link && leaseAt(link.term, now) !== undefined ? link : undefined;
}

/** One change of a lease at a time. */
function begin({ view, changed }: Planning, name: string, field: string): void {
  const held = view
    .all('reservation')
    .some(
      ({ committed, virtualNodes, virtualLinks }) =>
        !committed && [...virtualNodes, ...virtualLinks].some((one) => one.name === name),
    );
  if (held || changed.has(name))
    throw alreadyExists({
      reason: 'ALREADY_EXISTS',
      field: `${field}.name`,
      message: `${name} is being changed already; commit or cancel that first.`,
    });
  changed.add(name);
}

/** @throws ApiError for whatever is in its way */
export function changeNode(planning: Planning, leased: Node, asked: Node, field: string): Node {
  const { ledger, tariff, now, view } = planning;
  const spec = catalogue.spec('virtualNode', asked);
  begin(planning, spec.name, field);
  if (spec.node !== leased.node)
    throw refused(
      'IMMUTABLE',
      `${field}.node`,
      `${leased.name} is called ${leased.node}, for as long as it is leased.`,
    );
  if (spec.routeSource !== leased.routeSource)
    throw refused('IMMUTABLE', `${field}.route_source`, `The route_source of ${leased.name} cannot change.`);
  for (const of of ['offer', 'site'] as const)
    if (spec[of] !== '' && spec[of] !== leased[of])
      throw refused(
        'IMMUTABLE',
        `${field}.${of}`,
        `${leased.name} is leased of ${leased.offer} and cannot move; lease another node there, and end this one.`,
      );
  checkPorts(spec, field);
  const machine = view.get('machine', machineOf(leased));
  if (!machine) throw new Error(`${leased.name} is leased on a machine that is gone`);
  const share = shareOf(spec.share);
  const refusal = nodeRefusal(ledger.withoutNode(leased), machine, spec, share, field, false);
  if (refusal) throw refusal;
  const node: Node = {
    ...leased,
    share,
    ports: spec.ports,
    term: termOf(spec.term, tariff, now, `${field}.term`),
    price: nodePrice(tariff, share),
    lease: types.LeaseState.LEASE_STATE_RESERVED,
    status: wanted(undefined),
  };
  ledger.holdNode(node);
  return node;
}

/** What a link is made of, which cannot change under what stands on it. */
const FIXED = [
  ['payload', 'payload'],
  ['tunnelFamily', 'tunnel_family'],
  ['udpChecksum', 'udp_checksum'],
] as const;

/** @throws ApiError for whatever is in its way */
export function changeLink(planning: Planning, leased: Link, asked: Link, field: string): Link {
  const { ledger, routing, tariff, now, view } = planning;
  begin(planning, asked.name, field);
  const spec = checkFields(planning, asked, field);
  for (const side of ['a', 'b'] as const)
    for (const [of, shown] of [
      ['virtualNode', 'virtual_node'],
      ['vif', 'vif'],
      ['provider', 'provider'],
    ] as const)
      if ((spec[side]?.[of] ?? '') !== (leased[side]?.[of] ?? ''))
        throw refused(
          'IMMUTABLE',
          `${field}.${side}.${shown}`,
          `The ends of ${leased.name} cannot change; lease another link.`,
        );
  if (spec.kind !== types.LinkKind.LINK_KIND_UNSPECIFIED && spec.kind !== leased.kind)
    throw refused(
      'IMMUTABLE',
      `${field}.kind`,
      `The kind of ${leased.name} cannot change; lease another link.`,
    );
  const [a, b] = [leased.a, leased.b].map((end) => view.get('virtualNode', end?.virtualNode ?? ''));
  if (leased.kind !== types.LinkKind.LINK_KIND_TUNNEL || leased.b?.provider !== '' || !a || !b)
    throw refused(
      'CHANGE_UNAVAILABLE',
      `${field}.name`,
      `${leased.name} ${leased.b?.provider === '' ? 'is no tunnel' : 'leads to another provider'}, and cannot be changed in place; lease another link beside it, and end this one.`,
    );
  for (const [of, shown] of FIXED)
    if (spec[of] !== leased[of])
      throw refused(
        'IMMUTABLE',
        `${field}.${shown}`,
        `${shown} of ${leased.name} cannot change; lease another link beside it, and end this one.`,
      );
  const way = routing.way(machineAt(planning, a).name, machineAt(planning, b).name);
  if (!way)
    throw refused('NO_PATH', `${field}.name`, `No wires lead from ${a.offer} to ${b.offer} any more.`);
  const refusal = linkRefusal({ view, ledger: ledger.withoutLink(leased) }, spec, way, field);
  if (refusal) throw refusal;
  const bits = spec.slo?.bitsPerSecond ?? 0n;
  // a promise that is left out is none, and not the one before
  const { slo: _, ...rest } = leased;
  const link: Link = {
    ...rest,
    ...(spec.slo && { slo: spec.slo }),
    mtu: spec.mtu,
    diverseFrom: spec.diverseFrom,
    term: termOf(spec.term, tariff, now, `${field}.term`),
    price: linkPrice(tariff, bits, way.hops),
    lease: types.LeaseState.LEASE_STATE_RESERVED,
    achieved: achievedBy(way, bits),
    wires: way.wires,
    status: wanted(undefined),
  };
  ledger.holdLink(link);
  return link;
}
