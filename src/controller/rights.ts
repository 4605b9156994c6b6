/**
 * Who may call which method of a controller: the gate before all handlers. Operators of the deployment and the provider
 * itself may call everything; what others may, each controller lists. What of it a caller then sees, `Access` says.
 */
import { type Authorize, formatCaller } from '../api/server.js';
import { type Role } from './access.js';

/** By service, then by role: methods. */
export type Rights = Readonly<
  Record<string, Partial<Readonly<Record<Exclude<Role, 'local' | 'operator'>, readonly string[]>>>>
>;

const STANDARD: ReadonlySet<string> = new Set([
  'grpc.health.v1.Health',
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
]);

/** That callers are of its deployment, TLS has seen to. */
export function rightsOf(
  provider: { readonly role: Role; readonly name: string },
  rights: Rights,
): Authorize {
  return ({ principal, service, method }) => {
    const { role } = principal;
    if (role === 'local' || role === 'operator') return undefined;
    if (role === provider.role && principal.name === provider.name) return undefined;
    const listed = Object.values(rights).flatMap((of) => of[role] ?? []);
    if (STANDARD.has(service) && listed.length > 0) return undefined;
    if (Object.hasOwn(rights, service) && rights[service]?.[role]?.includes(method)) return undefined;
    return {
      reason: 'ROLE',
      message: `${provider.role}/${provider.name} does not let ${formatCaller(principal)} call ${method}.`,
    };
  };
}
