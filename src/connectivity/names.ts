/** What things are called at a supplier, and how customers' names for their networks become names of ours. */
import { invalidArgument } from '../api/errors.js';
import { parseVirtualNodeName } from '../api/names.js';

/** Of VN and NODE in `vns/VN/nodes/NODE`. */
const LONGEST_VN = 31;

/** The last id of a name. */
export function idOf(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1);
}

export function leaseOfNode(self: string, node: string): string {
  return `customers/${self}/virtualNodes/${idOf(node)}`;
}

export function leaseOfLink(self: string, link: string): string {
  return `customers/${self}/virtualLinks/${idOf(link)}`;
}

/** As we call our own node at its supplier: `vns/SELF/nodes/NODE`. */
export function ownNode(self: string, node: string): string {
  return `vns/${self}/nodes/${idOf(node)}`;
}

/** Of `customers/CUSTOMER/serviceNetworks/VN`. */
export function networkIds(name: string): { readonly customer: string; readonly vn: string } {
  const [, customer = '', , vn = ''] = name.split('/');
  return { customer, vn };
}

/**
 * A customer's VN as we call it: CUSTOMER where it is called as the customer, else CUSTOMER_VN. A customer's name has
 * no `_`, so no two meet.
 */
export function renamedVn(customer: string, vn: string): string {
  return vn === customer ? customer : `${customer}_${vn}`;
}

export function serviceNode(network: string, node: string): string {
  const { customer, vn } = networkIds(network);
  return `vns/${renamedVn(customer, vn)}/nodes/${node}`;
}

/**
 * The supplier prefixes once more, with our name; the machine takes 31 characters in all.
 * @throws ApiError INVALID_ARGUMENT, VN_NAME_TOO_LONG
 */
export function checkVnFits(self: string, network: string, field: string): void {
  const { customer, vn } = networkIds(network);
  const whole = `${self}_${renamedVn(customer, vn)}`;
  if (whole.length <= LONGEST_VN) return;
  throw invalidArgument({
    reason: 'VN_NAME_TOO_LONG',
    field,
    message: `On machines ${vn} is called ${whole}, ${whole.length} characters of at most ${LONGEST_VN}; call it ${whole.length - LONGEST_VN} shorter, or as its customer.`,
  });
}

/** `vns/VN/nodes/NODE/…` with another VN; undefined: it is not of that node. */
export function renamed(
  text: string,
  from: { readonly vn: string; readonly node: string },
  toVn: string,
): string | undefined {
  const own = `vns/${from.vn}/nodes/${from.node}`;
  if (text !== own && !text.startsWith(`${own}/`)) return undefined;
  return `vns/${toVn}/nodes/${from.node}${text.slice(own.length)}`;
}

export function isServiceNodeName(vn: string, node: string): boolean {
  return parseVirtualNodeName(`vns/${vn}/nodes/${node}`) !== undefined;
}
