/** What an authority remembers, `authority.json`: its roots, how far a rotation is, what it has issued. Checked when read. */
import { IdentityError } from './errors.js';
import { isDeployment, parsePath } from './principal.js';

export const VERSION = 1;

/** In order: one root; two are trusted, the old one issues; two are trusted, the new one issues. */
export const ROTATION_STEPS = ['none', 'begun', 'switched'] as const;
export type RotationStep = (typeof ROTATION_STEPS)[number];

export interface Root {
  /** Eight hexadecimal digits; its key is in `ID.key`. */
  readonly id: string;
  /** PEM. */
  readonly certificate: string;
  readonly notBefore: string;
  readonly notAfter: string;
}

export interface Issued {
  readonly serial: string;
  /** `agent/acme/P` */
  readonly principal: string;
  /** The root's id. */
  readonly root: string;
  readonly notBefore: string;
  readonly notAfter: string;
  readonly revoked?: string;
}

export interface AuthorityState {
  readonly version: typeof VERSION;
  readonly deployment: string;
  readonly rotation: RotationStep;
  /** One, or the old one and the new one. */
  readonly roots: readonly Root[];
  readonly issued: readonly Issued[];
}

type Plain = Readonly<Record<string, unknown>>;

function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isTime(value: unknown): boolean {
  return typeof value === 'string' && !Number.isNaN(Date.parse(value));
}

function isRoot(value: unknown): value is Root {
  return (
    isPlain(value) &&
    /^[0-9a-f]{8}$/.test(String(value['id'])) &&
    typeof value['certificate'] === 'string' &&
    isTime(value['notBefore']) &&
    isTime(value['notAfter'])
  );
}

function isIssued(value: unknown, deployment: string): value is Issued {
  return (
    isPlain(value) &&
    /^[0-9a-f]{1,40}$/.test(String(value['serial'])) &&
    parsePath(deployment, String(value['principal'])) !== undefined &&
    /^[0-9a-f]{8}$/.test(String(value['root'])) &&
    isTime(value['notBefore']) &&
    isTime(value['notAfter']) &&
    (value['revoked'] === undefined || isTime(value['revoked']))
  );
}

/** @throws IdentityError CORRUPT, NEWER */
export function parseState(text: string, path: string): AuthorityState {
  const facts = { operation: 'read', field: path } as const;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new IdentityError('CORRUPT', `${path} is cut off or damaged; restore it from a backup.`, {
      ...facts,
      cause,
    });
  }
  if (isPlain(value) && typeof value['version'] === 'number' && value['version'] > VERSION) {
    throw new IdentityError(
      'NEWER',
      `${path} was written by a newer version of Cabernet; use that one.`,
      facts,
    );
  }
  if (isPlain(value) && value['version'] === VERSION) {
    const { deployment, rotation, roots, issued } = value;
    const steps: readonly unknown[] = ROTATION_STEPS;
    const sound =
      typeof deployment === 'string' &&
      isDeployment(deployment) &&
      steps.includes(rotation) &&
      Array.isArray(roots) &&
      roots.length === (rotation === 'none' ? 1 : 2) &&
      roots.every(isRoot) &&
      Array.isArray(issued) &&
      issued.every((one) => isIssued(one, deployment));
    if (sound) return value as unknown as AuthorityState;
  }
  throw new IdentityError('CORRUPT', `${path} is no authority's state; restore it from a backup.`, facts);
}
