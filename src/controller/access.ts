/** Who calls, and what is there for them. A resource that a caller may not see is not there: NOT_FOUND, never "denied". */
import { type ApiError, notFound, permissionDenied } from '../api/errors.js';
import { type Call } from '../api/server.js';

/** `local`: whoever may open the controller's unix socket: its operator. */
export type Role = 'local' | 'operator' | 'infrastructure' | 'connectivity' | 'service' | 'agent';

export interface Caller {
  readonly role: Role;
  /** Of the provider or operator; empty for `local`. */
  readonly name: string;
}

export interface Access<Bodies> {
  sees(caller: Caller, kind: keyof Bodies & string, name: string): boolean;
  /** Of what it sees. */
  mayChange(caller: Caller, kind: keyof Bodies & string, name: string): boolean;
  /** As the caller may see it. */
  shown<K extends keyof Bodies & string>(caller: Caller, kind: K, body: Bodies[K]): Bodies[K];
}

/** From what the connection has proven. */
export function callerOf({ principal }: Call): Caller {
  return principal.role === 'local'
    ? { role: 'local', name: '' }
    : { role: principal.role, name: principal.name };
}

export function isOperator(caller: Caller): boolean {
  return caller.role === 'local' || caller.role === 'operator';
}

/** The ids of a name: `customers/conn/virtualNodes/P` has `conn` and `P`. */
export function idsOf(name: string): readonly string[] {
  return name.split('/').filter((_, i) => i % 2 === 1);
}

export function missing(name: string, field: string): ApiError {
  return notFound({
    reason: 'NOT_FOUND',
    field,
    message: `There is no ${JSON.stringify(name.slice(0, 256))}.`,
  });
}

export function mayNot(field: string, what: string): ApiError {
  return permissionDenied({ reason: 'PERMISSION_DENIED', field, message: what });
}
