/**
 * Who may call what of an agent: the infrastructure provider that owns the machine everything, operators of the deployment what
 * reads and shows nothing of a tenant's packets, everybody else nothing. Whoever can open the unix socket is root here already.
 */
import { type Attempt, type Authorize, formatCaller, type Refusal } from '../api/server.js';

const NODE_SERVICE = 'cabernet.node.v1.NodeService';

/** What reads. Apply writes; Capture shows what is in the packets of tenants. */
const READING: ReadonlySet<string> = new Set([
  'GetMachine',
  'ListVirtualNodes',
  'ListVifs',
  'ListTunnels',
  'ListWires',
  'ListBfdPeers',
  'ListPaths',
  'ListLabels',
  'ListRoutes',
  'ListNeighbours',
  'ListCounters',
  'ListDrops',
  'Watch',
  'Trace',
  'Diagnose',
]);

const STANDARD: ReadonlySet<string> = new Set([
  'grpc.health.v1.Health',
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
]);

/** The rules of an agent whose machine belongs to `provider`. That callers are of its deployment, TLS has seen to. */
export function rightsAt(provider: string): Authorize {
  return ({ principal, service, method }: Attempt): Refusal | undefined => {
    if (principal.role === 'local') return undefined;
    if (principal.role === 'infrastructure' && principal.name === provider) return undefined;
    if (principal.role === 'operator') {
      if (STANDARD.has(service) || (service === NODE_SERVICE && READING.has(method))) return undefined;
      return {
        reason: 'OPERATORS_READ',
        message: `${formatCaller(principal)} may read; ${method} is for infrastructure/${provider}.`,
      };
    }
    return {
      reason: 'NOT_OUR_PROVIDER',
      message: `This machine answers infrastructure/${provider} only, not ${formatCaller(principal)}.`,
    };
  };
}
