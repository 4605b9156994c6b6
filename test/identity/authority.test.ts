import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { Authority } from '../../src/identity/authority.js';
import { Credentials } from '../../src/identity/credentials.js';
import { Trust } from '../../src/identity/trust.js';
import { DEPLOYMENT, failure, issue, principal, temporaryFolder } from './support.js';

let folder: ReturnType<typeof temporaryFolder>;
let path: string;

beforeEach(() => {
  folder = temporaryFolder();
  path = join(folder.path, 'ca');
});

afterEach(() => folder.remove());

const mode = (...parts: string[]): number => lstatSync(join(...parts)).mode & 0o777;
const text = (...parts: string[]): string => readFileSync(join(...parts), 'utf8');

async function trustOf(directory: string): Promise<Trust> {
  const read = (name: string): { text: string; path: string } => ({
    text: text(directory, name),
    path: name,
  });
  return Trust.read(read('authorities.pem'), read('revoked.pem'));
}

function leaf(directory: string): Buffer {
  return Buffer.from(text(directory, 'certificate.pem').replaceAll(/-----.*-----/g, ''), 'base64');
}

test('an authority is its owner’s alone, and what it issues is believed', async () => {
  const authority = await Authority.init(path, DEPLOYMENT);
  expect(mode(path)).toBe(0o700);
  const names = readdirSync(path);
  expect(names.filter((name) => name.endsWith('.key'))).toHaveLength(1);
  for (const name of names.filter((one) => !one.endsWith('.pem'))) expect(mode(path, name)).toBe(0o600);

  const into = await issue(authority, 'agent/acme/P');
  expect(mode(into)).toBe(0o700);
  expect(mode(into, 'key.pem')).toBe(0o600);
  expect(readdirSync(into).toSorted()).toEqual([
    'authorities.pem',
    'certificate.pem',
    'key.pem',
    'revoked.pem',
  ]);
  const credentials = await Credentials.open(into, { watch: false });
  expect(credentials.principal).toEqual(principal('agent/acme/P'));
  expect((await trustOf(path)).verify(leaf(into))).toEqual(principal('agent/acme/P'));
  credentials.close();
});

test('OpenSSL is of the same opinion, of the certificate and of its revocation', async () => {
  const authority = await Authority.init(path, DEPLOYMENT);
  const into = await issue(authority, 'service/iptv');
  const verify = (): string => {
    writeFileSync(join(folder.path, 'all.pem'), text(path, 'authorities.pem') + text(path, 'revoked.pem'));
    const args = ['verify', '-x509_strict', '-crl_check', '-purpose', 'sslclient'];
    return execFileSync(
      'openssl',
      [...args, '-CAfile', join(folder.path, 'all.pem'), join(into, 'certificate.pem')],
      {
        encoding: 'utf8',
        stdio: 'pipe',
      },
    );
  };
  expect(verify()).toContain('OK');
  await authority.revoke('service/iptv');
  expect(verify).toThrow(/certificate revoked/);
});

test('a second init, and one over something else, are refused', async () => {
  await Authority.init(path, DEPLOYMENT);
  expect(await failure(Authority.init(path, DEPLOYMENT))).toMatchObject({
    code: 'EXISTS',
    operation: 'init',
  });
  mkdirSync(join(folder.path, 'full'), { mode: 0o700 });
  writeFileSync(join(folder.path, 'full', 'precious'), '');
  expect(await failure(Authority.init(join(folder.path, 'full'), DEPLOYMENT))).toMatchObject({
    code: 'EXISTS',
  });
  expect(readdirSync(join(folder.path, 'full')).filter((name) => name !== 'lock')).toEqual(['precious']);
});

