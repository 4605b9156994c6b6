/** What an authority refuses and what is wrong with a certificate, under codes that do not change. */

/**
 * | code | meaning |
 * | --- | --- |
 * | `NAME` | a name, a role or a SPIFFE ID that is none |
 * | `LIFETIME` | days that no certificate may live |
 * | `EXISTS` | there is an authority, or what is to be written, already |
 * | `NOT_FOUND` | no authority, no certificate, no file there |
 * | `INSECURE` | others may read or replace a file: its owner, its mode, a symbolic link |
 * | `CORRUPT` | a file is cut off, no PEM, or contradicts another one |
 * | `NEWER` | written by a newer version of Cabernet |
 * | `BUSY` | somebody else changes the authority, and does not end |
 * | `ROTATION` | the rotation is at another step |
 * | `EXPIRED` | a certificate's time, or its authority's, has passed |
 * | `NOT_YET_VALID` | a certificate's time has not come: look at the clocks |
 * | `UNTRUSTED` | a certificate that no authority trusted here has issued |
 * | `REVOKED` | a certificate that its authority has taken back |
 * | `NO_IDENTITY` | a certificate that names nobody, or several: no SPIFFE ID of ours |
 * | `FOREIGN` | somebody of another deployment |
 * | `WRONG_PEER` | somebody else than was expected there |
 * | `KEY_MISMATCH` | a private key that is not the certificate's |
 */
export type IdentityErrorCode =
  | 'NAME'
  | 'LIFETIME'
  | 'EXISTS'
  | 'NOT_FOUND'
  | 'INSECURE'
  | 'CORRUPT'
  | 'NEWER'
  | 'BUSY'
  | 'ROTATION'
  | 'EXPIRED'
  | 'NOT_YET_VALID'
  | 'UNTRUSTED'
  | 'REVOKED'
  | 'NO_IDENTITY'
  | 'FOREIGN'
  | 'WRONG_PEER'
  | 'KEY_MISMATCH';

export interface IdentityErrorFacts {
  /** What was being done: `issue`, `read`, `verify` … */
  readonly operation?: string;
  /** The file, the option or the part of a name that is wrong. */
  readonly field?: string;
  readonly cause?: unknown;
}

/** The message is one sentence for a person, and says what would be right. */
export class IdentityError extends Error {
  override readonly name = 'IdentityError';
  readonly code: IdentityErrorCode;
  readonly operation: string;
  readonly field: string | undefined;

  constructor(code: IdentityErrorCode, message: string, facts: IdentityErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = code;
    this.operation = facts.operation ?? '';
    this.field = facts.field;
  }
}
