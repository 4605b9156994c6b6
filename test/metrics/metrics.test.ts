/** The endpoint as Prometheus reads it. */
import { request } from 'node:http';
import { afterEach, expect, test } from 'vitest';

import { Metrics } from '../../src/metrics/metrics.js';
import { MetricsAddressError, type MetricsServer, serveMetrics } from '../../src/metrics/server.js';

let server: MetricsServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function start(metrics: Metrics): Promise<string> {
  server = await serveMetrics('127.0.0.1:0', metrics);
  return `http://127.0.0.1:${server.port}`;
}

/** Value of a series, by its name and labels in any order. */
function value(text: string, name: string, labels: Record<string, string>): number | undefined {
  for (const line of text.split('\n')) {
    const [, series, inside, number] = /^([a-z_0-9]+)\{(.*)\} (\S+)$/.exec(line) ?? [];
    if (
      series === name &&
      Object.entries(labels).every(([key, one]) => inside?.includes(`${key}=${JSON.stringify(one)}`))
    )
      return Number(number);
  }
  return undefined;
}

test('calls, values read when asked for, and the process itself', async () => {
  const metrics = new Metrics({ role: 'node', name: 'P' });
  let packets = 5;
  metrics.add({
    name: 'drops_total',
    help: 'Packets not forwarded.',
    type: 'counter',
    labels: ['reason'],
    read: () => (packets > 0 ? [{ labels: { reason: 'no"\\\nroute' }, value: packets }] : []),
  });
  metrics.add({
    name: 'vif_up',
    help: '1: up.',
    type: 'gauge',
    labels: ['vif'],
    read: async () => [{ labels: { vif: 'p4' }, value: 1 }],
  });
  metrics.observe({ service: 'S', method: 'Get', status: 'OK', seconds: 0.002 });
  metrics.observe({ service: 'S', method: 'Get', status: 'NOT_FOUND', seconds: 0.5 });
  const url = await start(metrics);
  const read = async (): Promise<string> => (await fetch(`${url}/metrics`)).text();
  const text = await read();
  expect(value(text, 'cabernet_drops_total', { reason: 'no"\\\nroute', role: 'node', name: 'P' })).toBe(5);
  expect(value(text, 'cabernet_vif_up', { vif: 'p4' })).toBe(1);
  expect(value(text, 'cabernet_api_call_seconds_count', { method: 'Get', status: 'OK' })).toBe(1);
  expect(value(text, 'cabernet_api_call_seconds_bucket', { status: 'NOT_FOUND', le: '0.3' })).toBe(0);
  expect(value(text, 'cabernet_api_call_seconds_bucket', { status: 'NOT_FOUND', le: '1' })).toBe(1);
  expect(value(text, 'process_resident_memory_bytes', { name: 'P' })).toBeGreaterThan(1e6);
  packets = 9;
  expect(value(await read(), 'cabernet_drops_total', {})).toBe(9);
  packets = 0;
  expect(value(await read(), 'cabernet_drops_total', {})).toBeUndefined();
});

test('other paths and methods, and values that cannot be read', async () => {
  const metrics = new Metrics({});
  metrics.add({
    name: 'bad',
    help: 'Fails.',
    type: 'gauge',
    labels: [],
    read: () => {
      throw new Error('secret path');
    },
  });
  const url = await start(metrics);
  expect((await fetch(`${url}/`)).status).toBe(404);
  expect((await fetch(`${url}/metricsx`)).status).toBe(404);
  expect((await fetch(`${url}/metrics`, { method: 'POST' })).status).toBe(405);
  const failed = await fetch(`${url}/metrics`);
  expect(failed.status).toBe(500);
  expect(await failed.text()).not.toContain('secret');
  const raw = await new Promise<number>((done, fail) => {
    const call = request(`${url}/metrics`, { method: 'TRACE' }, (answer) => done(answer.statusCode ?? 0));
    call.on('error', fail).end();
  });
  expect(raw).toBe(405);
});

test.each([
  '9464',
  'localhost:1',
  '127.0.0.1',
  '127.0.0.1:65536',
  '[127.0.0.1]:1',
  '1.2.3.4.5:1',
  '::1:80',
  '',
])('the address %j is refused', async (address) => {
  await expect(serveMetrics(address, new Metrics({}))).rejects.toThrow(MetricsAddressError);
});

test('an address that is taken is told', async () => {
  await start(new Metrics({}));
  await expect(serveMetrics(`127.0.0.1:${server?.port}`, new Metrics({}))).rejects.toThrow(/EADDRINUSE/);
});
