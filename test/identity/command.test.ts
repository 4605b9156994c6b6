/** `cabernet ca`, as it is typed. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { temporaryFolder } from './support.js';

const COMMAND = fileURLToPath(new URL('../../bin/cabernet', import.meta.url));

let folder: ReturnType<typeof temporaryFolder>;

beforeEach(() => {
  folder = temporaryFolder();
});

afterEach(() => folder.remove());

interface Said {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

function ca(...words: string[]): Said {
  const { status, stdout, stderr } = spawnSync(process.execPath, [COMMAND, 'ca', ...words], {
    cwd: folder.path,
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], CABERNET_CA: 'ca', NO_COLOR: '1' },
  });
  return { status, out: stdout, err: stderr };
}

function well(...words: string[]): string {
  const { status, out, err } = ca(...words);
  expect({ status, err }).toEqual({ status: 0, err: '' });
  return out;
}

/** One sentence, no stack. */
function badly(...words: string[]): string {
  return ended(1, words);
}

function misused(...words: string[]): string {
  return ended(2, words);
}

function ended(wanted: number, words: readonly string[]): string {
  const { status, err } = ca(...words);
  expect(status).toBe(wanted);
  expect(err).not.toMatch(/^\s+at /m);
  return err;
}

test('from the first certificate through a rotation', () => {
  expect(well('init', '--deployment', 'example.net')).toContain('example.net is in');
  expect(well('issue', 'agent/acme/P', '--out', 'P')).toContain('spiffe://example.net/agent/acme/P is in P');
  well('issue', 'spiffe://example.net/operator/alice', '--out', 'alice', '--days', '1');
  const listed = JSON.parse(well('list', '-o', 'json')) as { name: string; serial: string; state: string }[];
  expect(listed.map(({ name, state }) => [name, state])).toEqual([
    ['agent/acme/P', 'valid'],
    ['operator/alice', 'valid'],
  ]);
  expect(well('revoke', listed[1]!.serial)).toContain('revoked: operator/alice');
  expect(well('list')).toMatch(/operator\/alice .* revoked/);

  expect(JSON.parse(well('status', '-o', 'json'))).toMatchObject({
    deployment: 'example.net',
    rotation: 'none',
    valid: 1,
    revoked: 1,
  });
  expect(well('rotate', 'begin')).toContain('begun: two are trusted');
  expect(badly('rotate', 'finish')).toContain('the next step is `cabernet ca rotate switch`');
  expect(well('rotate', 'switch')).toMatch(/to renew +agent\/acme\/P/);
  expect(badly('rotate', 'finish')).toContain('renew or revoke them first');
  const before = readFileSync(join(folder.path, 'P', 'certificate.pem'), 'utf8');
  well('issue', 'agent/acme/P', '--out', 'P');
  expect(readFileSync(join(folder.path, 'P', 'certificate.pem'), 'utf8')).not.toBe(before);
  expect(well('rotate', 'finish', '-o', 'yaml')).toContain('rotation: none');
});

test('what is wrong is said in a sentence', () => {
  expect(badly('list')).toMatch(/^cabernet: There is no folder /);
  expect(badly('init', '--deployment', 'Example')).toContain('is no deployment');
  well('init', '--deployment', 'example.net');
  expect(badly('init', '--deployment', 'example.net')).toContain('holds an authority already');
  for (const name of [
    'alice',
    'agent/acme',
    'spiffe://other.net/operator/alice',
    'operator/a b',
    'operator/\u202ea',
  ]) {
    expect(badly('issue', name, '--out', 'x')).toContain('cabernet: "');
  }
  expect(misused('issue', 'operator/a', '--out', 'x', '--days', '0')).toContain('Days, such as 90');
  expect(badly('issue', 'operator/a', '--out', 'x/y/z')).toContain('is not there; make it first');
  expect(badly('revoke', 'operator/a')).toContain('`cabernet ca list` shows them');
  expect(misused('rotate')).toContain('begin');
});
