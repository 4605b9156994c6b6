/**
 * Errors as they cross the API: a google.rpc status, a stable reason, the operation, the field, and a sentence that
 * says what would be right. On the wire the last four travel in the trailing metadata `cabernet-error-bin` as an
 * encoded ErrorDetail, and in `grpc-status-details-bin` for everybody else's tools; what a program threw by mistake crosses as INTERNAL and nothing more.
 */
import { Metadata, type ServiceError, status as Status, type StatusObject } from '@grpc/grpc-js';

import { cabernet } from '../../gen/cabernet.js';
import { MessageError, messageType } from './message.js';
import { encodeRpcStatus, STATUS_METADATA } from './rpc-status.js';

export { Status };

export interface ErrorFacts {
  /** Stable, for programs: `LABEL_IN_USE`; 1 to 63 characters of [A-Z0-9_], beginning with a letter. */
  readonly reason: string;
  /** One sentence for people: what is wrong and what would be right. */
  readonly message: string;
  /** The RPC, e.g. `Apply`. The server fills it in where it is left out. */
  readonly operation?: string | undefined;
  /** In the request, e.g. `resources[3].vif.mtu`. */
  readonly field?: string | undefined;
  /** For the log only; does not cross the wire. */
  readonly cause?: unknown;
}

/** An error that may be shown to the other side. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: Status;
  readonly reason: string;
  readonly operation: string;
  readonly field: string | undefined;

  constructor(status: Status, facts: ErrorFacts) {
    super(facts.message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.status = status;
    this.reason = facts.reason;
    this.operation = facts.operation ?? '';
    this.field = facts.field === '' ? undefined : facts.field;
  }

  /** The same error, said of this operation unless it already names one. */
  during(operation: string): ApiError {
    if (this.operation !== '') return this;
    const { reason, message, field } = this;
    return new ApiError(this.status, { reason, message, field, operation, cause: this.cause ?? this });
  }
}

type Make = (facts: ErrorFacts) => ApiError;
const maker =
  (status: Status): Make =>
  (facts) =>
    new ApiError(status, facts);

/** The request is wrong whatever the state. */
export const invalidArgument = maker(Status.INVALID_ARGUMENT);
export const notFound = maker(Status.NOT_FOUND);
export const alreadyExists = maker(Status.ALREADY_EXISTS);
/** The caller may not do this to that. */
export const permissionDenied = maker(Status.PERMISSION_DENIED);
/** The request is right, the present state does not allow it, and repeating alone will not help. */
export const failedPrecondition = maker(Status.FAILED_PRECONDITION);
/** A table, a budget or a message size is used up. */
export const resourceExhausted = maker(Status.RESOURCE_EXHAUSTED);
/** Somebody else was first: read again and repeat. */
export const aborted = maker(Status.ABORTED);
export const outOfRange = maker(Status.OUT_OF_RANGE);
export const unimplemented = maker(Status.UNIMPLEMENTED);
/** Nobody answers now; repeat later. */
export const unavailable = maker(Status.UNAVAILABLE);
export const cancelled = maker(Status.CANCELLED);
export const deadlineExceeded = maker(Status.DEADLINE_EXCEEDED);
export const internal = maker(Status.INTERNAL);

/** Trailing metadata of every error; the suffix makes gRPC carry bytes. */
export const ERROR_METADATA = 'cabernet-error-bin';

// Trailers share HTTP/2's limit for headers, which a client may set as low as 8 KiB.
const MESSAGE_LIMIT = 1500;
const FIELD_LIMIT = 250;
/** Of the second copy, for tools that know google.rpc.Status only. */
const STATUS_MESSAGE_LIMIT = 500;
const REASON = /^[A-Z][A-Z0-9_]{0,62}$/;

const errorDetail = messageType(cabernet.node.v1.ErrorDetail);

/** Well-formed UTF-16 of at most `limit` units: grpc-js dies of half a surrogate pair in a message. */
function shown(text: string, limit: number): string {
  const whole = text.replace(/\p{Surrogate}/gu, '\uFFFD').replace(/\0/g, '\uFFFD');
  if (whole.length <= limit) return whole;
  return `${whole.slice(0, limit - 1).replace(/\p{Surrogate}$/u, '')}…`;
}

/** What grpc-js sends for an error. */
export function toStatus(error: ApiError, metadata: Metadata = new Metadata()): StatusObject {
  const message = shown(error.message, MESSAGE_LIMIT);
  const detail = {
    reason: REASON.test(error.reason) ? error.reason : nameOf(error.status),
    operation: shown(error.operation, FIELD_LIMIT),
    field: shown(error.field ?? '', FIELD_LIMIT),
  };
  metadata.set(ERROR_METADATA, errorDetail.encode({ ...detail, message }));
  const brief = shown(message, STATUS_MESSAGE_LIMIT);
  metadata.set(STATUS_METADATA, encodeRpcStatus({ ...detail, code: error.status, message: brief }));
  return { code: error.status, details: message, metadata };
}

function nameOf(status: Status): string {
  return Status[status] ?? 'UNKNOWN';
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' && 'metadata' in error;
}

/**
 * What a client got, as the error that the server threw. Where there is no detail (the server is no agent, or gRPC itself
 * refused), the reason is the status' own name.
 */
export function fromServiceError(error: unknown, operation: string): ApiError {
  if (error instanceof ApiError) return error.during(operation);
  if (!isServiceError(error)) {
    return internal({
      reason: 'INTERNAL',
      operation,
      message: `${operation} failed: ${String(error)}`,
      cause: error,
    });
  }
  const status = Status[error.code] === undefined ? Status.UNKNOWN : error.code;
  const fallback = {
    reason: nameOf(status),
    operation,
    message: error.details || error.message,
    cause: error,
  };
  const [bytes] = error.metadata.get(ERROR_METADATA);
  if (!(bytes instanceof Uint8Array)) return new ApiError(status, fallback);
  try {
    const detail = errorDetail.decode(bytes);
    return new ApiError(status, {
      reason: REASON.test(detail.reason) ? detail.reason : fallback.reason,
      operation: detail.operation || operation,
      field: detail.field,
      message: detail.message || fallback.message,
      cause: error,
    });
  } catch {
    return new ApiError(status, fallback);
  }
}

/**
 * Anything thrown by a handler, as what the caller may see. An unknown exception tells nothing: it may hold paths,
 * addresses or another tenant's names.
 */
export function fromException(thrown: unknown, operation: string, requestId: string): ApiError {
  if (thrown instanceof ApiError) return thrown.during(operation);
  const what = thrown instanceof MessageError ? 'made an answer that cannot be sent' : 'failed';
  return internal({
    reason: 'INTERNAL',
    operation,
    message: `${operation} ${what}: a fault of the server. Its log tells more under request ${requestId}.`,
    cause: thrown,
  });
}
