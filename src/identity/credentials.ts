/**
 * What a process shows and whom it believes: `certificate.pem`, `key.pem`, `authorities.pem` and perhaps `revoked.pem` of one
 * directory. They are read again when they change. What is broken is told, and what was read before goes on in its place:
 * the pair of certificate and key, the authorities and the list of revoked ones each for themselves.
 */
import { createPrivateKey, type X509Certificate } from 'node:crypto';
import { type FSWatcher, watch } from 'node:fs';
import { join, resolve } from 'node:path';

import { IdentityError } from './errors.js';
import { checkFolder, readOwn } from './files.js';
import { readCertificates } from './pem.js';
import { formatId, type Principal, samePrincipal } from './principal.js';
import { principalOf, timesOf, Trust } from './trust.js';

export const CERTIFICATE = 'certificate.pem';
export const KEY = 'key.pem';
export const AUTHORITIES = 'authorities.pem';
export const REVOKED = 'revoked.pem';

/** After the last event of a directory, for four files are seldom replaced in one instant; milliseconds. */
const SETTLE = 100;
/** Where the file system tells nothing (NFS), or no watch is to be had; milliseconds. */
const LOOK_EVERY = 30_000;

/** PEM, for a TLS context. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  readonly ca: readonly string[];
}

export interface CredentialsOptions {
  /** Told what is wrong with new files; the old ones go on. */
  readonly onProblem?: ((problem: Error) => void) | undefined;
  /** Whether to look for changes by itself. True unless said; a command that ends soon need not. */
  readonly watch?: boolean | undefined;
}

interface Pair {
  readonly certificate: X509Certificate;
  readonly certificateText: string;
  readonly keyText: string;
  readonly principal: Principal;
}

interface Texts {
  readonly certificate: string | undefined;
  readonly key: string | undefined;
  readonly authorities: string | undefined;
  readonly revoked: string | undefined;
}

type Part<T> = { readonly value: T } | { readonly problem: Error };

async function part<T>(work: () => T | Promise<T>): Promise<Part<T>> {
  try {
    return { value: await work() };
  } catch (error) {
    return { problem: error instanceof Error ? error : new Error(String(error)) };
  }
}

function missing(path: string): IdentityError {
  const message = `There is no ${path}; \`cabernet ca issue\` makes a whole directory.`;
  return new IdentityError('NOT_FOUND', message, { operation: 'read', field: path });
}

export class Credentials {
  readonly directory: string;
  readonly #onProblem: (problem: Error) => void;
  readonly #listeners = new Set<() => void>();
  #pair: Pair;
  #trust: Trust;
  /** What was tried last, good or not: the same is not told twice. */
  #tried: string;
  #authorities: string;
  #revoked: string | undefined;
  #watcher: FSWatcher | undefined;
  #period: NodeJS.Timeout | undefined;
  #settling: NodeJS.Timeout | undefined;
  #reading: Promise<void> = Promise.resolve();
  #closed = false;

  private constructor(
    directory: string,
    pair: Pair,
    trust: Trust,
    texts: Texts,
    options: CredentialsOptions,
  ) {
    this.directory = directory;
    this.#pair = pair;
    this.#trust = trust;
    this.#authorities = texts.authorities ?? '';
    this.#revoked = texts.revoked;
    this.#tried = JSON.stringify(texts);
    this.#onProblem = options.onProblem ?? ((): void => undefined);
    if (options.watch ?? true) this.#follow();
  }

  /**
   * @throws IdentityError NOT_FOUND, INSECURE, CORRUPT, KEY_MISMATCH, and why its own certificate would be believed by nobody:
   * UNTRUSTED, EXPIRED, NOT_YET_VALID, REVOKED, NO_IDENTITY, FOREIGN
   */
  static async open(directory: string, options: CredentialsOptions = {}): Promise<Credentials> {
    const path = resolve(directory);
    const texts = await readTexts(path);
    const pair = readPair(path, texts);
    const trust = await readTrust(path, texts.authorities, texts.revoked);
    trust.verify(pair.certificate.raw);
    return new Credentials(path, pair, trust, texts, options);
  }

  /** Who this process is. It stays so: certificates of somebody else are refused. */
  get principal(): Principal {
    return this.#pair.principal;
  }

