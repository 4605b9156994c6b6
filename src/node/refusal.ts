/**
 * How the agent says no: the API's errors by what is wrong, with a stable reason, the field and a sentence.
 */
import {
  alreadyExists,
  ApiError,
  failedPrecondition,
  internal,
  invalidArgument,
  notFound,
  permissionDenied,
  resourceExhausted,
} from '../api/errors.js';
import { DataPlaneError } from '../dataplane/index.js';

/** The request is wrong, whatever the machine's state. */
export function invalid(reason: string, field: string, message: string): ApiError {
  return invalidArgument({ reason, field, message });
}

/** Not this owner's to write. */
export function denied(reason: string, field: string, message: string): ApiError {
  return permissionDenied({ reason, field, message });
}

/** Right in itself; the machine's state, or the rest of the request, does not allow it. */
export function impossible(reason: string, field: string, message: string): ApiError {
  return failedPrecondition({ reason, field, message });
}

/** Twice the same. */
export function conflict(reason: string, field: string, message: string): ApiError {
  return alreadyExists({ reason, field, message });
}

/** What a read asks for is not on this machine. */
export function missing(reason: string, field: string, message: string): ApiError {
  return notFound({ reason, field, message });
}

/** No room for it. */
export function tooMuch(reason: string, field: string, message: string): ApiError {
  return resourceExhausted({ reason, field, message });
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A step of an Apply that the machine did not let happen; `name` is the resource's. */
export function failedStep(name: string, what: string, cause?: unknown): ApiError {
  if (cause instanceof ApiError) return cause;
  const full = cause instanceof DataPlaneError && ['TABLE_FULL', 'LABEL_SPACE'].includes(cause.code);
  return (full ? resourceExhausted : internal)({
    reason: full ? cause.code : 'STEP_FAILED',
    field: name,
    message: `${what}${cause === undefined ? '' : `: ${sentence(cause)}`}. The next Apply takes it up again.`,
    cause,
  });
}

/** Whatever a step threw, as what the caller is told. */
export function asStepFailure(name: string, cause: unknown): ApiError {
  return failedStep(name, name, cause);
}

/** What the data plane refused outside of an Apply, as the caller is told; undefined: not one of its errors. */
export function translate(thrown: unknown): ApiError | undefined {
  if (!(thrown instanceof DataPlaneError)) return undefined;
  const make = thrown.code === 'ARGUMENT' || thrown.code === 'TRACE_REFUSED' ? invalidArgument : internal;
  return make({ reason: thrown.code, message: thrown.message, cause: thrown });
}
