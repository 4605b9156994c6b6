/** The gate that keeps the protos compatible, as `scripts/check` runs it, on protos that are changed in one place. */
import { spawnSync } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, expect, test } from 'vitest';

import { temporaryFolder } from './support.js';

const FILE = 'cabernet/infrastructure/v1/infrastructure.proto';
const folder = temporaryFolder();
afterAll(() => folder.remove());

/** What the gate says of the protos with `from` as `to`. */
function verdict(name: string, from: string, to: string): { status: number | null; said: string } {
  const protos = join(folder.path, name);
  cpSync('proto', protos, { recursive: true });
  const text = readFileSync(join(protos, FILE), 'utf8');
  expect(text).toContain(from);
  writeFileSync(join(protos, FILE), text.replace(from, to));
  const { status, stdout, stderr } = spawnSync('scripts/check-api', [protos], { encoding: 'utf8' });
  return { status, said: stdout + stderr };
}

const FIELD = '  uint32 hold_seconds = 3;';

test('as they are, and with something more, they break nobody', () => {
  expect(verdict('same', FIELD, FIELD)).toMatchObject({ status: 0 });
  expect(verdict('more', FIELD, `${FIELD}\n  uint32 patience_seconds = 99;`)).toMatchObject({ status: 0 });
});

test.each([
  ['a field that is gone', FIELD, '', /field "3" with name "hold_seconds"/],
  ['a field of another number', FIELD, '  uint32 hold_seconds = 33;', /hold_seconds/],
  ['a field of another type', FIELD, '  string hold_seconds = 3;', /hold_seconds.*type/],
  ['a field of another name', FIELD, '  uint32 held_seconds = 3;', /hold_seconds/],
  ['a method that is gone', '  rpc Renew(RenewRequest) returns (RenewResponse);', '', /RPC "Renew"/],
])('%s', (name, from, to, told) => {
  const { status, said } = verdict(name, from, to);
  expect(status).toBe(1);
  expect(said).toMatch(told);
  expect(said).toContain('scripts/check --accept-api');
});