test('names and lifetimes are checked before anything is made', async () => {
  for (const name of ['', 'A', 'a/b', 'a b', '..', 'x'.repeat(64), 'ä']) {
    expect(await failure(Authority.init(path, name))).toMatchObject({ code: 'NAME', field: 'deployment' });
  }
  for (const days of [0, -1, NaN, Infinity, 4000]) {
    expect(await failure(Authority.init(path, DEPLOYMENT, days))).toMatchObject({
      code: 'LIFETIME',
      field: 'days',
    });
  }
  expect(readdirSync(folder.path)).toEqual([]);
  const authority = await Authority.init(path, DEPLOYMENT);
  const into = join(folder.path, 'x');
  expect(await failure(authority.issue(principal('service/a', 'other.net'), into))).toMatchObject({
    code: 'FOREIGN',
  });
  expect(await failure(authority.issue(principal('service/a'), into, { days: 0 }))).toMatchObject({
    code: 'LIFETIME',
  });
  expect(authority.list()).toEqual([]);
});

test('no certificate outlives its authority', async () => {
  const authority = await Authority.init(path, DEPLOYMENT, 10);
  await issue(authority, 'service/a', { days: 90 });
  const [root] = authority.status().roots;
  expect(authority.list()[0]?.notAfter).toBe(root?.notAfter);
});

test('renewal keeps to its principal, and makes a new key', async () => {
  const authority = await Authority.init(path, DEPLOYMENT);
  const into = await issue(authority, 'service/a');
  const key = text(into, 'key.pem');
  await issue(authority, 'service/a');
  expect(text(into, 'key.pem')).not.toBe(key);
  expect(await failure(authority.issue(principal('service/b'), into))).toMatchObject({ code: 'EXISTS' });
  expect(authority.list().map((one) => one.principal)).toEqual(['service/a', 'service/a']);
});

test('many at once are all remembered, each with a serial number of its own', async () => {
  await Authority.init(path, DEPLOYMENT);
  const names = Array.from({ length: 12 }, (_, i) => `agent/acme/M${i}`);
  // each with a view of its own, as processes have
  await Promise.all(names.map(async (name) => issue(await Authority.open(path), name)));
  const listed = (await Authority.open(path)).list();
  expect(listed.map((one) => one.principal).toSorted()).toEqual(names.toSorted());
  expect(new Set(listed.map((one) => one.serial)).size).toBe(names.length);
});

