/** A controller on SQLite, killed at any moment of a series of Updates, again and again: what was acknowledged is there, once. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { connect } from '../../src/api/client.js';
import { ConnectivityService } from '../../src/api/connectivity.js';
import { persist, ReplicaProcess } from './replicas.js';

const KILLS = 6;
/** Updates under way at once, each with a customer of its own. */
const LANES = 4;

let folder: string;
let controller: ReplicaProcess;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cabernet-killed-'));
  controller = new ReplicaProcess('connectivity', 'conn', join(folder, 'api.sock'), join(folder, 'state.db'));
  controller.start();
});
afterEach(async () => {
  await controller.end('SIGKILL');
  rmSync(folder, { recursive: true });
});

test('nothing acknowledged is lost, nothing is done twice', { timeout: 180_000 }, async () => {
  const client = connect(ConnectivityService, { socketPath: controller.socket, deadlineMs: 5000 });
  try {
    await client.ready(30_000);
    const acknowledged = Array.from({ length: LANES }, () => 0);
    let over = false;
    const lane = async (k: number): Promise<void> => {
      const name = `customers/lane-${k}`;
      for (let n = 1; !over; n++) {
        const request = { resources: [{ customer: { name, virtualNodes: n } }], requestId: `${k}-${n}` };
        const { resources } = await persist(() => client.update(request));
        expect(resources[0]?.customer?.virtualNodes).toBe(n);
        acknowledged[k] = n;
      }
    };
    const lanes = Promise.all(acknowledged.map((_, k) => lane(k)));
    for (let kill = 0; kill < KILLS; kill++) {
      const before = [...acknowledged];
      while (acknowledged.some((n, k) => n < (before[k] ?? 0) + 5)) await pause(5);
      // somewhere among the steps of an Update
      await pause(Math.random() * 20);
      await controller.end('SIGKILL');
      const sure = [...acknowledged];
      controller.start();
      for (const [k, n] of sure.entries()) {
        const { resource } = await persist(() => client.get({ name: `customers/lane-${k}` }));
        expect(resource?.customer?.virtualNodes).toBeGreaterThanOrEqual(n);
      }
    }
    over = true;
    await lanes;
    for (const [k, n] of acknowledged.entries()) {
      const { resource } = await client.get({ name: `customers/lane-${k}` });
      expect(resource?.customer?.virtualNodes).toBe(n);
      expect(resource?.customer?.status?.generation).toBe(BigInt(n));
    }
  } finally {
    client.close();
  }
});
