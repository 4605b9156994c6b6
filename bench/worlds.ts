/*
 * How long `up` and `down` take, as whoever types them waits: Figure 2, and a grid of 30 machines.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median, round, row, type Row } from './report.js';
import { figure2, Testbed } from './testbed.js';

const rounds = 3;
const columns = 6;
const rows = 5;

const place = (x: number, y: number): string => `m${y}${x}`;

/**
 * 30 machines of three providers in a grid. The connectivity network has a link for every wire; the service network a
 * node on every machine, joined by the rows and the first column, and a station at each. A world file, as JSON is YAML.
 */
function grid(): string {
  const machines = [];
  const wires = [];
  const spine = [];
  const stations = [];
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const name = place(x, y);
      const right = { a: name, b: place(x + 1, y) };
      const below = { a: name, b: place(x, y + 1) };
      machines.push({ name, provider: ['one', 'two', 'three'][x % 3] });
      if (x + 1 < columns) wires.push(right);
      if (y + 1 < rows) wires.push(below);
      if (x + 1 < columns) spine.push(right);
      if (y + 1 < rows && x === 0) spine.push(below);
      const number = 1 + y * columns + x;
      const addresses = [`10.0.${number}.2/24`, `fd00:0:0:${number.toString(16)}::2/64`];
      stations.push({ name: `h${y}${x}`, network: 'iptv', node: name, addresses });
    }
  }
  const nodes = machines.map(({ name }) => ({ name }));
  const networks = [
    { name: 'conn', nodes, links: wires },
    { name: 'iptv', over: 'conn', nodes, links: spine },
  ];
  return JSON.stringify({ name: 'grid', machines, wires, networks, stations });
}

function measure(label: string, file: string, text: string): Row[] {
  const times = { up: [] as number[], down: [] as number[] };
  const testbed = new Testbed(label, file);
  for (let i = 0; i < rounds; i++) {
    try {
      times.up.push(testbed.up());
    } finally {
      times.down.push(testbed.down());
    }
  }
  return (['up', 'down'] as const).map((word) =>
    row({ bench: 'up', case: `${word}, ${text}`, unit: 's', value: round(median(times[word])) }),
  );
}

export function worlds(): Row[] {
  const folder = mkdtempSync(join(tmpdir(), 'cabernet-bench-'));
  try {
    const file = join(folder, 'grid.yaml');
    writeFileSync(file, grid());
    return [
      ...measure('fig2', figure2, '9 machines (Figure 2)'),
      ...measure('grid', file, '30 machines in a grid'),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
