/**
 * Resume tokens of watches: a revision of the store, and how many of its events have been received, or all. Opaque to
 * clients; a forged one only says where to go on reading.
 */
import { invalidArgument } from '../api/errors.js';
import { type Revision } from '../store/index.js';

export interface Position {
  readonly revision: Revision;
  /** Events of that revision already received; undefined: all. */
  readonly events: number | undefined;
}

const TOKEN = /^v1\.([0-9a-z]{1,11})\.([0-9]{1,6}|all)$/;

export function formatToken({ revision, events }: Position): string {
  return Buffer.from(`v1.${revision.toString(36)}.${events ?? 'all'}`).toString('base64url');
}

/** @throws ApiError INVALID_ARGUMENT, RESUME_TOKEN */
export function parseToken(token: string): Position {
  const match = token.length <= 64 ? TOKEN.exec(Buffer.from(token, 'base64url').toString('latin1')) : null;
  const revision = parseInt(match?.[1] ?? '', 36);
  if (!match || !Number.isSafeInteger(revision)) {
    throw invalidArgument({
      reason: 'RESUME_TOKEN',
      field: 'resume_token',
      message: 'resume_token is not one that this controller gave; leave it empty to begin anew.',
    });
  }
  return { revision, events: match[2] === 'all' ? undefined : Number(match[2]) };
}