test('a holder of the lock that is killed holds it no longer', async () => {
  const authority = await Authority.init(path, DEPLOYMENT);
  const holder = spawn('flock', [join(path, 'lock'), '-c', 'echo held; exec sleep 600'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  await once(holder.stdout, 'data');
  const issued = issue(authority, 'service/a');
  process.kill(-holder.pid!, 'SIGKILL');
  await issued;
  expect(authority.list()).toHaveLength(1);
});

describe('revocation', () => {
  test('by serial number, by name, and not twice', async () => {
    const authority = await Authority.init(path, DEPLOYMENT);
    const a = await issue(authority, 'service/a');
    const b = await issue(authority, 'service/b');
    const serial = authority.list()[0]!.serial;
    expect(await authority.revoke(serial.toUpperCase())).toHaveLength(1);
    const trust = await trustOf(path);
    expect(() => trust.verify(leaf(a))).toThrow(expect.objectContaining({ code: 'REVOKED' }) as Error);
    expect(trust.verify(leaf(b)).name).toBe('b');
    for (const which of [serial, 'service/a', 'service/c', '', '\u202e', '../..', 'constructor']) {
      expect(await failure(authority.revoke(which))).toMatchObject({
        code: 'NOT_FOUND',
        operation: 'revoke',
      });
    }
    expect(await authority.revoke('service/b')).toHaveLength(1);
  });

  test('an authority’s list is no other’s, and a forged one is refused', async () => {
    const authority = await Authority.init(path, DEPLOYMENT);
    const a = await issue(authority, 'service/a');
    const other = await Authority.init(join(folder.path, 'other'), DEPLOYMENT);
    const authorities = { text: text(path, 'authorities.pem'), path: 'a' };
    const foreign = await Trust.read(authorities, { text: text(other.directory, 'revoked.pem'), path: 'r' });
    expect(foreign.verify(leaf(a)).name).toBe('a');
    await authority.revoke('service/a');
    const lines = text(path, 'revoked.pem').split('\n');
    const der = Buffer.from(lines.slice(1, -2).join(''), 'base64');
    der[der.length - 1]! ^= 1;
    const forged = ['-----BEGIN X509 CRL-----', der.toString('base64'), '-----END X509 CRL-----'].join('\n');
    expect(await failure(Trust.read(authorities, { text: forged, path: 'r' }))).toMatchObject({
      code: 'CORRUPT',
    });
  });
});

describe('rotation', () => {
  test('three steps in order, and no other', async () => {
    const authority = await Authority.init(path, DEPLOYMENT);
    const wrong = { code: 'ROTATION' };
    expect(await failure(authority.switchRotation())).toMatchObject({ ...wrong, operation: 'switch' });
    expect(await failure(authority.finishRotation())).toMatchObject({ ...wrong, operation: 'finish' });
    const [old] = authority.status().roots;

    const begun = await authority.beginRotation();
    expect(begun.roots).toHaveLength(2);
    expect(begun.issuing).toEqual(old);
    expect(await failure(authority.beginRotation())).toMatchObject(wrong);
    expect(await failure(authority.finishRotation())).toMatchObject(wrong);

    const switched = await authority.switchRotation();
    expect(switched.issuing).not.toEqual(old);
    expect(await failure(authority.switchRotation())).toMatchObject(wrong);

    const finished = await authority.finishRotation();
    expect(finished.roots).toEqual([switched.issuing]);
    expect(readdirSync(path).filter((name) => name.endsWith('.key'))).toEqual([`${switched.issuing.id}.key`]);
    expect((await authority.beginRotation()).roots).toHaveLength(2);
  });

  test('who is believed at each step', async () => {
    const authority = await Authority.init(path, DEPLOYMENT);
    const old = leaf(await issue(authority, 'service/a', { into: join(folder.path, 'old') }));
    await authority.beginRotation();
    expect((await trustOf(path)).verify(old).name).toBe('a');
    await authority.switchRotation();
    const renewed = leaf(await issue(authority, 'service/a', { into: join(folder.path, 'new') }));
    for (const one of [old, renewed]) expect((await trustOf(path)).verify(one).name).toBe('a');
    await authority.finishRotation();
    const trust = await trustOf(path);
    expect(trust.verify(renewed).name).toBe('a');
    expect(() => trust.verify(old)).toThrow(expect.objectContaining({ code: 'UNTRUSTED' }) as Error);
  });

  test('revocations hold through it, by both lists', async () => {
    const authority = await Authority.init(path, DEPLOYMENT);
    const a = leaf(await issue(authority, 'service/a'));
    await authority.beginRotation();
    await authority.switchRotation();
    const b = leaf(await issue(authority, 'service/b'));
    await authority.revoke('service/a');
    await authority.revoke('service/b');
    const trust = await trustOf(path);
    for (const one of [a, b]) {
      expect(() => trust.verify(one)).toThrow(expect.objectContaining({ code: 'REVOKED' }) as Error);
    }
  });

  test('whoever would be locked out stands in the way of the last step', async () => {
    const authority = await Authority.init(path, DEPLOYMENT);
    await issue(authority, 'service/a');
    await issue(authority, 'agent/acme/P');
    await authority.beginRotation();
    await authority.switchRotation();
    await issue(authority, 'service/a');
    expect(authority.status().behind).toEqual(['agent/acme/P']);
    expect(await failure(authority.finishRotation())).toMatchObject({
      code: 'ROTATION',
      message: expect.stringContaining('agent/acme/P') as string,
    });
    await authority.finishRotation(true);
    expect(authority.status().behind).toEqual([]);
  });
});

describe('a directory that somebody has been at', () => {
  let authority: Authority;

  beforeEach(async () => {
    authority = await Authority.init(path, DEPLOYMENT);
  });

  const key = (): string =>
    join(
      path,
      readdirSync(path).find((name) => name.endsWith('.key'))!,
    );
  const opened = async (): Promise<unknown> => failure(Authority.open(path));
  const issued = async (): Promise<unknown> => failure(issue(authority, 'service/a'));

  test('one that others can look into', async () => {
    chmodSync(path, 0o750);
    expect(await opened()).toMatchObject({ code: 'INSECURE', field: path });
  });

  test('one behind a symbolic link', async () => {
    renameSync(path, `${path}.real`);
    symlinkSync(`${path}.real`, path);
    expect(await opened()).toMatchObject({ code: 'INSECURE' });
    expect(await failure(Authority.init(path, DEPLOYMENT))).toMatchObject({ code: 'INSECURE' });
  });

  test('one that is not there, or a file', async () => {
    expect(await failure(Authority.open(join(path, 'none')))).toMatchObject({ code: 'NOT_FOUND' });
    expect(await failure(Authority.open(join(path, 'authority.json')))).toMatchObject({ code: 'INSECURE' });
    expect(await failure(Authority.open(join(path, 'authority.json', 'x')))).toMatchObject({
      code: 'NOT_FOUND',
    });
    expect(await failure(Authority.init(join(path, 'a', 'b'), DEPLOYMENT))).toMatchObject({
      code: 'NOT_FOUND',
    });
    expect(await failure(Authority.init('/proc/self/none/ca', DEPLOYMENT))).toMatchObject({
      code: 'NOT_FOUND',
    });
  });

  test('a key that others can read, is a link, another one, cut off or gone', async () => {
    const file = key();
    const whole = text(file);
    chmodSync(file, 0o640);
    expect(await issued()).toMatchObject({ code: 'INSECURE', field: file });
    renameSync(file, `${file}.real`);
    symlinkSync(`${file}.real`, file);
    expect(await issued()).toMatchObject({ code: 'INSECURE' });
    rmSync(file);
    expect(await issued()).toMatchObject({ code: 'NOT_FOUND' });
    writeFileSync(file, whole.slice(0, 100), { mode: 0o600 });
    expect(await issued()).toMatchObject({ code: 'CORRUPT' });
    const other = await Authority.init(join(folder.path, 'other'), DEPLOYMENT);
    writeFileSync(file, text(other.directory, `${other.status().issuing.id}.key`));
    expect(await issued()).toMatchObject({ code: 'KEY_MISMATCH' });
    writeFileSync(file, whole);
    await issue(authority, 'service/a');
    expect(authority.list()).toHaveLength(1);
  });

  test('a state that is cut off at any place', async () => {
    const file = join(path, 'authority.json');
    const { size } = lstatSync(file);
    const whole = text(file);
    for (const length of [0, 1, Math.floor(size / 3), size - 3]) {
      writeFileSync(file, whole);
      truncateSync(file, length);
      expect(await opened()).toMatchObject({ code: 'CORRUPT', field: file });
      expect(await issued()).toMatchObject({ code: 'CORRUPT' });
    }
  });

  test.each([
    ['of a later version', { version: 2 }, 'NEWER'],
    ['with a step that is none', { rotation: 'ended' }, 'CORRUPT'],
    ['without roots', { roots: [] }, 'CORRUPT'],
    ['of another deployment', { deployment: 'other.net' }, 'CORRUPT'],
    ['with a path for a serial number', { issued: [{ serial: '../x' }] }, 'CORRUPT'],
    ['with a path for a root', { roots: [{ id: '../../etc' }] }, 'CORRUPT'],
  ])('a state %s', async (_, change, code) => {
    const file = join(path, 'authority.json');
    const state = JSON.parse(text(file)) as object;
    writeFileSync(file, JSON.stringify({ ...state, ...change }));
    expect(await opened()).toMatchObject({ code });
  });

  test('a state that is a pipe does not hold anybody up', async () => {
    const file = join(path, 'authority.json');
    rmSync(file);
    execFileSync('mkfifo', ['-m', '600', file]);
    expect(await opened()).toMatchObject({ code: 'INSECURE' });
  });

  test('public files that are gone are there again after the next change', async () => {
    rmSync(join(path, 'authorities.pem'));
    writeFileSync(join(path, 'revoked.pem'), 'noise');
    const into = await issue(authority, 'service/a');
    const credentials = await Credentials.open(into, { watch: false });
    expect(credentials.flaw).toBeUndefined();
    credentials.close();
  });
});
