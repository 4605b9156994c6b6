/**
 * Values of enums that this version does not know: a message brings them as they are, and they are refused before anything
 * is made of them.
 */
import { invalidArgument } from '../api/errors.js';
import { type ReserveRequest } from '../api/infrastructure.js';

const LAST_KIND = 3;
const LAST_PAYLOAD = 2;
const LAST_SOURCE = 2;

/** @throws ApiError KIND, PAYLOAD, ROUTE_SOURCE */
export function checkEnums({ virtualNodes, virtualLinks }: ReserveRequest): void {
  for (const [i, { routeSource }] of virtualNodes.entries())
    check(
      'ROUTE_SOURCE',
      routeSource,
      LAST_SOURCE,
      `virtual_nodes[${i}].route_source`,
      'CONTROLLER or KERNEL',
    );
  for (const [i, { kind, payload }] of virtualLinks.entries()) {
    check('KIND', kind, LAST_KIND, `virtual_links[${i}].kind`, 'TUNNEL, LSP or CIRCUIT, or none');
    check('PAYLOAD', payload, LAST_PAYLOAD, `virtual_links[${i}].payload`, 'ETHERNET or IP');
  }
}

function check(reason: string, value: number, last: number, field: string, right: string): void {
  if (Number.isInteger(value) && value >= 0 && value <= last) return;
  throw invalidArgument({ reason, field, message: `${value} means nothing here; give ${right}.` });
}
