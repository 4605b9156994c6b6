/** `cabernet context`, as processes. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { Home } from './support.js';

let home: Home;
beforeEach(() => {
  home = new Home();
});
afterEach(() => home.remove());

const add = (name: string, ...more: string[]): ReturnType<Home['run']> =>
  home.run('context', 'add', name, '--layer', 'service', '--address', `unix:/run/${name}.sock`, ...more);

test('add, list, use, show, remove', async () => {
  expect((await home.run('context', 'list')).stdout).toBe('none\n');
  expect((await add('one')).stdout).toBe('one added, and current\n');
  expect((await add('two', '--credentials', '/etc/c', '--server', 'two')).stdout).toBe('two added\n');
  expect((await add('three', '--use')).stdout).toBe('three added, and current\n');
  expect(statSync(home.contexts).mode & 0o777).toBe(0o600);
  expect(readdirSync(home.folder)).toEqual(['contexts.yaml']);
  const { stdout } = await home.run('context', 'list');
  expect(stdout).toMatch(/^\* +three +service +unix:\/run\/three.sock/m);
  expect(stdout).toMatch(/^ +two +service +unix:\/run\/two.sock +\/etc\/c +two$/m);
  expect((await home.run('context', 'list', '-o', 'name')).stdout).toBe('one\ntwo\nthree\n');
  expect((await home.run('context', 'use', 'two')).status).toBe(0);
  expect((await home.run('context', 'show')).stdout).toBe(
    'name: two\nlayer: service\naddress: unix:/run/two.sock\ncredentials: /etc/c\nserver: two\n',
  );
  home.env['CABERNET_CONTEXT'] = 'one';
  expect((await home.run('context', 'show')).stdout).toContain('name: one');
  delete home.env['CABERNET_CONTEXT'];
  expect((await home.run('context', 'remove', 'two')).status).toBe(0);
  expect((await home.run('context', 'show')).stderr).toContain('no context is current');
  expect((await home.run('context', 'list', '-o', 'json')).stdout).not.toContain('two');
});

test('the folder is made, the mode is mended, a link stays one', async () => {
  home.env['CABERNET_CONTEXTS'] = join(home.folder, 'a', 'b', 'contexts.yaml');
  await add('one');
  expect(statSync(join(home.folder, 'a')).mode & 0o777).toBe(0o700);
  chmodSync(home.env['CABERNET_CONTEXTS'], 0o644);
  await add('two');
  expect(statSync(home.env['CABERNET_CONTEXTS']).mode & 0o777).toBe(0o600);
  const link = join(home.folder, 'link.yaml');
  symlinkSync(home.env['CABERNET_CONTEXTS'], link);
  home.env['CABERNET_CONTEXTS'] = link;
  await add('three');
  expect(readFileSync(link, 'utf8')).toContain('three');
  expect(readdirSync(join(home.folder, 'a', 'b'))).toEqual(['contexts.yaml']);
});

test('by default in the home folder', async () => {
  delete home.env['CABERNET_CONTEXTS'];
  home.env['HOME'] = home.folder;
  await add('one');
  expect(existsSync(join(home.folder, '.config', 'cabernet', 'contexts.yaml'))).toBe(true);
});

test('what cannot be written', async () => {
  mkdirSync(home.contexts);
  const { status, stderr } = await add('one');
  expect(status).toBe(1);
  expect(stderr).toContain('cannot be read: EISDIR');
});

describe('refused', () => {
  test.each([
    [['add', 'a b', '--layer', 'service', '--address', 'unix:/x'], 2, "a context's name is"],
    [['add', 'a', '--layer', 'physics', '--address', 'unix:/x'], 2, 'Allowed choices'],
    [['add', 'a', '--layer', 'service', '--address', 'x'], 2, '--address x is none'],
    [['add', 'a', '--layer', 'service', '--address', 'unix:/x', '--server', ''], 2, '--server needs a value'],
    [['add', 'a', '--address', 'unix:/x'], 2, '--layer'],
    [['add', 'one', '--layer', 'service', '--address', 'unix:/x'], 1, 'there is a context one already'],
    [['use', 'on'], 2, 'did you mean one?'],
    [['remove', 'other'], 1, 'there is no context other'],
    [['show', 'other'], 2, 'there is no context other'],
    [['fly'], 2, 'unknown command'],
  ])('%j', async (args, exit, said) => {
    await add('one');
    const before = readFileSync(home.contexts, 'utf8');
    const { status, stderr } = await home.run('context', ...args);
    expect(stderr).toContain(said);
    expect(status).toBe(exit);
    expect(readFileSync(home.contexts, 'utf8')).toBe(before);
  });

  test.each([
    ['current: other\ncontexts: []', '1:10: current: there is no context "other"'],
    ['contexts:\n  - name: one\n    layer: service', '2:5: contexts[0].address: missing'],
    ['contexts:\n  - { name: a, layer: x, address: unix:/x }', '2:23: contexts[0].layer: must be one of'],
    ['contexts:\n  - { name: a, layer: service, address: x }', '2:41: contexts[0].address: must be'],
    ['contexts:\n  - { name: a/b, layer: service, address: unix:/x }', '2:13: contexts[0].name: must be'],
    [
      'contexts:\n  - { name: 5, layer: service, address: unix:/x }',
      '2:13: contexts[0].name: expected a text',
    ],
    [
      'contexts:\n  - { name: a, layer: service, address: unix:/x }\n  - { name: a, layer: service, address: unix:/y }',
      '3:13: contexts[1].name: a is given a second time',
    ],
    ['contexts:\n  - { name: a, layer: service, address: unix:/x, sever: q }', 'did you mean server?'],
    ['contexts: &a []', 'is an anchor'],
    ['contexts: 5', '1:11: contexts: expected a list'],
    ['- 5', '1:1: expected a mapping'],
    ['contexts: []\n---\n', 'a second document begins'],
  ])('a file: %j', async (text, said) => {
    home.file('contexts.yaml', text);
    const { status, stderr, stdout } = await home.run('context', 'list');
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain(`cabernet: ${home.contexts}:`);
    expect(stderr).toContain(said);
    expect(readFileSync(home.contexts, 'utf8')).toBe(text);
  });
});
