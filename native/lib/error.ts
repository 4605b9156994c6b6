// The one error of libbpf-ts: thrown by the typed facade and by the addon alike.

/** What an error is about; the addon builds errors from the same facts. */
export interface BpfErrorFacts {
  readonly code: string;
  readonly operation: string;
  readonly detail: string;
  readonly errno?: number;
  readonly subject?: string;
  readonly log?: string;
  readonly completed?: number;
  readonly explanation?: string;
}

/**
 * An operation on a BPF object, map, program, link, ring or on a netlink socket that failed.
 *
 * `code` is an errno's name (`'EINVAL'`, see errno(3)) when the kernel refused, `LIBBPF_…` when libbpf did
 * (`'LIBBPF_FORMAT'`, see bpf/libbpf.h), or one of
 * - `ERR_ARGUMENT`: an argument of a wrong type or out of range
 * - `ERR_SIZE`: bytes of a wrong length
 * - `ERR_SHAPE`: an existing map differs from the one declared
 * - `ERR_FOREIGN`: a handle, or what is pinned at a path, is of another kind
 * - `ERR_CLOSED`: the handle is closed
 * - `ERR_STATE`: not possible in this state (before or after loading, while open elsewhere)
 * - `ERR_NOT_FOUND`: no such map, program, variable or type in the object, or no addon built
 * - `ERR_UNSUPPORTED`: a type for which no layout can be generated
 */
export class BpfError extends Error {
  override readonly name = 'BpfError';
  readonly code: string;
  /** What was attempted: `'map.update'`, `'object.load'`. */
  readonly operation: string;
  /** One sentence: what is wrong and, where known, what would be right. */
  readonly detail: string;
  /** Positive errno when the kernel refused. */
  declare readonly errno?: number;
  /** The map, program, path or argument it was about. */
  declare readonly subject?: string;
  /** Messages of libbpf and the verifier's log. */
  declare readonly log?: string;
  /** How many elements of a batch were done before it failed. */
  declare readonly completed?: number;
  /** The kernel's own sentence (an extended acknowledgement), where it gave one; `detail` has it too. */
  declare readonly explanation?: string;

  constructor(facts: BpfErrorFacts) {
    const subject = facts.subject === undefined ? '' : ` ${facts.subject}`;
    super(`${facts.operation}${subject}: ${facts.detail} (${facts.code})`);
    this.code = facts.code;
    this.operation = facts.operation;
    this.detail = facts.detail;
    if (facts.errno !== undefined) this.errno = facts.errno;
    if (facts.subject !== undefined) this.subject = facts.subject;
    if (facts.log !== undefined) this.log = facts.log;
    if (facts.completed !== undefined) this.completed = facts.completed;
    if (facts.explanation !== undefined) this.explanation = facts.explanation;
  }
}

/** An error about a wrong argument, found before the addon was asked. */
export function argumentError(operation: string, name: string, wanted: string): BpfError {
  return new BpfError({ code: 'ERR_ARGUMENT', operation, detail: `${name} must be ${wanted}` });
}
