/*
 * `npm run bench -- [NAME…] [--json FILE]`: the benchmarks named, or all; a table, and the same rows as JSON.
 */
import { print, writeJson, type Row } from './report.js';

const benches: Record<string, () => Promise<Row[]>> = {
  forward: async () => {
    const { forward } = await import('./forward.js');
    const { live } = await import('./live.js');
    return [...(await forward()), ...(await live())];
  },
  tcp: async () => (await import('./tcp.js')).tcp(),
  isolation: async () => (await import('./isolation.js')).isolation(),
  up: async () => (await import('./worlds.js')).worlds(),
  protection: async () => (await import('./protection.js')).protection(),
  quiet: async () => (await import('./quiet.js')).quiet(),
  reprotect: async () => (await import('./reprotect.js')).reprotect(),
  graph: async () => (await import('./graph.js')).graph(),
  coverage: async () => (await import('./coverage.js')).coverage(),
  tables: async () => (await import('./tables.js')).tables(),
  control: async () => {
    const { control } = await import('./control.js');
    const { callRates } = await import('./calls.js');
    const { routesThroughAll } = await import('./routes.js');
    const { networks } = await import('./networks.js');
    return [
      ...(await control()),
      ...(await callRates()),
      ...(await routesThroughAll()),
      ...(await networks()),
    ];
  },
};

/** Only when named: it boots machines, which takes QEMU and a fetched kernel. */
const apart: Record<string, () => Promise<Row[]>> = {
  machines: async () => (await import('./machines.js')).machines(),
  ipsec: async () => (await import('./ipsec.js')).ipsec(),
};

async function main(args: readonly string[]): Promise<number> {
  const names: string[] = [];
  let json: string | undefined;
  for (let i = 0; i < args.length; i++) {
    const argument = args[i] ?? '';
    if (argument === '--json') json = args[++i];
    else names.push(argument);
  }
  const unknown = names.find((name) => !(name in benches || name in apart));
  if (unknown !== undefined || (args.includes('--json') && json === undefined)) {
    const known = Object.keys({ ...benches, ...apart }).join(', ');
    process.stderr.write(`usage: npm run bench -- [NAME…] [--json FILE]; NAME is one of ${known}\n`);
    return 2;
  }
  if (process.getuid?.() !== 0) {
    process.stderr.write('the benchmarks make network namespaces and load BPF programs: run them as root\n');
    return 1;
  }
  const rows: Row[] = [];
  for (const [name, bench] of Object.entries({ ...benches, ...apart })) {
    if (names.length > 0 ? !names.includes(name) : name in apart) continue;
    process.stderr.write(`${name} …\n`);
    rows.push(...(await bench()));
  }
  print(rows);
  if (json !== undefined) writeJson(json, rows);
  return 0;
}

process.exitCode = await main(process.argv.slice(2));
