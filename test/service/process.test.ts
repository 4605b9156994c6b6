/** `cabernet service` as a process, killed with -9 while its supplier has not answered yet, and started again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { connect } from '../../src/api/client.js';
import { ServiceNetworkService } from '../../src/api/service.js';
import { exampleNetwork, networkOf } from './networks.js';
import { type ServiceClient } from './provider.js';
import { RecordingSupplier } from './recording.js';

const CABERNET = fileURLToPath(new URL('../../bin/cabernet', import.meta.url));

let supplier: RecordingSupplier;
let folder: string;
let child: ChildProcess | undefined;
let client: ServiceClient;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cabernet-process-'));
  supplier = new RecordingSupplier();
  await supplier.start();
  client = connect(ServiceNetworkService, { socketPath: join(folder, 'api.sock') });
});
afterEach(async () => {
  client.close();
  await kill('SIGKILL');
  await supplier.dispose();
  rmSync(folder, { recursive: true });
});

async function start(): Promise<void> {
  const options = [
    '--name',
    'iptv',
    '--socket',
    join(folder, 'api.sock'),
    '--state',
    join(folder, 'state.db'),
  ];
  child = spawn(CABERNET, ['service', ...options], { stdio: 'ignore' });
  await client.ready(20_000);
}

async function kill(signal: NodeJS.Signals): Promise<number | null> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
  return child.exitCode;
}

async function until(question: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000;
  while (!(await question())) {
    if (performance.now() > end) throw new Error('not in 20 s');
    await new Promise((done) => setTimeout(done, 20));
  }
}

const isReady = async (): Promise<boolean> => {
  const { resource } = await client.get({ name: 'network' });
  return resource?.network?.status?.state === 'ready';
};

test('killed before every kind of answer: in the end all is in force, asked once and told once', async () => {
  for (const what of ['update', 'apply'] as const) {
    // the supplier has done it and does not say so before the controller is dead
    let arrived: (() => void) | undefined;
    let free: (() => void) | undefined;
    const reached = new Promise<void>((done) => (arrived = done));
    const gone = new Promise<void>((done) => (free = done));
    supplier.beforeAnswer = async (one) => {
      if (one !== what) return;
      arrived?.();
      await gone;
    };
    await start();
    if (what === 'update')
      await client.update({ resources: [networkOf(supplier.address), ...exampleNetwork('three', 'iptv')] });
    await reached;
    await kill('SIGKILL');
    free?.();
    supplier.beforeAnswer = () => undefined;
  }
  await start();
  await until(isReady);
  expect(new Set(supplier.ids).size).toBe(1);
  expect(supplier.state.all('serviceNetwork')).toHaveLength(1);
  const epochs = supplier.applied.map(({ node, epoch }) => `${node} ${epoch}`);
  // what was not answered is sent again in the same words under the same epoch
  expect(new Set(epochs).size).toBe(2);
  const told = supplier.applied.length;
  await kill('SIGKILL');
  await start();
  await until(isReady);
  expect(await kill('SIGTERM')).toBe(0);
  expect(supplier.applied).toHaveLength(told);
  expect(new Set(supplier.ids).size).toBe(1);
}, 90_000);
