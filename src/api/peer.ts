/**
 * Who calls, and whether they may: one gate before every handler of a server, those of health and reflection included.
 * Nothing passes that the gate has not named.
 */
import {
  experimental,
  type Metadata,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
} from '@grpc/grpc-js';

import { IdentityError } from '../identity/errors.js';
import { formatId, type Principal } from '../identity/principal.js';
import { type ApiError, internal, permissionDenied, Status, toStatus } from './errors.js';
import { type Logger } from './log.js';

/** Whoever may open the unix socket: root on this machine, or the agent's own user. */
export interface LocalOperator {
  readonly role: 'local';
}

/** Who calls. */
export type Caller = Principal | LocalOperator;

export const LOCAL: LocalOperator = { role: 'local' };

/** For people: `local`, or a SPIFFE ID. */
export function formatCaller(caller: Caller): string {
  return caller.role === 'local' ? caller.role : formatId(caller);
}

export interface Attempt {
  readonly principal: Caller;
  /** `cabernet.node.v1.NodeService`, `grpc.health.v1.Health` … */
  readonly service: string;
  /** `ListVifs` */
  readonly method: string;
}

/** Why not: a stable reason and a sentence. */
export interface Refusal {
  readonly reason: string;
  readonly message: string;
}

/** Undefined lets it pass. Asked before the handler, and before any of the request is read. */
export type Authorize = (attempt: Attempt) => Refusal | undefined;

/** Who is at the other end of a call's connection, now. Throws IdentityError. */
export type Identify = (call: ServerInterceptingCallInterface) => Caller;

/** By the metadata of a call, which is the same object for the gate and the handler. */
const callers = new WeakMap<Metadata, Caller>();

/** Whom the gate let pass. Throws for a call that has come past the gate, which would be a fault here. */
export function callerOf(metadata: Metadata): Caller {
  const caller = callers.get(metadata);
  if (caller) return caller;
  throw new Error('a call came past the gate');
}

function judge(path: string, identify: () => Caller, authorize: Authorize): Caller | ApiError {
  const [, service = '', method = ''] = path.split('/');
  try {
    const principal = identify();
    const refusal = authorize({ principal, service, method });
    return refusal ? permissionDenied({ ...refusal, operation: method }) : principal;
  } catch (error) {
    if (error instanceof IdentityError) {
      const { code, message } = error;
      return permissionDenied({ reason: `CERTIFICATE_${code}`, message, operation: method, cause: error });
    }
    // a fault in the rules themselves lets nobody in
    const message = `Whether ${method} is allowed could not be told: a fault of the server. Its log tells more.`;
    return internal({ reason: 'INTERNAL', operation: method, message, cause: error });
  }
}

/** Credentials of a listener whose calls all go through the gate. */
export function gated(identify: Identify, authorize: Authorize, log: Logger): ServerCredentials {
  return experimental.createServerCredentialsWithInterceptors(ServerCredentials.createInsecure(), [
    (method, call) =>
      new ServerInterceptingCall(call, {
        start: (next) => {
          next({
            onReceiveMetadata: (metadata, pass) => {
              const judged = judge(method.path, () => identify(call), authorize);
              if (!(judged instanceof Error)) {
                callers.set(metadata, judged);
                pass(metadata);
                return;
              }
              const { status, reason, operation, message, cause } = judged;
              const fields = { operation, status: Status[status], reason, message, peer: call.getPeer() };
              if (status === Status.INTERNAL)
                log.error('failed', { ...fields, stack: cause instanceof Error ? cause.stack : cause });
              else log.warn('refused', fields);
              call.sendStatus(toStatus(judged));
            },
          });
        },
      }),
  ]);
}

/** For servers that only those reach who may all. */
export const allowLocal: Authorize = ({ principal }) =>
  principal.role === 'local'
    ? undefined
    : { reason: 'NOT_LOCAL', message: 'Only this machine may call here.' };
