/**
 * The one error of the data plane's user side. What the kernel refuses arrives as `cause` (a BpfError).
 */

/**
 * - `ARGUMENT`: a value out of range or of a wrong shape
 * - `CLOSED`: the plane is closed
 * - `NOT_ALLOCATED`: an id that nobody allocated, or that was released
 * - `TABLE_FULL`: no id is left in a table
 * - `LABEL_SPACE`: both buckets a label may be in are full
 * - `LABEL_IN_USE`, `LABEL_UNKNOWN`: the label has, or has not, a meaning in its context
 * - `NOT_REBUILT`: the table was adopted; `rebuild` it before changing it
 * - `NAME_TOO_LONG`: the text does not fit the table of names
 * - `IN_USE`: another process has the data plane open
 * - `LAYOUT_MISMATCH`: what is pinned was made by a release with other structs
 * - `BUILD_MISMATCH`: what is pinned was made for jumbo frames and this is not, or the other way round
 * - `OBJECT_MISSING`: no compiled BPF object
 * - `LOAD_FAILED`: the kernel refused maps or programs; `cause.log` has the verifier's words
 * - `NOT_NATIVE`: the interface cannot run XDP in its driver, or not as it is set up
 * - `INTERFACE_BUSY`: another XDP program is attached
 * - `INTERFACE_MISSING`: no such interface
 * - `TRACE_REFUSED`: the frame cannot be traced
 * - `KERNEL`: anything else the kernel refused
 */
export type DataPlaneErrorCode =
  | 'ARGUMENT'
  | 'CLOSED'
  | 'NOT_ALLOCATED'
  | 'TABLE_FULL'
  | 'LABEL_SPACE'
  | 'LABEL_IN_USE'
  | 'LABEL_UNKNOWN'
  | 'NOT_REBUILT'
  | 'NAME_TOO_LONG'
  | 'IN_USE'
  | 'LAYOUT_MISMATCH'
  | 'BUILD_MISMATCH'
  | 'OBJECT_MISSING'
  | 'LOAD_FAILED'
  | 'NOT_NATIVE'
  | 'INTERFACE_BUSY'
  | 'INTERFACE_MISSING'
  | 'TRACE_REFUSED'
  | 'KERNEL';

export interface DataPlaneErrorFacts {
  readonly code: DataPlaneErrorCode;
  /** What was attempted: `'labels.insert'`. */
  readonly operation: string;
  /** The table, field, path or interface it was about. */
  readonly subject?: string;
  /** One sentence: what is wrong and what would be right. */
  readonly detail: string;
  readonly cause?: unknown;
}

export class DataPlaneError extends Error {
  override readonly name = 'DataPlaneError';
  readonly code: DataPlaneErrorCode;
  readonly operation: string;
  declare readonly subject?: string;
  readonly detail: string;

  constructor(facts: DataPlaneErrorFacts) {
    const subject = facts.subject === undefined ? '' : ` ${facts.subject}`;
    const options = facts.cause === undefined ? {} : { cause: facts.cause };
    super(`${facts.operation}${subject}: ${facts.detail} (${facts.code})`, options);
    this.code = facts.code;
    this.operation = facts.operation;
    this.detail = facts.detail;
    if (facts.subject !== undefined) this.subject = facts.subject;
  }
}

/** An argument that is not what `wanted` says. */
export function wrongArgument(operation: string, subject: string, wanted: string): DataPlaneError {
  return new DataPlaneError({ code: 'ARGUMENT', operation, subject, detail: `must be ${wanted}` });
}
