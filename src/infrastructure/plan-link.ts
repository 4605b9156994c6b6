/** A virtual link asked for, checked, routed and admitted; its labels are stored with it. */
import { type ApiError, failedPrecondition, invalidArgument, notFound } from '../api/errors.js';
import { NAME_RULES, parseVifName } from '../api/names.js';
import { types } from '../api/types.js';
import { chooseCarrier } from './choose-carrier.js';
import { type Bodies, catalogue } from './kinds.js';
import { machineOf } from './ledger.js';
import { carried } from './plan-lsp.js';
import { checkOwnName } from './plan-node.js';
import { type Planning } from './planning.js';
import { wanted } from './status.js';
import { termOf } from '../controller/terms.js';

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
  const { ledger, tariff, now } = planning;
  const spec = checkLink(planning, asked, field);
  const a = endOf(planning, spec, 'a', field);
  const b = endOf(planning, spec, 'b', field);
  const [from, to] = [machineAt(planning, a), machineAt(planning, b)];
  if (from.name === to.name)
    throw failedPrecondition({
      reason: 'SAME_MACHINE',
      field: `${field}.b.virtual_node`,
      message: 'Both nodes are on one machine, and a link leads to another; lease one of them elsewhere.',
    });
  const carrier = chooseCarrier(planning, spec, from, to, field);
  carrier.hold();
  const tunnel = carrier.kind === LinkKind.LINK_KIND_TUNNEL;
  const link: Link = {
    ...spec,
    ...(!tunnel && { tunnelFamily: 0, udpChecksum: false }),
    ...carried(planning, spec, carrier, [from.name, to.name]),
    term: termOf(spec.term, tariff, now, `${field}.term`),
    lease: types.LeaseState.LEASE_STATE_RESERVED,
    status: wanted(undefined),
  };
  ledger.addLink(link);
  return link;
}

/** Everything that can be said of a new link by itself, with its defaults. */
export function checkLink(planning: Planning, asked: Link, field: string): Link {
  checkOwnName(planning, 'virtualLink', asked.name, `${field}.name`);
  return checkFields(planning, asked, field);
}

/** The same, of a new link or of a change. */
export function checkFields(planning: Planning, asked: Link, field: string): Link {
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
  if (spec.tunnelFamily !== 4 && spec.tunnelFamily !== 6)
    throw wrong('TUNNEL_FAMILY', `${field}.tunnel_family`, 'tunnel_family must be 4 or 6, or 0 for 4.');
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
