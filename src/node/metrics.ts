/** What an agent tells Prometheus: the same figures as its List methods, read when they are asked for. */
import { type Metrics, type Sample } from '../metrics/metrics.js';
import { type Agent } from './agent.js';
import { mergeState } from './liveness.js';
import { listCounters } from './rpc/counters.js';
import { listDrops } from './rpc/drops.js';

const ALL = { pageSize: 10_000, pageToken: '' };

/** All pages of a List method. */
async function* pages<T extends { nextPageToken?: string | undefined }>(
  list: (request: { pageSize: number; pageToken: string }) => Promise<T>,
): AsyncGenerator<T, void> {
  let { pageToken } = ALL;
  do {
    const answer = await list({ ...ALL, pageToken });
    yield answer;
    pageToken = answer.nextPageToken ?? '';
  } while (pageToken !== '');
}

const COUNTED = ['packets', 'bytes'] as const;
const FATES = ['merged', 'duplicates', 'late'] as const;
const DIRECTIONS = ['received', 'sent'] as const;

/** `vif` is a vif's name. */
export function addAgentMetrics(metrics: Metrics, agent: Agent): void {
  for (const unit of COUNTED) {
    metrics.add({
      name: `vif_${unit}_total`,
      help: `Frames of virtual interfaces, ${unit}, as their network sees them.`,
      type: 'counter',
      labels: ['vif', 'direction'],
      async read() {
        const samples: Sample<'vif' | 'direction'>[] = [];
        for await (const { counters } of pages((request) => listCounters(agent, request))) {
          for (const row of counters ?? []) {
            const vif = row.name ?? '';
            if (vif.includes('/paths/')) continue;
            for (const direction of DIRECTIONS) {
              const count = row[`${direction}${unit === 'packets' ? 'Packets' : 'Bytes'}`];
              samples.push({ labels: { vif, direction }, value: Number(count ?? 0) });
            }
          }
        }
        return samples;
      },
    });
  }
  metrics.add({
    name: 'merged_packets_total',
    help: 'Numbered frames that arrived for links of several paths (1+1): the first copy of each, and the others.',
    type: 'counter',
    labels: ['vif', 'fate'],
    read() {
      const samples: Sample<'vif' | 'fate'>[] = [];
      for (const vif of agent.vifs.all) {
        const state = mergeState(agent, vif);
        if (!state) continue;
        for (const fate of FATES)
          samples.push({ labels: { vif: vif.name, fate }, value: Number(state[fate]) });
      }
      return samples;
    },
  });
  metrics.add({
    name: 'dropped_packets_total',
    help: 'Packets not forwarded, by virtual node (empty: before one was known) and reason.',
    type: 'counter',
    labels: ['node', 'reason'],
    async read() {
      const samples: Sample<'node' | 'reason'>[] = [];
      for await (const { drops } of pages((request) => listDrops(agent, { ...request, samples: 0 }))) {
        for (const { node = '', reason = '', packets = 0n } of drops ?? [])
          samples.push({ labels: { node, reason }, value: Number(packets) });
      }
      return samples;
    },
  });
  for (const figure of ['used', 'capacity'] as const) {
    metrics.add({
      name: `table_entries_${figure}`,
      help: `Entries of the data plane's tables, ${figure}.`,
      type: 'gauge',
      labels: ['table'],
      read: () => agent.plane.use().map((use) => ({ labels: { table: use.table }, value: use[figure] })),
    });
  }
}
