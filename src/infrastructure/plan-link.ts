/** A virtual link asked for, checked, routed and admitted; its labels are stored with it. */
import { type ApiError, failedPrecondition, invalidArgument, notFound } from '../api/errors.js';
import { NAME_RULES, parseVifName } from '../api/names.js';
import { types } from '../api/types.js';
import { achievedBy, bandwidthRefusal, boundRefusal, mtuRefusal } from './carry.js';
import { type Bodies, catalogue } from './kinds.js';
import { addressOf, allocateLabel, checkTunnel, type TunnelEnds } from './labels.js';
import { machineOf } from './ledger.js';
import { checkOwnName } from './plan-node.js';
import { type Planning } from './planning.js';
import { linkPrice } from './price.js';
import { type Way } from './routing.js';
import { wanted } from './status.js';
import { termOf } from './terms.js';

type Link = Bodies['virtualLink'];
type Node = Bodies['virtualNode'];
type Machine = Bodies['machine'];

const { LinkKind } = types;
const DEFAULT_MTU = 1500;
const MILLION = 1_000_000;

function wrong(reason: string, field: string, message: string): ApiError {
  return invalidArgument({ reason, field, message });
}

/** A link with both ends here. @throws ApiError for whatever is in its way */
export function planLink(planning: Planning, asked: Link, field: string): Link {
  const { view, ledger, routing, tariff, now } = planning;
  const spec = checkLink(planning, asked, field);
  const a = endOf(planning, spec, 'a', field);
  const b = endOf(planning, spec, 'b', field);
  const [from, to] = [machineAt(planning, a), machineAt(planning, b)];
  if (from.name === to.name)
    throw failedPrecondition({
      reason: 'SAME_MACHINE',
      field: `${field}.b.virtual_node`,
      message: 'Both nodes are on one machine, and a tunnel leads to another; lease one of them elsewhere.',
    });
  checkKind(spec, field);
  const way = routing.way(from.name, to.name);
  if (!way)
    throw failedPrecondition({
      reason: 'NO_PATH',
      field: `${field}.b.virtual_node`,
      message: `No wires of this provider lead from ${a.offer} to ${b.offer}.`,
    });
  const refusal = refusalOf(planning, spec, way, field);
  if (refusal) throw refusal;
  const ends = tunnelBetween(from, to, spec, field);
  checkTunnel(view, ends, `${field}.udp_checksum`);
  allocateLabel(view, ends, to.name, spec.name);
  allocateLabel(view, reversed(ends, to.name), from.name, spec.name);
  const bits = spec.slo?.bitsPerSecond ?? 0n;
  const link: Link = {
    ...spec,
    kind: LinkKind.LINK_KIND_TUNNEL,
    term: termOf(spec.term, tariff, now, `${field}.term`),
    price: linkPrice(tariff, bits, way.hops),
    lease: types.LeaseState.LEASE_STATE_RESERVED,
    achieved: achievedBy(way, bits),
    wires: way.wires,
    status: wanted(undefined),
  };
  ledger.addLink(link);
  return link;
}

export function refusalOf(
  { view, ledger }: Planning,
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

/** Everything that can be said of a link by itself, with its defaults. */
export function checkLink(planning: Planning, asked: Link, field: string): Link {
  const said = catalogue.spec('virtualLink', asked);
  const here = (end: Link['a']): { a?: NonNullable<Link['a']> } =>
    end ? { a: { ...end, provider: end.provider === planning.provider ? '' : end.provider } } : {};
  const { a } = here(said.a);
  const { a: b } = here(said.b);
  const spec = {
    ...said,
    ...(a && { a }),
    ...(b && { b }),
    mtu: said.mtu || DEFAULT_MTU,
    tunnelFamily: said.tunnelFamily || 4,
  };
  checkOwnName(planning, 'virtualLink', spec.name, `${field}.name`);
  if (spec.tunnelFamily !== 4 && spec.tunnelFamily !== 6)
    throw wrong('TUNNEL_FAMILY', `${field}.tunnel_family`, 'tunnel_family must be 4 or 6, or 0 for 4.');
  const payload: number = spec.payload;
  if (payload < 0 || payload > 2)
    throw wrong('PAYLOAD', `${field}.payload`, `${payload} is no Payload; give ETHERNET or IP.`);
  for (const name of ['lossPpm', 'availabilityPpm'] as const)
    if ((spec.slo?.[name] ?? 0) > MILLION)
      throw wrong(
        'RANGE',
        `${field}.slo.${name === 'lossPpm' ? 'loss_ppm' : 'availability_ppm'}`,
        'At most 1000000.',
      );
  if (spec.diverseFrom.length > 64) throw wrong('TOO_MANY', `${field}.diverse_from`, 'At most 64 links.');
  for (const [i, other] of spec.diverseFrom.entries())
    if (!other.startsWith(`customers/${planning.customer}/`) || !planning.ledger.links.has(other))
      throw notFound({
        reason: 'NOT_FOUND',
        field: `${field}.diverse_from[${i}]`,
        message: `There is no link ${JSON.stringify(other.slice(0, 80))}; give one that is leased, or earlier in the request.`,
      });
  return spec;
}

/** The node of one end, which must be here. */
export function endOf(planning: Planning, spec: Link, side: 'a' | 'b', field: string): Node {
  const end = spec[side];
  const where = `${field}.${side}`;
  if (!end) throw wrong('END_MISSING', where, `${where} is missing; a link has two ends.`);
  if (end.provider !== '')
    throw wrong(
      'PROVIDER',
      `${where}.provider`,
      `${where} must be here; a link to another provider has that as b.`,
    );
  const known =
    planning.fresh.has(end.virtualNode) || planning.view.get('virtualNode', end.virtualNode) !== undefined;
  const node = known ? planning.ledger.nodes.get(end.virtualNode) : undefined;
  if (!node || !end.virtualNode.startsWith(`customers/${planning.customer}/`))
    throw notFound({
      reason: 'NOT_FOUND',
      field: `${where}.virtual_node`,
      message: `There is no ${JSON.stringify(end.virtualNode.slice(0, 80))}; give a node that is leased or in this request.`,
    });
  if (!parseVifName(`${node.node}/vifs/${end.vif}`))
    throw wrong('VIF_NAME', `${where}.vif`, `${where}.vif must be the last part of ${NAME_RULES.vif}.`);
  const user = planning.ledger.vifUser(node.name, end.vif);
  if (
    user !== undefined ||
    (side === 'b' && spec.a?.virtualNode === end.virtualNode && spec.a.vif === end.vif)
  )
    throw failedPrecondition({
      reason: 'VIF_IN_USE',
      field: `${where}.vif`,
      message: `${end.vif} of ${node.name} is an end of ${user ?? spec.name} already.`,
    });
  return node;
}

export function machineAt({ view }: Planning, node: Node): Machine {
  const machine = view.get('machine', machineOf(node));
  if (!machine) throw new Error(`${node.name} is leased on a machine that is gone`);
  return machine;
}

/** What carries links here. */
export function checkKind({ kind }: Link, field: string): void {
  if (kind === LinkKind.LINK_KIND_UNSPECIFIED || kind === LinkKind.LINK_KIND_TUNNEL) return;
  throw failedPrecondition({
    reason: 'KIND_UNAVAILABLE',
    field: `${field}.kind`,
    message: 'Links are carried by tunnels here; give LINK_KIND_TUNNEL, or leave kind empty.',
  });
}

/** As the machine `from` sees it. */
export function tunnelBetween(from: Machine, to: Machine, spec: Link, field: string): TunnelEnds {
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
