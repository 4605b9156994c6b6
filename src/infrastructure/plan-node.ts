/** A virtual node asked for, checked and placed. */
import { type ApiError, alreadyExists, invalidArgument } from '../api/errors.js';
import { NAME_RULES, parseVirtualNodeName } from '../api/names.js';
import { types } from '../api/types.js';
import { catalogue, type Bodies, MOST_PORTS } from './kinds.js';
import { customerOf } from './ledger.js';
import { placeNode } from './place.js';
import { type Planning } from './planning.js';
import { nodePrice } from './price.js';
import { LONGEST_VN, vnDown } from './rename.js';
import { offerOf } from './settle.js';
import { shareOf } from './shares.js';
import { wanted } from './status.js';
import { termOf } from '../controller/terms.js';

type Node = Bodies['virtualNode'];

function wrong(reason: string, field: string, message: string): ApiError {
  return invalidArgument({ reason, field, message });
}

/** @throws ApiError for whatever is in its way */
export function planNode(planning: Planning, asked: Node, field: string): Node {
  const { view, ledger, tariff, now } = planning;
  const spec = catalogue.spec('virtualNode', asked);
  checkOwnName(planning, 'virtualNode', spec.name, `${field}.name`);
  checkNodeName(planning, spec, `${field}.node`);
  checkPorts(spec, field);
  const share = shareOf(spec.share);
  const machine = placeNode(view, ledger, spec, share, field);
  return {
    ...spec,
    offer: offerOf(machine.name),
    site: machine.site,
    share,
    term: termOf(spec.term, tariff, now, `${field}.term`),
    price: nodePrice(tariff, share),
    lease: types.LeaseState.LEASE_STATE_RESERVED,
    status: wanted(undefined),
  };
}

/** Each once. @throws ApiError DUPLICATE */
export function checkPorts({ ports }: Node, field: string): void {
  if (ports.length > MOST_PORTS)
    throw wrong('TOO_MANY', `${field}.ports`, `${ports.length} ports; at most ${MOST_PORTS}.`);
  for (const [i, port] of ports.entries())
    if (ports.indexOf(port) < i)
      throw wrong('DUPLICATE', `${field}.ports[${i}]`, `${port.slice(0, 20)} is given twice.`);
}

/** A new name below the customer's own. */
export function checkOwnName(
  { ledger, customer }: Planning,
  kind: 'virtualNode' | 'virtualLink',
  name: string,
  field: string,
): void {
  catalogue.checkName(kind, name, field);
  if (customerOf(name) !== customer)
    throw wrong(
      'CUSTOMER',
      field,
      `${field} is another customer's than that of the first resource, ${customer}.`,
    );
  if (ledger.nodes.has(name) || ledger.links.has(name))
    throw alreadyExists({
      reason: 'ALREADY_EXISTS',
      field,
      message: `${name} is leased or reserved already; choose another id.`,
    });
}

function checkNodeName({ ledger, customer }: Planning, { node }: Node, field: string): void {
  const parsed = parseVirtualNodeName(node);
  if (!parsed) throw wrong('NODE_NAME', field, `${field} must be ${NAME_RULES.virtualNode}.`);
  const vn = vnDown(customer, parsed.vn);
  if (vn.length > LONGEST_VN)
    throw wrong(
      'NODE_NAME',
      field,
      `On the machine ${JSON.stringify(parsed.vn)} becomes ${vn}, which is longer than ${LONGEST_VN} characters; VN may have ${LONGEST_VN - customer.length - 1}.`,
    );
  for (const other of ledger.nodes.values())
    if (customerOf(other.name) === customer && other.node === node)
      throw alreadyExists({
        reason: 'NAME_IN_USE',
        field,
        message: `${other.name} is called ${node} already; call this one otherwise.`,
      });
}