  /** Of the certificate shown, milliseconds since 1970. */
  get expires(): number {
    return timesOf(this.#pair.certificate).to;
  }

  get tls(): TlsMaterial {
    return { cert: this.#pair.certificateText, key: this.#pair.keyText, ca: this.#trust.authorities };
  }

  /** Who the owner of this certificate (DER) is, by what is believed now. @throws IdentityError as Trust.verify */
  verify(der: Buffer): Principal {
    return this.#trust.verify(der);
  }

  /** Why peers will not believe the certificate shown, undefined if they should. */
  get flaw(): IdentityError | undefined {
    try {
      this.#trust.verify(this.#pair.certificate.raw);
      return undefined;
    } catch (error) {
      if (error instanceof IdentityError) return error;
      throw error;
    }
  }

  /** Called after each change; gives the function that ends it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Reads the files now. Resolves when what is good of them counts; never rejects. */
  reload(): Promise<void> {
    this.#reading = this.#reading.then(() => this.#read());
    return this.#reading;
  }

  close(): void {
    this.#closed = true;
    this.#watcher?.close();
    clearInterval(this.#period);
    clearTimeout(this.#settling);
    this.#listeners.clear();
  }

  #follow(): void {
    const look = (): void => {
      void this.reload();
    };
    this.#period = setInterval(look, LOOK_EVERY).unref();
    try {
      this.#watcher = watch(this.directory, { persistent: false }, () => {
        clearTimeout(this.#settling);
        if (!this.#closed) this.#settling = setTimeout(look, SETTLE).unref();
      });
      this.#watcher.on('error', (problem: Error) => this.#onProblem(problem));
    } catch (error) {
      // no more watches for this user: the period has to do
      this.#onProblem(error as Error);
    }
  }

  async #read(): Promise<void> {
    if (this.#closed) return;
    const { directory } = this;
    const read = await part(() => readTexts(directory));
    if ('problem' in read) {
      this.#tell(read.problem);
      return;
    }
    const texts = read.value;
    const tried = JSON.stringify(texts);
    if (tried === this.#tried) return;
    this.#tried = tried;

    const pair = await part(() => readPair(directory, texts, this.principal));
    if ('problem' in pair) this.#tell(pair.problem);
    const trust = await this.#newTrust(texts);
    if (this.#closed) return;
    if ('value' in pair) this.#pair = pair.value;
    this.#trust = trust;
    const { flaw } = this;
    if (flaw) this.#tell(flaw);
    for (const listener of [...this.#listeners]) listener();
  }

  /** What is good of the new authorities and the new list, with the old in place of what is not. */
  async #newTrust({ authorities, revoked }: Texts): Promise<Trust> {
    const { directory } = this;
    const of = (authorities: string | undefined, revoked: string | undefined): Promise<Part<Trust>> =>
      part(() => readTrust(directory, authorities, revoked));
    const plain = await of(authorities, undefined);
    if ('problem' in plain) this.#tell(plain.problem);
    else this.#authorities = authorities ?? '';
    if (revoked === undefined && this.#revoked !== undefined) {
      // whoever takes the list away must not take the revocations back
      this.#tell(missing(join(directory, REVOKED)));
    }
    for (const list of new Set([revoked, this.#revoked])) {
      if (list === undefined) continue;
      const whole = await of(this.#authorities, list);
      if ('problem' in whole) this.#tell(whole.problem);
      else {
        this.#revoked = list;
        return whole.value;
      }
    }
    return 'value' in plain ? plain.value : this.#trust;
  }

  #tell(problem: Error): void {
    this.#onProblem(problem);
  }
}

async function readTexts(directory: string): Promise<Texts> {
  await checkFolder(directory, false);
  const [certificate, key, authorities, revoked] = await Promise.all([
    readOwn(join(directory, CERTIFICATE)),
    readOwn(join(directory, KEY), true),
    readOwn(join(directory, AUTHORITIES)),
    readOwn(join(directory, REVOKED)),
  ]);
  return { certificate, key, authorities, revoked };
}

function readPair(directory: string, texts: Texts, expected?: Principal): Pair {
  const certificatePath = join(directory, CERTIFICATE);
  const keyPath = join(directory, KEY);
  if (texts.certificate === undefined) throw missing(certificatePath);
  if (texts.key === undefined) throw missing(keyPath);
  const [certificate] = readCertificates(texts.certificate, certificatePath);
  if (!certificate) throw missing(certificatePath);
  const principal = principalOf(certificate);
  if (expected && !samePrincipal(expected, principal)) {
    const message = `${certificatePath} is now of ${formatId(principal)}; start anew to be somebody else than ${formatId(expected)}.`;
    throw new IdentityError('WRONG_PEER', message, { operation: 'read', field: certificatePath });
  }
  let fits: boolean;
  try {
    fits = certificate.checkPrivateKey(createPrivateKey(texts.key));
  } catch (cause) {
    throw new IdentityError('CORRUPT', `${keyPath} is no private key in PEM; issue the pair again.`, {
      operation: 'read',
      field: keyPath,
      cause,
    });
  }
  if (!fits) {
    const message = `${keyPath} is not the key of ${certificatePath}; copy or issue both again.`;
    throw new IdentityError('KEY_MISMATCH', message, { operation: 'read', field: keyPath });
  }
  return { certificate, certificateText: texts.certificate, keyText: texts.key, principal };
}

function readTrust(
  directory: string,
  authorities: string | undefined,
  revoked: string | undefined,
): Promise<Trust> {
  const path = join(directory, AUTHORITIES);
  if (authorities === undefined) throw missing(path);
  const list = revoked === undefined ? undefined : { text: revoked, path: join(directory, REVOKED) };
  return Trust.read({ text: authorities, path }, list);
}
