/**
 * The certificate authority of a deployment, in a directory that only its owner may look into (0700). One file,
 * `authority.json`, is what is; it is replaced in one step, under a lock. `authorities.pem` and `revoked.pem` follow from it,
 * are for everybody, and are written anew by each change, so that a crash between two files is mended by the next.
 */
import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import { readdir, unlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { AUTHORITIES, CERTIFICATE, KEY, REVOKED } from './credentials.js';
import { IdentityError } from './errors.js';
import { checkFolder, ensureFolder, locked, readOwn, replaceFile } from './files.js';
import { plainSerial, readCertificates } from './pem.js';
import {
  deploymentId,
  formatId,
  formatPath,
  IDENTITY_RULES,
  isDeployment,
  type Principal,
  samePrincipal,
} from './principal.js';
import {
  type AuthorityState,
  type Issued,
  parseState,
  type Root,
  type RotationStep,
  VERSION,
} from './state.js';
import { deploymentOf, principalOf } from './trust.js';
import type * as x509 from './x509.js';

export { type Issued, type Root, type RotationStep } from './state.js';

const STATE = 'authority.json';
const LOCK = 'lock';

/** Public files are copied from machine to machine by whoever does that. */
const PUBLIC = 0o644;

const DAY_MS = 86_400_000;
/** Clocks differ: what is issued is valid a little earlier. */
const BACKDATED_MS = 5 * 60_000;
/** What has expired is forgotten so much later, and may leave the list of revoked ones (RFC 5280 §3.3). */
const REMEMBERED_MS = 30 * DAY_MS;

/** Days. */
export const LIFETIMES = { root: 3650, leaf: 90, longest: 3650 } as const;

export interface IssueOptions {
  /** Days; at most the authority's own. Default: 90. */
  readonly days?: number | undefined;
  /** The moment of issue. Default: now. */
  readonly at?: Date | undefined;
}

export interface AuthorityStatus {
  readonly directory: string;
  readonly deployment: string;
  readonly rotation: RotationStep;
  /** Its certificates are the new ones. */
  readonly issuing: Root;
  readonly roots: readonly Root[];
  /** Neither expired nor revoked. */
  readonly valid: number;
  readonly revoked: number;
  /** Whose valid certificates all come from a root that does not issue any more: those to renew before `finish`. */
  readonly behind: readonly string[];
}

/** The library that makes certificates, when something is made. */
const making = (): Promise<typeof x509> => import('./x509.js');

const same = <T>(result: T): Promise<T> => Promise.resolve(result);

function checkDays(days: number): number {
  if (Number.isFinite(days) && days > 0 && days <= LIFETIMES.longest) return days;
  const message = `A certificate lives more than 0 and at most ${LIFETIMES.longest} days, not ${days}.`;
  throw new IdentityError('LIFETIME', message, { field: 'days' });
}

async function newRoot(directory: string, deployment: string, days: number): Promise<Root> {
  const id = randomBytes(4).toString('hex');
  const { makeRoot } = await making();
  const now = Date.now();
  // X.509 counts seconds
  const notBefore = new Date(Math.floor((now - BACKDATED_MS) / 1000) * 1000);
  const notAfter = new Date(Math.floor((now + days * DAY_MS) / 1000) * 1000);
  // The id tells the roots of a rotation apart: two of one name would be taken for one another.
  const { certificate, key } = await makeRoot(`Cabernet authority ${id}`, deploymentId(deployment), {
    notBefore,
    notAfter,
  });
  await replaceFile(join(directory, `${id}.key`), key);
  return { id, certificate, notBefore: notBefore.toISOString(), notAfter: notAfter.toISOString() };
}

function isValid(one: Issued, now: number): boolean {
  return one.revoked === undefined && Date.parse(one.notAfter) >= now;
}

export class Authority {
  readonly directory: string;
  #state: AuthorityState;

  private constructor(directory: string, state: AuthorityState) {
    this.directory = directory;
    this.#state = state;
  }

  /**
   * Makes an authority, and its directory if that is missing. `days`: its own lifetime (default: 3650).
   * @throws IdentityError NAME, LIFETIME, EXISTS, INSECURE, BUSY, NOT_FOUND
   */
  static async init(given: string, deployment: string, days: number = LIFETIMES.root): Promise<Authority> {
    if (!isDeployment(deployment)) {
      const message = `${JSON.stringify(deployment.slice(0, 100))} is no deployment's name: ${IDENTITY_RULES.deployment}.`;
      throw new IdentityError('NAME', message, { operation: 'init', field: 'deployment' });
    }
    checkDays(days);
    const directory = await ensureFolder(given, 0o700);
    return locked(join(directory, LOCK), async () => {
      const others = (await readdir(directory)).filter((name) => name !== LOCK);
      if (others.length > 0) {
        const what = others.includes(STATE) ? 'holds an authority already' : `is not empty: ${others[0]}`;
        throw new IdentityError('EXISTS', `${directory} ${what}; give another directory.`, {
          operation: 'init',
          field: 'directory',
        });
      }
      const root = await newRoot(directory, deployment, days);
      const authority = new Authority(directory, {
        version: VERSION,
        deployment,
        rotation: 'none',
        roots: [root],
        issued: [],
      });
      await authority.#write(authority.#state);
      return authority;
    });
  }

  /** @throws IdentityError NOT_FOUND, INSECURE, CORRUPT, NEWER */
  static async open(given: string): Promise<Authority> {
    const directory = resolve(given);
    await checkFolder(directory, true);
    return new Authority(directory, await readState(directory));
  }

  get deployment(): string {
    return this.#state.deployment;
  }

  get #issuing(): Root {
    const { roots, rotation, deployment } = this.#state;
    const root = rotation === 'switched' ? roots[1] : roots[0];
    if (root) return root;
    throw new IdentityError('CORRUPT', `The authority of ${deployment} has no root.`);
  }

  /** Reads what is, changes it, writes it, and does what follows from it, alone. */
  async #change<T, R>(
    work: (state: AuthorityState) => Promise<{ state: AuthorityState; result: T }>,
    after: (result: T) => Promise<R>,
  ): Promise<R> {
    return locked(join(this.directory, LOCK), async () => {
      this.#state = await readState(this.directory);
      const { state, result } = await work(this.#state);
      await this.#write(state);
      return after(result);
    });
  }

  async #write(state: AuthorityState): Promise<void> {
    const forgotten = Date.now() - REMEMBERED_MS;
    const issued = state.issued.filter((one) => Date.parse(one.notAfter) >= forgotten);
    const kept = { ...state, issued };
    const lists = await this.#lists(kept);
    await replaceFile(join(this.directory, STATE), `${JSON.stringify(kept, undefined, 2)}\n`);
    this.#state = kept;
    await this.#publish(this.directory, lists);
  }

  async #publish(directory: string, lists: string): Promise<void> {
    const bundle = this.#state.roots.map((root) => root.certificate).join('');
    await replaceFile(join(directory, AUTHORITIES), bundle, PUBLIC);
    await replaceFile(join(directory, REVOKED), lists, PUBLIC);
  }

  /** One list for each root, as long as it is trusted. */
  async #lists(state: AuthorityState): Promise<string> {
    const { makeRevokedList } = await making();
    const notBefore = new Date();
    const lists = state.roots.map(async (root) => {
      const entries = state.issued.flatMap(({ serial, revoked, root: of }) =>
        revoked !== undefined && of === root.id ? [{ serial, at: new Date(revoked) }] : [],
      );
      // It says nothing of freshness: lists are carried by hand, and a late one must not stop everything.
      const life = { notBefore, notAfter: new Date(root.notAfter) };
      return makeRevokedList(entries, life, await this.#signer(root));
    });
    return (await Promise.all(lists)).join('');
  }

  async #signer(root: Root): Promise<{ certificate: string; key: string }> {
    const path = join(this.directory, `${root.id}.key`);
    const key = await readOwn(path, true);
    const facts = { operation: 'read', field: path } as const;
    if (key === undefined) {
      throw new IdentityError('NOT_FOUND', `The authority's key ${path} is missing; restore it.`, facts);
    }
    let fits = false;
    try {
      fits = new X509Certificate(root.certificate).checkPrivateKey(createPrivateKey(key));
    } catch (cause) {
      throw new IdentityError('CORRUPT', `${path} is no private key in PEM; restore it from a backup.`, {
        ...facts,
        cause,
      });
    }
    if (!fits)
      throw new IdentityError('KEY_MISMATCH', `${path} is not the key of this authority; restore it.`, facts);
    return { certificate: root.certificate, key };
  }

  /**
   * Issues a certificate with a new key and writes the whole directory of credentials, made (0700) if it is missing. Where
   * there is one of the same principal it is renewed, file by file in one step each; processes that use it go on by themselves.
   * @throws IdentityError EXISTS if it is somebody else's; LIFETIME, EXPIRED; BUSY, INSECURE, NOT_FOUND, CORRUPT
   */
  async issue(principal: Principal, into: string, options: IssueOptions = {}): Promise<Issued> {
    const days = checkDays(options.days ?? LIFETIMES.leaf);
    const { deployment } = this.#state;
    if (principal.deployment !== deployment) {
      throw new IdentityError('FOREIGN', `${formatId(principal)} is not of ${deployment}.`, {
        operation: 'issue',
      });
    }
    const directory = await ensureFolder(into, 0o700);
    return this.#change(
      async (state) => {
        await checkOccupant(directory, principal);
        const root = this.#issuing;
        const at = (options.at ?? new Date()).getTime();
        const rootEnd = Date.parse(root.notAfter);
        if (rootEnd <= at) {
          const message = 'The authority itself has expired; rotate it: `cabernet ca rotate begin`.';
          throw new IdentityError('EXPIRED', message, { operation: 'issue' });
        }
        const notBefore = new Date(Math.floor((at - BACKDATED_MS) / 1000) * 1000);
        const notAfter = new Date(Math.floor(Math.min(at + days * DAY_MS, rootEnd) / 1000) * 1000);
        const { makeLeaf } = await making();
        const names = [{ type: 'url', value: formatId(principal) }] as const;
        const pair = await makeLeaf(names, { notBefore, notAfter }, await this.#signer(root));
        const issued: Issued = {
          serial: plainSerial(pair.serial),
          principal: formatPath(principal),
          root: root.id,
          notBefore: notBefore.toISOString(),
          notAfter: notAfter.toISOString(),
        };
        return { state: { ...state, issued: [...state.issued, issued] }, result: { pair, issued } };
      },
      // recorded before it is handed out; who is believed first, then who one is
      async ({ pair, issued }) => {
        await this.copyTrust(directory);
        await replaceFile(join(directory, KEY), pair.key);
        await replaceFile(join(directory, CERTIFICATE), pair.certificate, PUBLIC);
        return issued;
      },
    );
  }

  /** Writes who is trusted and what is revoked, as of now, into a directory of credentials. */
  async copyTrust(directory: string): Promise<void> {
    await checkFolder(directory, false);
    for (const name of [AUTHORITIES, REVOKED]) {
      const text = await readOwn(join(this.directory, name));
      if (text !== undefined) await replaceFile(join(directory, name), text, PUBLIC);
    }
  }

  /** What was issued and has not been forgotten: expired ones are kept for 30 days. */
  list(): readonly Issued[] {
    return this.#state.issued;
  }

  /**
   * Revokes one certificate by its serial number, or all valid ones of a principal (`agent/acme/P`).
   * @throws IdentityError NOT_FOUND, and as `issue`
   */
  async revoke(which: string): Promise<readonly Issued[]> {
    return this.#change((state) => {
      const now = new Date();
      const serial = plainSerial(which);
      const chosen = state.issued.filter((one) =>
        one.serial === serial
          ? one.revoked === undefined
          : one.principal === which && isValid(one, now.getTime()),
      );
      if (chosen.length === 0) {
        const known = state.issued.some((one) => one.serial === serial || one.principal === which);
        const what = known
          ? 'has nothing left to revoke'
          : 'is no serial number and no name that was issued here';
        const message = `${JSON.stringify(which.slice(0, 100))} ${what}; \`cabernet ca list\` shows them.`;
        throw new IdentityError('NOT_FOUND', message, { operation: 'revoke', field: 'which' });
      }
      const revoked = chosen.map((one) => ({ ...one, revoked: now.toISOString() }));
      const issued = state.issued.map((one) => revoked.find((other) => other.serial === one.serial) ?? one);
      return Promise.resolve({ state: { ...state, issued }, result: revoked });
    }, same);
  }

  /** First step: a new root is trusted beside the old one, which still issues. @throws IdentityError ROTATION */
  async beginRotation(days: number = LIFETIMES.root): Promise<AuthorityStatus> {
    checkDays(days);
    await this.#change(async (state) => {
      expectStep(state, 'none', 'begin');
      const root = await newRoot(this.directory, state.deployment, days);
      return { state: { ...state, rotation: 'begun', roots: [...state.roots, root] }, result: undefined };
    }, same);
    return this.status();
  }

  /** Second step: new certificates come from the new root. @throws IdentityError ROTATION */
  async switchRotation(): Promise<AuthorityStatus> {
    await this.#change((state) => {
      expectStep(state, 'begun', 'switch');
      return Promise.resolve({ state: { ...state, rotation: 'switched' as const }, result: undefined });
    }, same);
    return this.status();
  }

  /**
   * Last step: the old root is no longer trusted, and its key deleted. Refused while somebody has certificates of the old
   * root only, unless `anyway`: they would be locked out. @throws IdentityError ROTATION
   */
  async finishRotation(anyway = false): Promise<AuthorityStatus> {
    const check = (state: AuthorityState): { state: AuthorityState; result: Root | undefined } => {
      expectStep(state, 'switched', 'finish');
      const behind = this.#behind(state);
      if (behind.length > 0 && !anyway) {
        const names =
          behind.slice(0, 10).join(', ') + (behind.length > 10 ? ` and ${behind.length - 10} more` : '');
        const message = `Only certificates of the old authority are with ${names}; renew or revoke them first.`;
        throw new IdentityError('ROTATION', message, { operation: 'finish' });
      }
      const [old, ...roots] = state.roots;
      return { state: { ...state, rotation: 'none', roots }, result: old };
    };
    await this.#change(
      async (state) => check(state),
      async (old) => {
        if (old) await unlink(join(this.directory, `${old.id}.key`));
      },
    );
    return this.status();
  }

  #behind(state: AuthorityState): readonly string[] {
    const now = Date.now();
    const issuing = state.rotation === 'switched' ? state.roots[1] : state.roots[0];
    const valid = state.issued.filter(
      (one) => isValid(one, now) && state.roots.some(({ id }) => id === one.root),
    );
    const ahead = new Set(valid.filter((one) => one.root === issuing?.id).map((one) => one.principal));
    return [...new Set(valid.map((one) => one.principal))].filter((name) => !ahead.has(name)).toSorted();
  }

  status(): AuthorityStatus {
    const now = Date.now();
    const state = this.#state;
    const { deployment, rotation, roots, issued } = state;
    const trusted = issued.filter((one) => roots.some(({ id }) => id === one.root));
    return {
      directory: this.directory,
      deployment,
      rotation,
      issuing: this.#issuing,
      roots,
      valid: trusted.filter((one) => isValid(one, now)).length,
      revoked: trusted.filter((one) => one.revoked !== undefined).length,
      behind: this.#behind(state),
    };
  }
}

