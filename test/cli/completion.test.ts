/** Completion, as bash itself does it: the script is sourced, and its function called with a line. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { knownWorlds } from '../../src/world/state.js';
import { infrastructureController } from './servers.js';
import { command, Home } from './support.js';

let home: Home;
let one: ReturnType<typeof infrastructureController>;

beforeEach(async () => {
  home = new Home();
  one = infrastructureController();
  await one.start();
  const bin = join(home.folder, 'bin');
  mkdirSync(bin);
  symlinkSync(command, join(bin, 'cabernet'));
  home.env['PATH'] = `${bin}:${process.env['PATH'] ?? ''}`;
  home.file(
    'contexts.yaml',
    JSON.stringify({
      current: 'one',
      contexts: [
        { name: 'one', layer: 'infrastructure', address: `unix:${one.socket}` },
        { name: 'two', layer: 'service', address: 'unix:/run/no-such.sock' },
      ],
    }),
  );
  await one.state.transact((tx) => {
    for (const name of ['machines/P', 'machines/Q', 'machines/$(touch x)', 'machines/a b'])
      tx.put('machine', { name } as never);
    tx.put('virtualNode', { name: 'customers/conn/virtualNodes/P' } as never);
  });
});
afterEach(async () => {
  await one.remove();
  home.remove();
});

/** All that a shell prints, where `cabernet` is ours. */
async function shellSays(shell: string, ...args: string[]): Promise<string> {
  const child = spawn(shell, args, {
    env: { ...process.env, ...home.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (more: string) => (text += more));
  const status = await new Promise((done) => child.once('close', done));
  expect({ text, status }).toMatchObject({ status: 0 });
  return text;
}

/** Candidates for the last word, and what was printed besides. */
async function complete(...typed: string[]): Promise<string> {
  const script = [
    'source <(cabernet completion bash)',
    'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))',
    'complete -p cabernet >/dev/null || exit 3', // it is registered
    '_cabernet',
    'printf "%s\\n" "${COMPREPLY[@]}"',
  ].join('\n');
  const text = await shellSays('bash', '--norc', '-c', script, 'bash', 'cabernet', ...typed);
  // worlds that are up on this host have contexts too
  const ofHost = new Set(knownWorlds());
  const words = text.trim().split('\n');
  return words.filter((word) => !ofHost.has(word.replace(/^--context=/, '').split('/')[0] ?? '')).join(' ');
}

test.each([
  [['co'], 'context completion connectivity'],
  [['rep'], 'report'],
  [['context', ''], 'list use add remove show'],
  [['context', 'use', ''], 'one two'],
  [['get', 'machine', '--context', ''], 'one two'],
  [['--context=t'], '--context=two'],
  [['get', '--lay'], '--layer'],
  [['get', '--layer', 's'], 'service'],
  [['get', 'machines', '-o', ''], 'table wide json yaml name'],
  [['get', 'w'], 'wires'],
  [['get', 'vi'], 'virtualNodes virtualLinks vifs'],
  [['get', 'machines', ''], 'P Q'],
  [['get', 'virtualnodes', ''], 'conn/P'],
  [['get', 'customers/conn/virtualNodes', ''], 'P'],
  [['get', 'machines/'], 'machines/P machines/Q'],
  [['describe', 'mac'], 'machines/P machines/Q'],
  [['delete', 'customers/'], 'customers/conn/virtualNodes/P'],
  [['watch', 'machines', 'o'], 'offers'],
  [['drain', ''], 'machine link path'],
  [['drain', 'machine', ''], 'P Q'],
  [['completion', ''], 'bash zsh fish'],
  [['apply', '-f', ''], ''], // files: the shell's own
  [['get', '--context', 'two', ''], 'network nodes links stations routes'],
  [['get', '--context', 'two', 'nodes', ''], ''], // nobody answers
  [['get', '--context', 'three', 'nodes', ''], ''],
  [['nonsense', ''], ''],
])('%j', async (words, wanted) => {
  expect(await complete(...words)).toBe(wanted);
});

test('a server that says nothing is waited for only a moment', async () => {
  const socket = join(home.folder, 'silent.sock');
  const silent = createServer(() => undefined);
  await new Promise<void>((done) => silent.listen(socket, done));
  const where = ['--address', `unix:${socket}`, '--layer', 'service'];
  expect(await complete('get', ...where, 'nodes', '')).toBe('');
  silent.close();
});

test('a broken contexts file is silence', async () => {
  home.file('contexts.yaml', '[');
  expect(await complete('context', 'use', '')).toBe('');
  expect(await complete('get', 'vi')).toBe('vifs');
});

test.each(['bash', 'zsh', 'fish'])('%s accepts its script', async (shell) => {
  const { stdout, status } = await home.run('completion', shell);
  expect(status).toBe(0);
  const check = spawnSync(shell, ['-n', home.file('script', stdout)], { encoding: 'utf8' });
  expect({ status: check.status, stderr: check.stderr }).toEqual({ status: 0, stderr: '' });
  expect((await home.run('completion', 'csh')).status).toBe(2);
});

test('fish', async () => {
  home.file('a file', '');
  const of = (typed: string): Promise<string> =>
    shellSays('fish', '--no-config', '-c', `cabernet completion fish | source; complete -C '${typed}'`);
  expect(await of('cabernet get machines ')).toBe('P\nQ\n');
  expect(await of('cabernet context us')).toBe('use\n');
  // files where there is nothing else
  expect(await of(`cabernet apply -f ${home.folder}/a`)).toMatch(/a\\? file\n$/);
});

test('zsh, by its line editor', async () => {
  const start =
    'PS1="> "; autoload -Uz compinit; compinit -D -u; source <(cabernet completion zsh); echo rea""dy';
  const typing = [
    'zmodload zsh/zpty; zpty z zsh -f -i',
    `zpty -w z '${start}'; zpty -r -m z seen '*ready[^"]*'`,
    `zpty -w -n z $'cabernet desc\\t'; zpty -r -m z seen '*describe*'`,
    `zpty -w -n z $' mac\\t'; zpty -r -m z seen '*machines/*'`,
    'zpty -d z; echo complete',
  ].join('\n');
  // what is not completed is waited for in vain
  expect(await shellSays('timeout', '20', 'zsh', '-f', '-c', typing)).toBe('complete\n');
});