function expectStep(state: AuthorityState, expected: RotationStep, operation: string): void {
  if (state.rotation === expected) return;
  const next = { none: 'begin', begun: 'switch', switched: 'finish' } as const;
  const message = `The rotation is not where ${operation} goes on; the next step is \`cabernet ca rotate ${next[state.rotation]}\`.`;
  throw new IdentityError('ROTATION', message, { operation });
}

async function readState(directory: string): Promise<AuthorityState> {
  const path = join(directory, STATE);
  const text = await readOwn(path, true);
  if (text === undefined) {
    const message = `There is no authority in ${directory}; \`cabernet ca init\` makes one.`;
    throw new IdentityError('NOT_FOUND', message, { operation: 'read', field: 'directory' });
  }
  const state = parseState(text, path);
  for (const root of state.roots) {
    const [certificate] = readCertificates(root.certificate, path);
    if (certificate && deploymentOf(certificate, path) === state.deployment) continue;
    throw new IdentityError('CORRUPT', `${path} holds a root of another deployment.`, {
      operation: 'read',
      field: path,
    });
  }
  return state;
}

/** Nobody's credentials are overwritten by somebody else's. */
async function checkOccupant(directory: string, principal: Principal): Promise<void> {
  const path = join(directory, CERTIFICATE);
  const text = await readOwn(path);
  if (text === undefined) return;
  const [certificate] = readCertificates(text, path);
  const occupant = certificate && principalOf(certificate);
  if (occupant && samePrincipal(occupant, principal)) return;
  const whose = occupant ? `is ${formatId(occupant)}'s` : 'is there';
  throw new IdentityError('EXISTS', `${path} ${whose}; give another directory, or remove that one.`, {
    operation: 'issue',
    field: 'directory',
  });
}
